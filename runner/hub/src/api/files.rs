//! The file store (facts/executor-protocol.md 1.11).

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::{Hub, Refusal, auth};
use crate::store;

/// The bucket of mounted files.
const BUCKET: &str = "batch-changes";

/// Also answers HEAD.
pub(super) async fn get(
    State(hub): Hub,
    Path((bucket, execution, file)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    auth::job(&hub, request.headers(), "batches").await?;
    let not_found = || Refusal::status(StatusCode::NOT_FOUND, "workspace file does not exist");
    if bucket != BUCKET {
        return Err(not_found());
    }
    let is_id = |id: &str| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_id(&execution) || !is_id(&file) {
        return Err(Refusal::status(
            StatusCode::BAD_REQUEST,
            "malformed file id",
        ));
    }
    let content = hub
        .store
        .read(move |connection| store::file(connection, &execution, &file))
        .await?;
    let content = content.ok_or_else(not_found)?;
    Ok((
        [(header::CONTENT_TYPE, "application/octet-stream")],
        content,
    )
        .into_response())
}
