//! Jobs: one workspace of an execution each, in a queue, leased to an executor by its heartbeats.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{StoreError, settle};

/// How often a job whose executor went silent is given to another.
const RESETS: i64 = 3;

/// Said when that did not help.
const DIED: &str = "job processor died while handling this message too many times";

/// Said of a job that was cancelled before it could end.
const CANCELED: &str = "canceled";

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits for an executor.
    Queued,
    /// An executor has it.
    Processing,
    /// It is done.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Canceled,
}

impl JobState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
    ];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The state that a word stands for.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A job that is to be.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    pub(crate) repository: i64,
    pub(crate) repository_name: String,
    pub(crate) branch: String,
    pub(crate) rev: String,
    pub(crate) path: String,
    pub(crate) only_fetch_workspace: bool,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) execution: i64,
    pub(crate) queue: String,
    pub(crate) state: JobState,
    pub(crate) workspace: NewJob,
    pub(crate) cancel: bool,
    pub(crate) num_resets: i64,
    /// How many steps were known before it ran.
    pub(crate) known_steps: i64,
    /// Under what name the result of the last of them is kept.
    pub(crate) known_key: Option<String>,
    pub(crate) worker: Option<String>,
    pub(crate) failure: Option<String>,
    pub(crate) queued_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

const COLUMNS: &str = "id, execution, queue, state, repository, repository_name, branch, rev, path, only_fetch_workspace,
    cancel, num_resets, known_steps, worker, failure, queued_at, started_at, finished_at, known_key";

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    let state: String = row.get(3)?;
    Ok(Job {
        id: row.get(0)?,
        execution: row.get(1)?,
        queue: row.get(2)?,
        state: JobState::of(&state)
            .ok_or_else(|| StoreError::Corrupt(format!("the state {state:?} of a job")))?,
        workspace: NewJob {
            repository: row.get(4)?,
            repository_name: row.get(5)?,
            branch: row.get(6)?,
            rev: row.get(7)?,
            path: row.get(8)?,
            only_fetch_workspace: row.get(9)?,
        },
        cancel: row.get(10)?,
        num_resets: row.get(11)?,
        known_steps: row.get(12)?,
        worker: row.get(13)?,
        failure: row.get(14)?,
        queued_at: row.get(15)?,
        started_at: row.get(16)?,
        finished_at: row.get(17)?,
        known_key: row.get(18)?,
    })
}

/// Puts a job at the end of a queue. Returns its id.
pub(crate) fn insert_job(
    store: &Transaction<'_>,
    execution: i64,
    queue: &str,
    job: &NewJob,
    now: i64,
) -> Result<i64, StoreError> {
    let mut statement = store.prepare_cached(
        "INSERT INTO jobs (execution, queue, state, place, repository, repository_name, branch, rev, path, only_fetch_workspace, queued_at)
         VALUES (?1, ?2, 'queued', (SELECT coalesce(max(place), 0) + 1 FROM jobs), ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![
        execution,
        queue,
        job.repository,
        job.repository_name,
        job.branch,
        job.rev,
        job.path,
        job.only_fetch_workspace,
        now
    ])?;
    Ok(store.last_insert_rowid())
}

/// Leases the first job of a queue to a worker, and makes this the job's token.
pub(crate) fn claim(
    store: &Transaction<'_>,
    queue: &str,
    worker: &str,
    token: &[u8; 32],
    now: i64,
) -> Result<Option<Job>, StoreError> {
    let mut first = store.prepare_cached(
        "SELECT id FROM jobs WHERE queue = ?1 AND state = 'queued' ORDER BY place LIMIT 1",
    )?;
    let id: Option<i64> = first.query_row([queue], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(None) };
    let mut lease = store.prepare_cached(
        "UPDATE jobs SET state = 'processing', worker = ?2, started_at = ?3, last_heartbeat_at = ?3, finished_at = NULL, failure = NULL
         WHERE id = ?1",
    )?;
    lease.execute(params![id, worker, now])?;
    store
        .prepare_cached("DELETE FROM log_entries WHERE job = ?1")?
        .execute([id])?;
    store
        .prepare_cached("INSERT OR REPLACE INTO tokens (job, hash) VALUES (?1, ?2)")?
        .execute(params![id, token.as_slice()])?;
    job(store, id)
}

/// One of them.
pub(crate) fn job(store: &Connection, id: i64) -> Result<Option<Job>, StoreError> {
    let mut statement =
        store.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

/// The jobs of an execution.
pub(crate) fn jobs(store: &Connection, execution: i64) -> Result<Vec<Job>, StoreError> {
    let mut statement = store.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM jobs WHERE execution = ?1 ORDER BY id"
    ))?;
    let mut rows = statement.query([execution])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Whether the worker has the job right now.
pub(crate) fn works_on(
    store: &Connection,
    queue: &str,
    worker: &str,
    job: i64,
) -> Result<bool, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT 1 FROM jobs WHERE id = ?1 AND queue = ?2 AND worker = ?3 AND state = 'processing'",
    )?;
    let found = statement.query_row(params![job, queue, worker], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The jobs that the worker has.
    pub(crate) known: Vec<i64>,
    /// Those of them that it has to cancel.
    pub(crate) canceled: Vec<i64>,
}

