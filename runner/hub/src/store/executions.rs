//! Executions: one batch spec that was submitted, and what became of it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{JobState, StoreError, from_json, to_json};

/// Where an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionState {
    /// Files are still to come.
    Draft,
    /// Its repositories are being looked at.
    Resolving,
    /// It has jobs that have not ended.
    Running,
    /// All jobs are done.
    Completed,
    /// A job failed, or there are no jobs as the repositories cannot be used.
    Failed,
    /// It was cancelled, and no job failed.
    Canceled,
}

impl ExecutionState {
    const ALL: [Self; 6] = [
        Self::Draft,
        Self::Resolving,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
    ];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Resolving => "resolving",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The state that a word stands for.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more will come.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }
}

/// What is submitted.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// Random; the name of its files in the file store.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The batch spec as it was written.
    pub(crate) spec: String,
    /// Its steps as JSON.
    pub(crate) steps: String,
    /// Repositories that take the place of the spec's `on`.
    pub(crate) arguments: Vec<String>,
    pub(crate) use_cache: bool,
}

/// An execution.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) id: i64,
    pub(crate) state: ExecutionState,
    pub(crate) draft: Draft,
    pub(crate) warnings: Vec<String>,
    pub(crate) failure: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) finished_at: Option<i64>,
}

/// An execution in a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) id: i64,
    pub(crate) state: ExecutionState,
    pub(crate) name: String,
    pub(crate) failure: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) finished_at: Option<i64>,
    /// How many jobs are in each state.
    pub(crate) jobs: BTreeMap<&'static str, i64>,
}

fn state(row: &Row<'_>, column: usize) -> Result<ExecutionState, StoreError> {
    let name: String = row.get(column)?;
    ExecutionState::of(&name)
        .ok_or_else(|| StoreError::Corrupt(format!("the state {name:?} of an execution")))
}

/// Makes an execution that waits for its files. Returns its id.
pub(crate) fn insert_execution(
    store: &Transaction<'_>,
    draft: &Draft,
    now: i64,
) -> Result<i64, StoreError> {
    store.execute(
        "INSERT INTO executions (key, state, name, description, spec, steps, arguments, use_cache, created_at)
         VALUES (?1, 'draft', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            draft.key,
            draft.name,
            draft.description,
            draft.spec,
            draft.steps,
            to_json(&draft.arguments),
            draft.use_cache,
            now
        ],
    )?;
    Ok(store.last_insert_rowid())
}

/// Lets a draft be resolved; false if it is none.
pub(crate) fn begin(store: &Transaction<'_>, id: i64) -> Result<bool, StoreError> {
    let changed = store.execute(
        "UPDATE executions SET state = 'resolving' WHERE id = ?1 AND state = 'draft'",
        [id],
    )?;
    Ok(changed == 1)
}

