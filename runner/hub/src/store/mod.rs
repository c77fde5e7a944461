//! All that the hub remembers, in one SQLite file.
//!
//! There is one connection that writes, used by one task at a time, and a few that read beside it. What belongs together is one
//! transaction, so a hub that is killed has either done it or not. Times are handed in, in milliseconds since 1970.

mod changesets;
mod executions;
mod executors;
mod files;
mod jobs;
mod logs;
mod repositories;
mod schema;
mod step_results;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

pub(crate) use self::changesets::{changesets, insert_changesets};
pub use self::executions::ExecutionState;
pub(crate) use self::executions::{
    Draft, Execution, Listed, begin, execution, executions, fail_execution, forget,
    insert_execution, secrets, set_running, set_secrets, settle, to_resolve,
};
pub(crate) use self::executors::{Seen, executors, forget_executors, is_known, touch};
pub(crate) use self::files::{StoredFile, file, files, insert_file};
pub use self::jobs::JobState;
pub(crate) use self::jobs::{
    End, Job, NewJob, TokenOwner, cancel, claim, complete_known, finish, heartbeat, insert_job,
    job, jobs, reset_stalled, retry, set_known, token_owner, works_on,
};
pub(crate) use self::logs::{Entry, add_entry, entries, read_out, read_piece, update_entry};
pub(crate) use self::repositories::{
    Registered, known_or_new, register, repositories, repository_by_name,
};
pub(crate) use self::step_results::{forget_step_results, insert_step_result, step_result};

/// How many readers there are at most.
const READERS: usize = 4;

/// How long one connection waits for another process that has the file.
const BUSY: Duration = Duration::from_secs(10);

/// Size in bytes to which the write-ahead log is cut when it has been worked off.
const JOURNAL: i64 = 64 << 20;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What SQLite says.
    #[error("the hub's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// What the file system says.
    #[error("the hub's database: {0}")]
    Io(#[from] std::io::Error),
    /// The file was made by a newer Capstan.
    #[error("{} was made by a newer version of Capstan (schema {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// Something in it is not what was written there.
    #[error("the hub's database holds something unreadable: {0}")]
    Corrupt(String),
    /// The work was given up, as the hub ends.
    #[error("the hub is shutting down")]
    Interrupted,
}

/// The store. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    turn: Semaphore,
    readers: Mutex<Vec<Connection>>,
    seats: Semaphore,
}

impl Store {
    /// Opens the file, making it if need be. Only its owner can read it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        // Made by us, for SQLite would let others read it.
        let mut options = fs_err::OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.open(path)?;
        let mut writer = connect(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        schema::migrate(&mut writer, path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                writer: Mutex::new(writer),
                turn: Semaphore::new(1),
                readers: Mutex::default(),
                seats: Semaphore::new(READERS),
            }),
        })
    }

    /// Runs `work` in a transaction, which counts if it returns without an error.
    ///
    /// # Errors
    /// Those of `work`, and SQLite's.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.inner.turn.acquire().await;
        let _turn = turn.map_err(|_| StoreError::Interrupted)?;
        let inner = Arc::clone(&self.inner);
        let working = tokio::task::spawn_blocking(move || {
            let mut writer = inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        working.await.map_err(|_| StoreError::Interrupted)?
    }

    /// Runs `work`, which sees the store as it was at one moment.
    ///
    /// # Errors
    /// Those of `work`, and SQLite's.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let seat = self.inner.seats.acquire().await;
        let _seat = seat.map_err(|_| StoreError::Interrupted)?;
        let inner = Arc::clone(&self.inner);
        let working = tokio::task::spawn_blocking(move || {
            let idle = lock(&inner.readers).pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => connect(&inner.path)?,
            };
            let transaction = connection.transaction()?;
            let result = work(&transaction);
            drop(transaction);
            lock(&inner.readers).push(connection);
            result
        });
        working.await.map_err(|_| StoreError::Interrupted)?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // With a write-ahead log a killed process loses nothing; only a machine that loses power may lose the last moments.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "secure_delete", "FAST")?;
    // What a large log needed is given back.
    connection.pragma_update(None, "journal_size_limit", JOURNAL)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Reads JSON that the hub wrote itself.
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("texts and lists can be JSON")
}
