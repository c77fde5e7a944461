//! What the server says no with: a `Status`.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::resource::Kind;
use super::super::store::NAMESPACE;

/// Who asks.
const USER: &str = "system:serviceaccount:capstan:executor";

/// A request that cannot be granted.
#[derive(Debug)]
pub(super) struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

/// What is wrong with a field.
#[derive(Debug)]
pub(in crate::cluster) struct Cause {
    pub(in crate::cluster) reason: &'static str,
    pub(in crate::cluster) field: String,
    pub(in crate::cluster) message: String,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        self.details = json!({"name": name, "kind": kind.plural()});
        if !kind.group().is_empty() {
            self.details["group"] = json!(kind.group());
        }
        self
    }

    pub(super) fn not_found(kind: Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified_plural());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    pub(super) fn exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified_plural());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(super) fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified_plural()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// There is at least one cause.
    pub(super) fn invalid(kind: Kind, name: &str, causes: &[Cause]) -> Self {
        let told: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let told = match &*told {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {told}", kind.qualified_name());
        let mut refusal = Self::new(422, "Invalid", message).about(kind, name);
        refusal.details["kind"] = json!(kind.name());
        let cause = |cause: &Cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
        refusal.details["causes"] = causes.iter().map(cause).collect();
        refusal
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(super) fn forbidden(
        kind: Kind,
        name: Option<&str>,
        verb: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Self {
        let object = match name {
            Some(name) => format!("{} {name:?}", kind.qualified_plural()),
            None => kind.qualified_plural(),
        };
        let place = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{object} is forbidden: User {USER:?} cannot {verb} resource {resource:?} in API group {:?} {place}",
            kind.group()
        );
        Self::new(403, "Forbidden", message).about(kind, name.unwrap_or_default())
    }

    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message)
    }

    pub(super) fn no_such_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    pub(super) fn unsupported_type() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
            application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(super) fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728";
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::new(410, "Expired", message)
    }

    pub(super) fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request";
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    /// The answer.
    pub(super) fn response(&self) -> Response<Body> {
        let code = StatusCode::from_u16(self.code).expect("it is one of ours");
        super::json_response(code, &self.status())
    }
}

/// The answer to a deletion that has been done.
pub(super) fn success(kind: Kind, object: &Value) -> Value {
    let mut details = json!({
        "name": object["metadata"]["name"],
        "kind": kind.plural(),
        "uid": object["metadata"]["uid"],
    });
    if !kind.group().is_empty() {
        details["group"] = json!(kind.group());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// The namespace that a refusal names; none for what belongs to the whole cluster.
pub(super) fn place(kind: Kind, namespace: Option<&str>) -> Option<&str> {
    kind.is_namespaced().then(|| namespace.unwrap_or(NAMESPACE))
}
