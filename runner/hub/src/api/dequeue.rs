//! Asking for a job (facts/executor-protocol.md 1.5).

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use capstan_protocol::{DequeueRequest, route};

use super::{Refusal, auth, collect, json, version};
use crate::dispatch;
use crate::hub::Shared;

/// Largest request.
const LIMIT: usize = 1 << 20;

/// From the queue that the path names.
pub(super) async fn one(
    hub: &Shared,
    queue: &'static str,
    request: Request,
) -> Result<Response, Refusal> {
    let worker = worker(hub, request).await?.executor_name;
    match next(hub, queue, &worker).await? {
        Some(job) => Ok(json(job.to_json())),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// From the first of several queues that has a job.
pub(super) async fn several(hub: &Shared, request: Request) -> Result<Response, Refusal> {
    let request = worker(hub, request).await?;
    let mut queues = Vec::new();
    for name in &request.queues {
        let known = route::QUEUES.into_iter().find(|known| known == name);
        queues.push(known.ok_or_else(|| {
            let supported = route::QUEUES.join(", ");
            Refusal::Internal(format!(
                "invalid queue name '{name}': supported queue names are '{supported}'"
            ))
        })?);
    }
    for queue in queues {
        if let Some(mut job) = next(hub, queue, &request.executor_name).await? {
            queue.clone_into(&mut job.identity.queue);
            return Ok(json(job.to_json()));
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn worker(hub: &Shared, request: Request) -> Result<DequeueRequest, Refusal> {
    auth::executor(hub, request.headers())?;
    let body = collect(hub, request, LIMIT).await?;
    let request = DequeueRequest::decode(&body)?;
    if request.executor_name.is_empty() {
        return Err(Refusal::Internal(
            "worker hostname cannot be empty".to_owned(),
        ));
    }
    match version::reads_second_form(&request.version) {
        Some(true) => Ok(request),
        // Sourcegraph would send jobs in their first form; with 500 old executors would ask twenty times each time.
        Some(false) => Err(Refusal::status(
            StatusCode::BAD_REQUEST,
            format!(
                "executors of version {:?} are too old for this hub: at least 4.3.0 is needed",
                request.version
            ),
        )),
        None => Err(Refusal::Internal(format!(
            "the version {:?} cannot be read",
            request.version
        ))),
    }
}

async fn next(
    hub: &Shared,
    queue: &'static str,
    worker: &str,
) -> Result<Option<capstan_protocol::Job>, Refusal> {
    let job = dispatch::next(hub, queue, worker).await;
    job.map_err(|error| Refusal::Internal(error.to_string()))
}
