//! What a client may ask of the cluster, and what it is answered.

mod logs;
mod objects;
mod refusal;
mod request;
mod selector;
mod watch;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::{Value, json};

pub(super) use self::refusal::Cause;
use self::refusal::Refusal;
use self::request::{Query, Target};
use super::resource::Kind;
use super::state::Shared;
use super::store::NAMESPACE;

/// Longest body, in bytes.
const LONGEST: usize = 3 << 20;

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

/// A request that may be made.
struct Request<'a> {
    target: Target,
    query: Query,
    verb: &'static str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Request<'_> {
    /// The name in the path.
    fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    if uri.path() == "/version" && !shared.lock().is_down {
        let version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0", "platform": "linux/amd64"});
        return json_response(StatusCode::OK, &version);
    }
    let looked_at = admit(&shared, &method, &uri, &headers, &bytes);
    let answered = match looked_at {
        Ok(request) if request.target.is_log => logs::serve(&shared, &request),
        Ok(request) if request.verb == "watch" => watch::serve(&shared, &request),
        Ok(request) => objects::serve(&shared, &request),
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| refusal.response())
}

/// Whether a request is understood, and whoever asks may ask it.
fn admit<'a>(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
) -> Result<Request<'a>, Refusal> {
    let mut state = shared.lock();
    if state.is_down {
        return Err(Refusal::unavailable());
    }
    let path = uri.path();
    let mut violation = |what: &str| state.violations.push(format!("{method} {path}: {what}"));
    let authorization = headers.get("authorization");
    if authorization.is_none_or(|value| *value != format!("Bearer {}", shared.token())) {
        violation("the token is another");
        return Err(Refusal::unauthorized());
    }
    let Some(target) = Target::of(path) else {
        violation("there is nothing there");
        return Err(Refusal::no_such_path());
    };
    let query = Query::of(uri);
    let Some(verb) = target.verb(method, &query) else {
        violation("that cannot be done there");
        return Err(Refusal::no_such_method());
    };
    let known = request::parameters(verb, target.is_log);
    for name in query.names().filter(|name| !known.contains(name)) {
        violation(&format!("there is no parameter {name}"));
    }
    let asked = (verb.to_owned(), target.resource());
    let is_elsewhere = target
        .namespace
        .as_deref()
        .is_some_and(|at| at != NAMESPACE);
    let is_forbidden = is_elsewhere || state.forbidden.contains(&asked);
    state.requests.insert(asked);
    if is_forbidden {
        let place = refusal::place(target.kind, target.namespace.as_deref());
        let (name, resource) = (target.name.as_deref(), target.resource());
        return Err(Refusal::forbidden(
            target.kind,
            name,
            verb,
            &resource,
            place,
        ));
    }
    if body.len() > LONGEST {
        return Err(Refusal::too_large());
    }
    Ok(Request {
        target,
        query,
        verb,
        headers,
        body,
    })
}

fn json_response(code: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    let kind = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", kind);
    response
}

/// What a kind's lists are called.
fn list_kind(kind: Kind) -> String {
    format!("{}List", kind.name())
}
