//! Submitting, cancelling, trying again.

use std::collections::BTreeMap;
use std::path::{Component, Path as FilePath};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use capstan_core::source::Diagnostics;
use capstan_core::spec::{self, EnvVar, Step};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::authorize;
use super::look::not_found;
use super::wire::{Changed, Retry, Submission, Submitted};
use crate::api::{Refusal, collect, of_json};
use crate::hub::Shared;
use crate::secret::random_hex;
use crate::store::{self, Draft, ExecutionState, StoreError, StoredFile};
use crate::submit;

/// Largest submission, without its files.
const SUBMISSION_LIMIT: usize = 16 << 20;

/// Largest file that a step mounts or runs in, as in Sourcegraph.
const FILE_LIMIT: usize = 10 << 20;

/// Most files of a submission.
const FILES: usize = 1000;

/// Most bytes of all files of a submission.
const FILES_LIMIT: u64 = 512 << 20;

type Hub = State<Arc<Shared>>;

fn unusable(text: impl Into<String>) -> Refusal {
    Refusal::status(StatusCode::UNPROCESSABLE_ENTITY, text)
}

fn invalid(problems: &Diagnostics, text: &str) -> Refusal {
    unusable(problems.render("batch spec", text.as_bytes()))
}

/// Takes a batch spec, which then waits for its files.
pub(super) async fn draft(State(hub): Hub, request: Request) -> Result<Json<Submitted>, Refusal> {
    authorize(&hub, request.headers())?;
    let submission: Submission = of_json(&hub, request, SUBMISSION_LIMIT).await?;
    let parsed = spec::parse_whole(submission.spec.as_bytes(), true)
        .map_err(|problems| invalid(&problems, &submission.spec))?;
    let problems = spec::component_problems(&parsed);
    if !problems.is_empty() {
        return Err(invalid(&problems, &submission.spec));
    }
    parsed
        .spec
        .check_local_version()
        .map_err(|error| unusable(error.to_string()))?;
    let steps = serde_json::to_string(&parsed.spec.steps)
        .map_err(|error| Refusal::Internal(error.to_string()))?;
    let key = random_hex::<16>().map_err(|error| Refusal::Internal(error.to_string()))?;
    let secrets = wanted(&parsed.spec.steps, submission.secrets);
    let draft = Draft {
        key,
        name: parsed.spec.name,
        description: parsed.spec.description,
        spec: submission.spec,
        steps,
        arguments: submission.repositories,
        use_cache: !submission.no_cache,
    };
    let now = hub.now();
    let id = hub.store.write(move |store| {
        let id = store::insert_execution(store, &draft, now)?;
        store::set_secrets(store, id, &secrets)?;
        Ok(id)
    });
    Ok(Json(Submitted { id: id.await? }))
}

