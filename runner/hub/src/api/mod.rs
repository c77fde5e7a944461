//! What executors talk to (facts/executor-protocol.md 1), and the router of all that the hub answers.

mod auth;
mod body;
mod dequeue;
mod files;
mod git;
mod heartbeat;
mod logs;
mod marks;
mod refusal;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use capstan_protocol::route;

pub(crate) use self::body::{collect, of_json};
pub(crate) use self::refusal::Refusal;

use crate::hub::Shared;
use crate::{pages, people};

/// What Sourcegraph's executors are told to install; ours need no `src`.
const SRC_CLI_VERSION: &str = "5.5.0";

/// All routes.
pub(crate) fn router(hub: Arc<Shared>) -> Router {
    let executors = Router::new()
        .route("/.executors/queue/{call}", post(all_queues))
        .route("/.executors/queue/{queue}/{call}", post(one_queue))
        .route(
            "/.executors/files/{bucket}/{execution}/{file}",
            get(files::get),
        )
        .route("/.executors/git/{*path}", any(git::serve))
        .route(route::TEST_AUTH, get(test_auth))
        .route("/.api/src-cli/version", get(src_cli_version));
    executors
        .merge(people::router())
        .merge(pages::router(&hub))
        .fallback(not_found)
        // Every handler limits what it reads itself.
        .layer(DefaultBodyLimit::disable())
        .with_state(hub)
}

type Hub = State<Arc<Shared>>;

/// Calls to one queue.
async fn one_queue(
    State(hub): Hub,
    Path((queue, call)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let Some(queue) = route::QUEUES.into_iter().find(|known| *known == queue) else {
        return Ok(not_found().await);
    };
    match call.as_str() {
        "dequeue" => dequeue::one(&hub, queue, request).await,
        "heartbeat" => heartbeat::one(&hub, queue, request).await,
        "addExecutionLogEntry" => logs::add(&hub, queue, request).await,
        "updateExecutionLogEntry" => logs::update(&hub, queue, request).await,
        "markComplete" | "markErrored" | "markFailed" => {
            marks::mark(&hub, queue, &call, request).await
        }
        _ => Ok(not_found().await),
    }
}

/// Calls to all queues.
async fn all_queues(
    State(hub): Hub,
    Path(call): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    match call.as_str() {
        "dequeue" => dequeue::several(&hub, request).await,
        "heartbeat" => heartbeat::several(&hub, request).await,
        _ => Ok(not_found().await),
    }
}

async fn test_auth(State(hub): Hub, request: Request) -> Result<&'static str, Refusal> {
    auth::executor(&hub, request.headers())?;
    Ok("ok")
}

async fn src_cli_version() -> Response {
    Json(serde_json::json!({ "version": SRC_CLI_VERSION })).into_response()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// An answer that is JSON already.
fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
