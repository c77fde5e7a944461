//! Looking at executions, jobs and executors.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use capstan_core::changeset;
use capstan_core::spec;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::authorize;
use super::wire::{Changeset, Detail, Executor, Import, JobDetail, LogEntry, Results, Summary};
use crate::api::Refusal;
use crate::hub::Shared;
use crate::store::{self, StoreError};

/// Executions in an answer.
const PAGE: i64 = 100;

type Hub = State<Arc<Shared>>;

pub(super) fn not_found(what: &str) -> Refusal {
    Refusal::status(StatusCode::NOT_FOUND, format!("there is no such {what}"))
}

/// A time for people and programs.
pub(crate) fn time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

#[derive(Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

pub(super) async fn executions(
    State(hub): Hub,
    Query(Before { before }): Query<Before>,
    headers: HeaderMap,
) -> Result<Json<Vec<Summary>>, Refusal> {
    authorize(&hub, &headers)?;
    let listed = hub
        .store
        .read(move |connection| store::executions(connection, before, PAGE))
        .await?;
    let summary = |listed: store::Listed| Summary {
        id: listed.id,
        state: listed.state.name().to_owned(),
        name: listed.name,
        failure: listed.failure,
        created_at: time(listed.created_at),
        finished_at: listed.finished_at.map(time),
        jobs: listed
            .jobs
            .into_iter()
            .map(|(state, count)| (state.to_owned(), count))
            .collect(),
    };
    Ok(Json(listed.into_iter().map(summary).collect()))
}

pub(super) async fn execution(
    State(hub): Hub,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Result<Json<Detail>, Refusal> {
    authorize(&hub, &headers)?;
    let found = hub
        .store
        .read(move |connection| detail(connection, id))
        .await?;
    found.map(Json).ok_or_else(|| not_found("execution"))
}

fn detail(connection: &rusqlite::Connection, id: i64) -> Result<Option<Detail>, StoreError> {
    let Some(execution) = store::execution(connection, id)? else {
        return Ok(None);
    };
    let jobs = store::jobs(connection, id)?;
    Ok(Some(Detail {
        id,
        state: execution.state.name().to_owned(),
        name: execution.draft.name,
        description: execution.draft.description,
        failure: execution.failure,
        warnings: execution.warnings,
        secrets: store::secrets(connection, id)?.into_keys().collect(),
        created_at: time(execution.created_at),
        finished_at: execution.finished_at.map(time),
        jobs: jobs.into_iter().map(job_detail).collect(),
    }))
}

fn job_detail(job: store::Job) -> JobDetail {
    JobDetail {
        id: job.id,
        state: job.state.name().to_owned(),
        repository: job.workspace.repository_name,
        branch: job.workspace.branch,
        rev: job.workspace.rev,
        path: job.workspace.path,
        cancel: job.cancel,
        resets: job.num_resets,
        known_steps: job.known_steps,
        executor: job.worker,
        failure: job.failure,
        queued_at: time(job.queued_at),
        started_at: job.started_at.map(time),
        finished_at: job.finished_at.map(time),
    }
}

pub(super) async fn changesets(
    State(hub): Hub,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Result<Json<Results>, Refusal> {
    authorize(&hub, &headers)?;
    let found = hub.store.read(move |connection| {
        let Some(execution) = store::execution(connection, id)? else {
            return Ok(None);
        };
        Ok(Some((execution, store::changesets(connection, id)?)))
    });
    let (execution, changesets) = found.await?.ok_or_else(|| not_found("execution"))?;
    let parsed = spec::parse_whole(execution.draft.spec.as_bytes(), true)
        .map_err(|problems| Refusal::Internal(problems.to_string()))?;
    // Without a server a repository's name is all the identity it has.
    let imports = changeset::import(&parsed.spec.import_changesets, &|name| {
        Some(name.to_owned())
    })
    .map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(Json(Results {
        changesets: changesets
            .into_iter()
            .map(|stored| Changeset::of(stored.job, stored.spec))
            .collect(),
        imports: imports
            .into_iter()
            .map(|import| Import {
                repository: import.repository_id,
                external_id: import.external_id,
            })
            .collect(),
    }))
}

pub(super) async fn log(
    State(hub): Hub,
    Path(job): Path<i64>,
    headers: HeaderMap,
) -> Result<Json<Vec<LogEntry>>, Refusal> {
    authorize(&hub, &headers)?;
    let found = hub.store.read(move |connection| {
        if store::job(connection, job)?.is_none() {
            return Ok(None);
        }
        store::entries(connection, job).map(Some)
    });
    let entries = found.await?.ok_or_else(|| not_found("job"))?;
    let entry = |entry: store::Entry| LogEntry {
        number: entry.number,
        key: entry.key,
        command: entry.command,
        start_time: entry.start_time,
        exit_code: entry.exit_code,
        duration_ms: entry.duration_ms,
        size: entry.size,
    };
    Ok(Json(entries.into_iter().map(entry).collect()))
}

#[derive(Deserialize)]
pub(super) struct From {
    /// Bytes that are left out.
    #[serde(default)]
    from: u32,
}

pub(super) async fn log_text(
    State(hub): Hub,
    Path((job, number)): Path<(i64, i64)>,
    Query(From { from }): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    authorize(&hub, &headers)?;
    log_body(&hub, job, number, from).await
}

/// What an entry says from the byte `from` on, as plain text, streamed: it may be large.
pub(crate) async fn log_body(
    hub: &Arc<Shared>,
    job: i64,
    number: i64,
    from: u32,
) -> Result<Response, Refusal> {
    let found = hub.store.read(move |connection| {
        let entries = store::entries(connection, job)?;
        Ok(entries.into_iter().find(|entry| entry.number == number))
    });
    let entry = found.await?.ok_or_else(|| not_found("log entry"))?;
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes, StoreError>>(2);
    let store = hub.store.clone();
    hub.background.spawn(async move {
        let mut from = i64::from(from);
        // Piece by piece, so that a slow reader does not hold up the store.
        loop {
            let piece = store.read(move |connection| store::read_piece(connection, entry.id, from));
            let piece = match piece.await {
                Ok(piece) if piece.is_empty() => return,
                Ok(piece) => piece,
                Err(error) => {
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
            from += i64::try_from(piece.len()).unwrap_or(i64::MAX);
            if sender.send(Ok(piece.into())).await.is_err() {
                return;
            }
        }
    });
    let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from_stream(stream.boxed())).into_response())
}

pub(super) async fn executors(
    State(hub): Hub,
    headers: HeaderMap,
) -> Result<Json<Vec<Executor>>, Refusal> {
    authorize(&hub, &headers)?;
    let seen = hub.store.read(store::executors).await?;
    let executor = |seen: store::Seen| Executor {
        name: seen.name,
        queues: seen.queues,
        telemetry: seen.telemetry.into(),
        first_seen: time(seen.first_seen),
        last_seen: time(seen.last_seen),
    };
    Ok(Json(seen.into_iter().map(executor).collect()))
}