/// Prolongs the leases of those of these jobs that the worker has.
pub(crate) fn heartbeat(
    store: &Transaction<'_>,
    queue: &str,
    worker: &str,
    jobs: &[i64],
    now: i64,
) -> Result<Beat, StoreError> {
    let mut statement = store.prepare_cached(
        "UPDATE jobs SET last_heartbeat_at = ?4 WHERE id = ?1 AND queue = ?2 AND worker = ?3 AND state = 'processing' RETURNING cancel",
    )?;
    let mut beat = Beat::default();
    for &job in jobs {
        let cancel = statement
            .query_row(params![job, queue, worker, now], |row| {
                row.get::<_, bool>(0)
            })
            .optional()?;
        if let Some(cancel) = cancel {
            beat.known.push(job);
            if cancel {
                beat.canceled.push(job);
            }
        }
    }
    Ok(beat)
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End<'a> {
    Completed,
    Failed(&'a str),
}

/// Ends a job that the worker has; false if it has it no more. What was cancelled and did not complete is cancelled.
pub(crate) fn finish(
    store: &Transaction<'_>,
    queue: &str,
    worker: &str,
    job: i64,
    end: End<'_>,
    now: i64,
) -> Result<bool, StoreError> {
    let (state, failure) = match end {
        End::Completed => (JobState::Completed, None),
        End::Failed(failure) => (JobState::Failed, Some(failure)),
    };
    let mut statement = store.prepare_cached(
        "UPDATE jobs SET state = CASE WHEN cancel AND ?4 <> 'completed' THEN 'canceled' ELSE ?4 END, failure = ?5, finished_at = ?6
         WHERE id = ?1 AND queue = ?2 AND worker = ?3 AND state = 'processing' RETURNING execution",
    )?;
    let execution: Option<i64> = statement
        .query_row(
            params![job, queue, worker, state.name(), failure, now],
            |row| row.get(0),
        )
        .optional()?;
    let Some(execution) = execution else {
        return Ok(false);
    };
    forget_token(store, job)?;
    settle(store, execution, now)?;
    Ok(true)
}

/// Notes with how many known steps a job runs, and under what name the result of the last of them is kept.
pub(crate) fn set_known(
    store: &Transaction<'_>,
    job: i64,
    steps: i64,
    key: Option<&str>,
) -> Result<(), StoreError> {
    store
        .prepare_cached("UPDATE jobs SET known_steps = ?2, known_key = ?3 WHERE id = ?1")?
        .execute(params![job, steps, key])?;
    Ok(())
}

/// Ends a job without an executor, as all its steps are known.
pub(crate) fn complete_known(
    store: &Transaction<'_>,
    job: i64,
    end: End<'_>,
    known_steps: i64,
    now: i64,
) -> Result<(), StoreError> {
    let (state, failure) = match end {
        End::Completed => (JobState::Completed, None),
        End::Failed(failure) => (JobState::Failed, Some(failure)),
    };
    let execution: Option<i64> = store
        .query_row(
            "UPDATE jobs SET state = ?2, failure = ?3, known_steps = ?4, started_at = coalesce(started_at, ?5), finished_at = ?5
             WHERE id = ?1 AND state IN ('queued', 'processing') RETURNING execution",
            params![job, state.name(), failure, known_steps, now],
            |row| row.get(0),
        )
        .optional()?;
    forget_token(store, job)?;
    match execution {
        Some(execution) => settle(store, execution, now),
        None => Ok(()),
    }
}

fn forget_token(store: &Transaction<'_>, job: i64) -> Result<(), StoreError> {
    store
        .prepare_cached("DELETE FROM tokens WHERE job = ?1")?
        .execute([job])?;
    Ok(())
}

/// Takes jobs back from workers of which nothing was heard since `before`: to the place in the queue that they had, or, if that was done too often, to their end.
/// Returns how many.
pub(crate) fn reset_stalled(
    store: &Transaction<'_>,
    before: i64,
    now: i64,
) -> Result<usize, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT id, execution, num_resets, cancel FROM jobs WHERE state = 'processing' AND last_heartbeat_at < ?1",
    )?;
    let stalled: Vec<(i64, i64, i64, bool)> = statement
        .query_map([before], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    for &(job, execution, resets, cancel) in &stalled {
        let ended = if cancel {
            Some((JobState::Canceled, CANCELED))
        } else if resets >= RESETS {
            Some((JobState::Failed, DIED))
        } else {
            None
        };
        match ended {
            Some((state, failure)) => {
                store.execute(
                    "UPDATE jobs SET state = ?2, failure = ?3, finished_at = ?4 WHERE id = ?1",
                    params![job, state.name(), failure, now],
                )?;
                settle(store, execution, now)?;
            }
            None => {
                store.execute(
                    "UPDATE jobs SET state = 'queued', worker = NULL, num_resets = num_resets + 1 WHERE id = ?1",
                    [job],
                )?;
            }
        }
        forget_token(store, job)?;
    }
    Ok(stalled.len())
}

