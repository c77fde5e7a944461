//! Objects: made, read, changed, deleted.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::refusal::{self, Refusal};
use super::selector::Selector;
use super::{Request, json_response, list_kind};
use crate::cluster::deletion::{self, Propagation};
use crate::cluster::resource::Kind;
use crate::cluster::state::{Shared, State};
use crate::cluster::store::{self, NAMESPACE, list};
use crate::cluster::{defaults, validate};

pub(super) fn serve(shared: &Shared, request: &Request<'_>) -> Result<Response<Body>, Refusal> {
    shared.change(|state| {
        let (code, object) = match request.verb {
            "create" => (StatusCode::CREATED, create(state, request)?),
            "get" => (StatusCode::OK, get(state, request)?),
            "list" => (StatusCode::OK, all(state, request)?),
            "patch" => (StatusCode::OK, patch(state, request)?),
            _ => (StatusCode::OK, delete(state, request)?),
        };
        Ok(json_response(code, &object))
    })
}

fn get(state: &State, request: &Request<'_>) -> Result<Value, Refusal> {
    let (kind, name) = (request.target.kind, request.name());
    let found = state.store.get(kind, name).cloned();
    found.ok_or_else(|| Refusal::not_found(kind, name))
}

fn all(state: &State, request: &Request<'_>) -> Result<Value, Refusal> {
    let kind = request.target.kind;
    let selector = Selector::of(kind, &request.query)?;
    // What comes after the last name that was told before.
    let from = request.query.get("continue").unwrap_or_default();
    let mut items = state.store.all(kind);
    items.retain(|object| selector.takes(object) && store::name(object) > from);
    let mut metadata = json!({"resourceVersion": state.store.version().to_string()});
    let limit = request.query.number("limit").unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(0);
    if limit > 0 && items.len() > limit {
        metadata["continue"] = json!(store::name(&items[limit - 1]));
        metadata["remainingItemCount"] = json!(items.len() - limit);
        items.truncate(limit);
    }
    // The elements of a list do not say what they are.
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.remove("kind");
        item.remove("apiVersion");
    }
    Ok(json!({
        "kind": list_kind(kind),
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items,
    }))
}

fn create(state: &mut State, request: &Request<'_>) -> Result<Value, Refusal> {
    let kind = request.target.kind;
    let mut object = request.json()?;
    let mut missing = Vec::new();
    if object["apiVersion"] != kind.api_version() {
        missing.push("apiVersion");
    }
    if object["kind"] != kind.name() {
        missing.push("kind");
    }
    let has_name = object["metadata"]["name"].is_string();
    if !has_name && kind != Kind::Review {
        missing.push("metadata.name");
    }
    for field in &missing {
        let kind = kind.plural();
        let violation = format!("create {kind}: {field} is missing or wrong");
        state.violations.push(violation);
    }
    if missing.iter().any(|field| *field != "metadata.name") {
        let message = format!(
            "the API version and kind in the data do not match the expected {}, {}",
            kind.api_version(),
            kind.name()
        );
        return Err(Refusal::bad_request(message));
    }
    if kind == Kind::Review {
        return Ok(review(state, object));
    }
    let namespace = object["metadata"].get("namespace");
    if namespace.is_some_and(|namespace| namespace != NAMESPACE) {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if kind == Kind::Secret {
        defaults::secret(&mut object);
    }
    let name = store::name(&object).to_owned();
    let causes = validate::object(kind, &object);
    if !causes.is_empty() {
        return Err(Refusal::invalid(kind, &name, &causes));
    }
    if state.store.get(kind, &name).is_some() {
        return Err(Refusal::exists(kind, &name));
    }
    store::stamp(kind, &mut object);
    // Some defaults name the object by its id.
    if kind == Kind::Job {
        defaults::job(&mut object);
    }
    if is_dry(request, &Value::Null) {
        return Ok(object);
    }
    Ok(state.store.insert_stamped(kind, object))
}

/// Whether nothing is to be kept.
fn is_dry(request: &Request<'_>, options: &Value) -> bool {
    request.query.get("dryRun") == Some("All") || list(&options["dryRun"]).any(|all| all == "All")
}

/// What whoever asks may do.
fn review(state: &State, mut review: Value) -> Value {
    let asked = &review["spec"]["resourceAttributes"];
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let resource = match &*text("subresource") {
        "" => text("resource"),
        sub => format!("{}/{sub}", text("resource")),
    };
    let is_here = matches!(&*text("namespace"), "" | NAMESPACE);
    let allowed = is_here && !state.forbidden.contains(&(text("verb"), resource));
    review["status"] = json!({"allowed": allowed});
    review
}

fn patch(state: &mut State, request: &Request<'_>) -> Result<Value, Refusal> {
    let content = request.header("content-type");
    if ![
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ]
    .contains(&content)
    {
        let violation = format!("patch: {content} is not known here");
        state.violations.push(violation);
        return Err(Refusal::unsupported_type());
    }
    let (kind, name) = (request.target.kind, request.name());
    let patch = request.json()?;
    let before = get(state, request)?;
    let version = patch["metadata"].get("resourceVersion");
    if version.is_some_and(|version| *version != before["metadata"]["resourceVersion"]) {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::conflict(kind, name, why));
    }
    let mut after = before.clone();
    merge(&mut after, &patch);
    // These are not for clients to change.
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
    ] {
        match before["metadata"].get(field) {
            Some(value) => after["metadata"][field] = value.clone(),
            None => continue,
        }
    }
    if let Some(status) = before.get("status") {
        after["status"] = status.clone();
    }
    let causes = validate::change(kind, &before, &after);
    if !causes.is_empty() {
        return Err(Refusal::invalid(kind, name, &causes));
    }
    if !is_dry(request, &Value::Null) {
        state
            .store
            .update(kind, name, |object| *object = after.clone());
        return get(state, request);
    }
    Ok(after)
}

/// A merge patch, as RFC 7386 has it.
fn merge(value: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let into = value.as_object_mut().expect("it is one by now");
    for (field, patch) in fields {
        match patch {
            Value::Null => {
                into.remove(field);
            }
            _ => merge(into.entry(field).or_insert(Value::Null), patch),
        }
    }
}

fn delete(state: &mut State, request: &Request<'_>) -> Result<Value, Refusal> {
    let (kind, name) = (request.target.kind, request.name());
    let options = match request.body {
        [] => json!({}),
        _ => request.json()?,
    };
    let object = get(state, request)?;
    for field in ["uid", "resourceVersion"] {
        let wanted = options["preconditions"].get(field);
        if wanted.is_some_and(|wanted| !wanted.is_null() && *wanted != object["metadata"][field]) {
            let why = format!("the {field} in the precondition is not the one of the object");
            return Err(Refusal::conflict(kind, name, &why));
        }
    }
    let policy = options["propagationPolicy"].as_str();
    let policy = policy.or(request.query.get("propagationPolicy"));
    let propagation = Propagation::of(kind, policy)
        .ok_or_else(|| Refusal::bad_request(format!("unknown propagation policy {policy:?}")))?;
    let grace = options["gracePeriodSeconds"].as_i64().or_else(|| {
        let number = request.query.number("gracePeriodSeconds")?;
        i64::try_from(number).ok()
    });
    if !is_dry(request, &options) {
        deletion::delete(state, kind, name, propagation, grace);
    }
    // What goes at once is no more than a name; what needs time is shown.
    match state.store.get(kind, name) {
        Some(going) => Ok(going.clone()),
        None if kind == Kind::Pod => Ok(object),
        None => Ok(refusal::success(kind, &object)),
    }
}
