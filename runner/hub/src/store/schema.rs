//! The tables, and how older files get them.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// What makes each version of the one before; the first makes the tables. Never change one that was released.
const MIGRATIONS: &[&str] = &[VERSION_1];

const VERSION_1: &str = "
CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    source TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX repositories_by_name ON repositories (name);

CREATE TABLE executions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('draft', 'resolving', 'running', 'completed', 'failed', 'canceled')),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    spec TEXT NOT NULL,
    steps TEXT NOT NULL,
    arguments TEXT NOT NULL,
    use_cache INTEGER NOT NULL,
    warnings TEXT NOT NULL DEFAULT '[]',
    failure TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE secrets (
    execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT,
    PRIMARY KEY (execution, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    digest TEXT NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (execution, path),
    UNIQUE (execution, key)
) STRICT;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    queue TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'processing', 'completed', 'failed', 'canceled')),
    place INTEGER NOT NULL,
    repository INTEGER NOT NULL REFERENCES repositories (id),
    repository_name TEXT NOT NULL,
    branch TEXT NOT NULL,
    rev TEXT NOT NULL,
    path TEXT NOT NULL,
    only_fetch_workspace INTEGER NOT NULL,
    cancel INTEGER NOT NULL DEFAULT 0,
    num_resets INTEGER NOT NULL DEFAULT 0,
    known_steps INTEGER NOT NULL DEFAULT 0,
    known_key TEXT,
    worker TEXT,
    failure TEXT,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    last_heartbeat_at INTEGER,
    finished_at INTEGER
) STRICT;
CREATE INDEX jobs_queued ON jobs (queue, place) WHERE state = 'queued';
CREATE INDEX jobs_processing ON jobs (last_heartbeat_at) WHERE state = 'processing';
CREATE INDEX jobs_of_execution ON jobs (execution, state);
CREATE INDEX jobs_place ON jobs (place);

CREATE TABLE tokens (
    job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE log_entries (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    command TEXT,
    start_time TEXT NOT NULL,
    exit_code INTEGER,
    duration_ms INTEGER,
    size INTEGER NOT NULL,
    UNIQUE (job, number)
) STRICT;

CREATE TABLE log_chunks (
    id INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES log_entries (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (entry, number)
) STRICT;

CREATE TABLE step_results (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
CREATE INDEX step_results_made ON step_results (made_at);

CREATE TABLE changesets (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    facts TEXT NOT NULL,
    diff BLOB NOT NULL,
    UNIQUE (job, number)
) STRICT;

CREATE TABLE executors (
    name TEXT PRIMARY KEY,
    queues TEXT NOT NULL,
    telemetry TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;
CREATE INDEX executors_seen ON executors (last_seen);
";

/// Brings a file to the newest version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    // Immediate, so that of two hubs that start at once one waits for the other.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let done = usize::try_from(found).map_err(|_| {
        StoreError::Corrupt(format!("the version of {} is {found}", path.display()))
    })?;
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}
