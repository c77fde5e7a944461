//! How jobs end (facts/executor-protocol.md 1.8, 7.8).

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use capstan_core::changeset::ChangesetSpec;
use capstan_core::result::StepResult;
use capstan_protocol::{Mark, Outcome};

use super::{Refusal, auth, collect};
use crate::dispatch;
use crate::hub::Shared;
use crate::results::{self, Findings, Reported};
use crate::store::{self, End, StoreError};

/// Largest request.
const LIMIT: usize = 16 << 20;

/// Said of a job that is done without a result.
const NO_RESULTS: &str = "found no step results";

/// Ends a job, and takes out of its log what came of it.
pub(super) async fn mark(
    hub: &Shared,
    queue: &'static str,
    call: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let right = auth::job(hub, request.headers(), queue).await?;
    let body = collect(hub, request, LIMIT).await?;
    let mark = Mark::decode(call, &body)?;
    let mark = mark.ok_or_else(|| Refusal::Internal("no such call".to_owned()))?;
    right.is_for(mark.job_id)?;
    let now = hub.now();
    let reading = hub.store.read(move |connection| {
        if !store::works_on(connection, queue, &mark.executor_name, mark.job_id)? {
            return Ok(None);
        }
        let ending = ending(connection, &mark)?;
        Ok(Some((mark, ending)))
    });
    let Some((mark, ending)) = reading.await? else {
        return Err(Refusal::NoSuchJob);
    };
    let ended = hub.store.write(move |store| {
        let end = match &ending.failure {
            None => End::Completed,
            Some(message) => End::Failed(message),
        };
        let (name, job) = (&mark.executor_name, mark.job_id);
        if !store::finish(store, queue, name, job, end, now)? {
            return Ok(false);
        }
        for reported in &ending.results {
            store::insert_step_result(store, &reported.key, &reported.value, now)?;
        }
        store::insert_changesets(store, job, &ending.changesets)?;
        Ok(true)
    });
    match ended.await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Refusal::NoSuchJob),
    }
}

/// What came of a job.
struct Ending {
    /// Results to keep, also of a job that failed: it goes on after them when it is tried again.
    results: Vec<Reported>,
    changesets: Vec<ChangesetSpec>,
    failure: Option<String>,
}

fn ending(connection: &rusqlite::Connection, mark: &Mark) -> Result<Ending, StoreError> {
    let mut findings = results::find(connection, mark.job_id)?;
    let mut ending = Ending {
        results: Vec::new(),
        changesets: Vec::new(),
        failure: None,
    };
    let done = match &mark.outcome {
        Outcome::Complete => last(connection, mark.job_id, &findings)?,
        Outcome::Errored(message) | Outcome::Failed(message) => Err(message.clone()),
    };
    findings.reported.retain(results::may_be_kept);
    ending.results = findings.reported;
    match done {
        Ok(None) => {}
        Ok(Some(result)) => match changesets(connection, mark.job_id, result)? {
            Ok(changesets) => ending.changesets = changesets,
            Err(message) => ending.failure = Some(message),
        },
        Err(message) => ending.failure = Some(message),
    }
    Ok(ending)
}

/// The result of the last step that ran, `None` if all of them were skipped; else why there is none.
fn last(
    connection: &rusqlite::Connection,
    job: i64,
    findings: &Findings,
) -> Result<Result<Option<StepResult>, String>, StoreError> {
    if let Some(result) = findings.last() {
        return Ok(Ok(Some(result.clone())));
    }
    let job = store::job(connection, job)?;
    if let Some(key) = job.and_then(|job| job.known_key)
        && let Some(value) = store::step_result(connection, &key)?
        && let Ok(result) = StepResult::from_json(&value)
    {
        return Ok(Ok(Some(result)));
    }
    Ok(match findings.skipped {
        true => Ok(None),
        false => Err(NO_RESULTS.to_owned()),
    })
}

fn changesets(
    connection: &rusqlite::Connection,
    job: i64,
    result: StepResult,
) -> Result<Result<Vec<ChangesetSpec>, String>, StoreError> {
    let missing = || StoreError::Corrupt(format!("job {job} or its execution is gone"));
    let job = store::job(connection, job)?.ok_or_else(missing)?;
    let execution = store::execution(connection, job.execution)?.ok_or_else(missing)?;
    let task = dispatch::task(&execution, &job)?;
    Ok(results::changesets(&execution, &task, result))
}
