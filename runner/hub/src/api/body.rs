//! Request bodies: how much of them is read, and how much of all of them at a time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Refusal;
use crate::hub::{LARGE_BODIES, Shared};

const MEBIBYTE: usize = 1 << 20;

/// Longest that one body may take to come.
const PATIENCE: Duration = Duration::from_secs(600);

/// Reads a body of at most `limit` bytes. While there are too many large ones, it waits before it reads.
pub(crate) async fn collect(
    hub: &Shared,
    request: Request,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        let text = format!("the body is larger than {limit} bytes");
        Refusal::status(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let told: Option<usize> = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if told.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    // One that does not say how large it is counts as large as it may be.
    let mebibytes = told.unwrap_or(limit) / MEBIBYTE;
    let share = u32::try_from(mebibytes.min(LARGE_BODIES)).unwrap_or(u32::MAX);
    let permit = hub.large_bodies.acquire_many(share).await;
    let _permit = permit.map_err(|_| Refusal::Internal("the hub is shutting down".to_owned()))?;
    let reading = read(request.into_body(), told.unwrap_or(0).min(limit), limit);
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::status(
            StatusCode::BAD_REQUEST,
            "the body could not be read",
        )),
        Err(_) => Err(Refusal::status(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time",
        )),
    }
}

/// `None` if there is more than `limit`.
async fn read(body: Body, told: usize, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut stream = body.into_data_stream();
    // At once, as growing would need twice as much.
    let mut bytes = Vec::with_capacity(told);
    while let Some(part) = stream.next().await {
        let part = part?;
        if bytes.len() + part.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Some(bytes.into()))
}

/// Reads a JSON body of the API for people.
pub(crate) async fn of_json<T: serde::de::DeserializeOwned>(
    hub: &Shared,
    request: Request,
    limit: usize,
) -> Result<T, Refusal> {
    let bytes = collect(hub, request, limit).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let text = format!("the body is not what it should be: {error}");
        Refusal::status(StatusCode::BAD_REQUEST, text)
    })
}