/// The values that the steps ask for; others are nobody's business.
fn wanted(steps: &[Step], mut given: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let variables = steps.iter().flat_map(|step| &step.env.vars);
    variables
        .filter_map(|variable| match variable {
            EnvVar::Forwarded { name } => given.remove_entry(name),
            EnvVar::Static { .. } => None,
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileFacts {
    path: String,
    modified_at: String,
}

/// Takes a file of a submission.
pub(super) async fn file(
    State(hub): Hub,
    Path(id): Path<i64>,
    Query(facts): Query<FileFacts>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    authorize(&hub, request.headers())?;
    let path = FilePath::new(&facts.path);
    let is_normal = |component| matches!(component, Component::Normal(_));
    if facts.path.len() > 4096
        || path.components().next().is_none()
        || !path.components().all(is_normal)
        || facts.path.contains(['\0', '\n'])
        || path.components().count() != facts.path.split('/').count()
    {
        return Err(unusable(format!(
            "{:?} is no path below a directory",
            facts.path
        )));
    }
    let modified_at = facts
        .modified_at
        .parse()
        .map_err(|_| unusable("modifiedAt is no time"))?;
    let content = collect(&hub, request, FILE_LIMIT).await?;
    let key = random_hex::<16>().map_err(|error| Refusal::Internal(error.to_string()))?;
    let file = StoredFile {
        key,
        path: facts.path,
        size: content.len() as u64,
        modified_at,
        digest: digest(&content),
    };
    let kept = hub.store.write(move |store| {
        let execution = store::execution(store, id)?;
        if execution.is_none_or(|execution| execution.state != ExecutionState::Draft) {
            return Ok(Err(not_found("submission")));
        }
        let others = store::files(store, id)?;
        let size: u64 = others.iter().map(|other| other.size).sum();
        if others.len() >= FILES || size + file.size > FILES_LIMIT {
            let text =
                format!("a submission has at most {FILES} files and {FILES_LIMIT} bytes in them");
            return Ok(Err(unusable(text)));
        }
        store::insert_file(store, id, &file, &content)?;
        Ok(Ok(()))
    });
    kept.await??;
    Ok(StatusCode::NO_CONTENT)
}

/// As components are named by it.
fn digest(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Starts a submission whose files are there. Doing it twice does nothing more.
pub(super) async fn start(
    State(hub): Hub,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    authorize(&hub, &headers)?;
    let begun = hub.store.write(move |store| {
        let is_there = store::execution(store, id)?.is_some();
        Ok((is_there, store::begin(store, id)?))
    });
    match begun.await? {
        (false, _) => return Err(not_found("submission")),
        (true, true) => submit::start(&hub, id),
        (true, false) => {}
    }
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn cancel(
    State(hub): Hub,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Result<Json<Changed>, Refusal> {
    authorize(&hub, &headers)?;
    let now = hub.now();
    let canceled = hub.store.write(move |store| {
        if store::execution(store, id)?.is_none() {
            return Ok(None);
        }
        store::cancel(store, id, now).map(Some)
    });
    let canceled = canceled.await?.ok_or_else(|| not_found("execution"))?;
    Ok(Json(Changed {
        jobs: usize::from(canceled),
    }))
}

pub(super) async fn retry(
    State(hub): Hub,
    Path(id): Path<i64>,
    request: Request,
) -> Result<Json<Changed>, Refusal> {
    authorize(&hub, request.headers())?;
    let Retry { secrets } = of_json(&hub, request, SUBMISSION_LIMIT).await?;
    let now = hub.now();
    let retried = hub.store.write(move |store| {
        let Some(execution) = store::execution(store, id)? else {
            return Ok(Err(not_found("execution")));
        };
        if let Some(failure) = execution.failure {
            let text = format!("it has no jobs that could be tried again: {failure}");
            return Ok(Err(Refusal::status(StatusCode::CONFLICT, text)));
        }
        renew(store, id, secrets)
            .and_then(|missing| match missing.as_slice() {
                [] => store::retry(store, id, now).map(Ok),
                missing => {
                    let text = format!(
                        "the values of {} are needed again: the hub keeps them only until an execution ends",
                        missing.join(", ")
                    );
                    Ok(Err(Refusal::status(StatusCode::CONFLICT, text)))
                }
            })
    });
    Ok(Json(Changed {
        jobs: retried.await??,
    }))
}

/// Takes new values for those that are not kept any more; returns the names of those that are missing.
fn renew(
    store: &rusqlite::Transaction<'_>,
    execution: i64,
    mut given: BTreeMap<String, String>,
) -> Result<Vec<String>, StoreError> {
    let known = store::secrets(store, execution)?;
    let missing: Vec<String> = known
        .iter()
        .filter(|(name, value)| value.is_none() && !given.contains_key(*name))
        .map(|(name, _)| name.clone())
        .collect();
    if missing.is_empty() {
        given.retain(|name, _| known.contains_key(name));
        store::set_secrets(store, execution, &given)?;
    }
    Ok(missing)
}
