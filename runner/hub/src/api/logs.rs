//! Entries of execution logs (facts/executor-protocol.md 1.7).

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use capstan_protocol::{AddLogEntry, UpdateLogEntry};

use super::{Refusal, auth, collect, json};
use crate::hub::Shared;
use crate::store;

/// Largest request: an entry of 200 megabytes, and what JSON makes of it.
const LIMIT: usize = 512 << 20;

/// Adds an entry; its number is the answer.
pub(super) async fn add(
    hub: &Shared,
    queue: &'static str,
    request: Request,
) -> Result<Response, Refusal> {
    let right = auth::job(hub, request.headers(), queue).await?;
    let body = collect(hub, request, LIMIT).await?;
    let AddLogEntry {
        executor_name,
        job_id,
        entry,
    } = AddLogEntry::decode(&body)?;
    drop(body);
    right.is_for(job_id)?;
    let number = hub.store.write(move |store| {
        if !store::works_on(store, queue, &executor_name, job_id)? {
            return Ok(None);
        }
        store::add_entry(store, job_id, &entry).map(Some)
    });
    match number.await? {
        Some(number) => Ok(json(number.to_string().into_bytes())),
        None => Err(Refusal::unknown_job()),
    }
}

/// Replaces an entry.
pub(super) async fn update(
    hub: &Shared,
    queue: &'static str,
    request: Request,
) -> Result<Response, Refusal> {
    let right = auth::job(hub, request.headers(), queue).await?;
    let body = collect(hub, request, LIMIT).await?;
    let UpdateLogEntry {
        executor_name,
        job_id,
        entry_id,
        entry,
    } = UpdateLogEntry::decode(&body)?;
    drop(body);
    right.is_for(job_id)?;
    let updated = hub.store.write(move |store| {
        Ok(store::works_on(store, queue, &executor_name, job_id)?
            && store::update_entry(store, job_id, entry_id, &entry)?)
    });
    match updated.await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Refusal::unknown_job()),
    }
}