/// Cancels what has not ended of an execution: what waits at once, what runs with its next heartbeat. False if all has ended.
pub(crate) fn cancel(
    store: &Transaction<'_>,
    execution: i64,
    now: i64,
) -> Result<bool, StoreError> {
    let resolving = store.execute(
        "UPDATE executions SET state = 'canceled', finished_at = ?2 WHERE id = ?1 AND state IN ('draft', 'resolving')",
        params![execution, now],
    )?;
    let queued = store.execute(
        "UPDATE jobs SET state = 'canceled', failure = ?3, finished_at = ?2 WHERE execution = ?1 AND state = 'queued'",
        params![execution, now, CANCELED],
    )?;
    let processing = store.execute(
        "UPDATE jobs SET cancel = 1 WHERE execution = ?1 AND state = 'processing'",
        [execution],
    )?;
    settle(store, execution, now)?;
    Ok(resolving + queued + processing > 0)
}

/// Puts the jobs of an execution that failed or were cancelled at the end of their queues. Returns how many.
pub(crate) fn retry(
    store: &Transaction<'_>,
    execution: i64,
    now: i64,
) -> Result<usize, StoreError> {
    let mut statement = store.prepare(
        "SELECT id FROM jobs WHERE execution = ?1 AND state IN ('failed', 'canceled') ORDER BY id",
    )?;
    let again: Vec<i64> = statement
        .query_map([execution], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for job in &again {
        store.execute(
            "UPDATE jobs SET state = 'queued', place = (SELECT max(place) + 1 FROM jobs), cancel = 0, num_resets = 0, worker = NULL,
                 failure = NULL, queued_at = ?2, started_at = NULL, finished_at = NULL WHERE id = ?1",
            params![job, now],
        )?;
    }
    if !again.is_empty() {
        store.execute(
            "UPDATE executions SET state = 'running', finished_at = NULL WHERE id = ?1",
            [execution],
        )?;
    }
    Ok(again.len())
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenOwner {
    pub(crate) job: i64,
    pub(crate) queue: String,
    pub(crate) repository_name: String,
    /// The repository that it opens.
    pub(crate) repository: i64,
}

/// Whose token this is the digest of.
pub(crate) fn token_owner(
    store: &Connection,
    hash: &[u8; 32],
) -> Result<Option<TokenOwner>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT jobs.id, jobs.queue, jobs.repository_name, jobs.repository
         FROM tokens JOIN jobs ON jobs.id = tokens.job WHERE tokens.hash = ?1",
    )?;
    let owner = statement.query_row([hash.as_slice()], |row| {
        Ok(TokenOwner {
            job: row.get(0)?,
            queue: row.get(1)?,
            repository_name: row.get(2)?,
            repository: row.get(3)?,
        })
    });
    Ok(owner.optional()?)
}