/// Those that were being resolved when the hub stopped.
pub(crate) fn to_resolve(store: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement =
        store.prepare("SELECT id FROM executions WHERE state = 'resolving' ORDER BY id")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Notes that the jobs of an execution are there; false if it was cancelled meanwhile.
pub(crate) fn set_running(
    store: &Transaction<'_>,
    id: i64,
    warnings: &[String],
) -> Result<bool, StoreError> {
    let changed = store.execute(
        "UPDATE executions SET state = 'running', warnings = ?2 WHERE id = ?1 AND state = 'resolving'",
        params![id, to_json(&warnings)],
    )?;
    Ok(changed == 1)
}

/// Notes why an execution cannot have jobs.
pub(crate) fn fail_execution(
    store: &Transaction<'_>,
    id: i64,
    failure: &str,
    now: i64,
) -> Result<(), StoreError> {
    store.execute(
        "UPDATE executions SET state = 'failed', failure = ?2, finished_at = ?3 WHERE id = ?1 AND state = 'resolving'",
        params![id, failure, now],
    )?;
    forget_secrets(store, id)
}

/// Keeps the values of the variables that the spec takes from outside.
pub(crate) fn set_secrets(
    store: &Transaction<'_>,
    execution: i64,
    secrets: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    let mut statement = store.prepare_cached(
        "INSERT OR REPLACE INTO secrets (execution, name, value) VALUES (?1, ?2, ?3)",
    )?;
    for (name, value) in secrets {
        statement.execute(params![execution, name, value])?;
    }
    Ok(())
}

/// Their names, and their values as long as the execution has not ended.
pub(crate) fn secrets(
    store: &Connection,
    execution: i64,
) -> Result<BTreeMap<String, Option<String>>, StoreError> {
    let mut statement =
        store.prepare_cached("SELECT name, value FROM secrets WHERE execution = ?1")?;
    let rows = statement.query_map([execution], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn forget_secrets(store: &Transaction<'_>, execution: i64) -> Result<(), StoreError> {
    let mut statement = store.prepare_cached(
        "UPDATE secrets SET value = NULL WHERE execution = ?1 AND value IS NOT NULL",
    )?;
    statement.execute([execution])?;
    Ok(())
}

/// Ends an execution whose last job has ended.
pub(crate) fn settle(store: &Transaction<'_>, id: i64, now: i64) -> Result<(), StoreError> {
    let mut any =
        store.prepare_cached("SELECT 1 FROM jobs WHERE execution = ?1 AND state = ?2 LIMIT 1")?;
    let mut there_is = |state: JobState| -> Result<bool, StoreError> {
        Ok(any
            .query_row(params![id, state.name()], |_| Ok(()))
            .optional()?
            .is_some())
    };
    if there_is(JobState::Queued)? || there_is(JobState::Processing)? {
        return Ok(());
    }
    let state = if there_is(JobState::Failed)? {
        ExecutionState::Failed
    } else if there_is(JobState::Canceled)? {
        ExecutionState::Canceled
    } else {
        ExecutionState::Completed
    };
    let mut statement = store.prepare_cached(
        "UPDATE executions SET state = ?2, finished_at = ?3 WHERE id = ?1 AND state = 'running'",
    )?;
    if statement.execute(params![id, state.name(), now])? == 1 {
        forget_secrets(store, id)?;
    }
    Ok(())
}

/// One of them.
pub(crate) fn execution(store: &Connection, id: i64) -> Result<Option<Execution>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT id, state, key, name, description, spec, steps, arguments, use_cache, warnings, failure, created_at, finished_at
         FROM executions WHERE id = ?1",
    )?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Execution {
        id: row.get(0)?,
        state: state(row, 1)?,
        draft: Draft {
            key: row.get(2)?,
            name: row.get(3)?,
            description: row.get(4)?,
            spec: row.get(5)?,
            steps: row.get(6)?,
            arguments: from_json(&row.get::<_, String>(7)?)?,
            use_cache: row.get(8)?,
        },
        warnings: from_json(&row.get::<_, String>(9)?)?,
        failure: row.get(10)?,
        created_at: row.get(11)?,
        finished_at: row.get(12)?,
    }))
}

/// The newest, drafts left out; those with a smaller id than `before`, if that is given.
pub(crate) fn executions(
    store: &Connection,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT id, state, name, failure, created_at, finished_at FROM executions
         WHERE state <> 'draft' AND id < coalesce(?1, 9223372036854775807) ORDER BY id DESC LIMIT ?2",
    )?;
    let mut count = store
        .prepare_cached("SELECT state, count(*) FROM jobs WHERE execution = ?1 GROUP BY state")?;
    let mut rows = statement.query(params![before, limit])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let mut jobs = BTreeMap::new();
        let mut counts = count.query([id])?;
        while let Some(row) = counts.next()? {
            let name: String = row.get(0)?;
            if let Some(state) = JobState::of(&name) {
                jobs.insert(state.name(), row.get(1)?);
            }
        }
        listed.push(Listed {
            id,
            state: state(row, 1)?,
            name: row.get(2)?,
            failure: row.get(3)?,
            created_at: row.get(4)?,
            finished_at: row.get(5)?,
            jobs,
        });
    }
    Ok(listed)
}

/// Removes what ended before `finished`, and drafts made before `drafted`, with their jobs, logs, files and changesets; at most `limit` of them, so that nobody
/// waits long for the store. Returns how many.
pub(crate) fn forget(
    store: &Transaction<'_>,
    finished: i64,
    drafted: i64,
    limit: i64,
) -> Result<usize, StoreError> {
    Ok(store.execute(
        "DELETE FROM executions WHERE id IN (
             SELECT id FROM executions WHERE finished_at < ?1
             UNION ALL SELECT id FROM executions WHERE state = 'draft' AND created_at < ?2
             LIMIT ?3)",
        params![finished, drafted, limit],
    )?)
}
