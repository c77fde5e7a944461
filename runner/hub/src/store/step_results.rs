//! Results of steps under the names that say all they depend on.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::StoreError;

/// Keeps a result.
pub(crate) fn insert_step_result(
    store: &Transaction<'_>,
    key: &str,
    value: &[u8],
    now: i64,
) -> Result<(), StoreError> {
    let mut statement = store.prepare_cached(
        "INSERT INTO step_results (key, value, made_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, made_at = excluded.made_at",
    )?;
    statement.execute(params![key, value, now])?;
    Ok(())
}

/// A result, if there is one.
pub(crate) fn step_result(store: &Connection, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = store.prepare_cached("SELECT value FROM step_results WHERE key = ?1")?;
    let value = statement.query_row([key], |row| row.get(0));
    Ok(value.optional()?)
}

/// Forgets the results that were made before that.
pub(crate) fn forget_step_results(
    store: &Transaction<'_>,
    before: i64,
) -> Result<usize, StoreError> {
    Ok(store.execute("DELETE FROM step_results WHERE made_at < ?1", [before])?)
}
