//! Files that steps mount.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::StoreError;

/// A file that was uploaded, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFile {
    /// Name in the file store, below that of the execution.
    pub(crate) key: String,
    /// Path from the spec's directory.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) modified_at: jiff::Timestamp,
    /// `sha256:...` of its bytes.
    pub(crate) digest: String,
}

/// Keeps a file of an execution; one of the same path takes the place of the other.
pub(crate) fn insert_file(
    store: &Transaction<'_>,
    execution: i64,
    file: &StoredFile,
    content: &[u8],
) -> Result<(), StoreError> {
    store.execute(
        "INSERT OR REPLACE INTO files (execution, key, path, size, modified_at, digest, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            execution,
            file.key,
            file.path,
            i64::try_from(file.size).unwrap_or(i64::MAX),
            file.modified_at.to_string(),
            file.digest,
            content
        ],
    )?;
    Ok(())
}

/// The files of an execution, by path.
pub(crate) fn files(store: &Connection, execution: i64) -> Result<Vec<StoredFile>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT key, path, size, modified_at, digest FROM files WHERE execution = ?1 ORDER BY path",
    )?;
    let mut rows = statement.query([execution])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let modified: String = row.get(3)?;
        found.push(StoredFile {
            key: row.get(0)?,
            path: row.get(1)?,
            size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
            modified_at: modified
                .parse()
                .map_err(|_| StoreError::Corrupt(format!("the time {modified:?}")))?,
            digest: row.get(4)?,
        });
    }
    Ok(found)
}

/// What is in a file, by the names of its execution and of itself.
pub(crate) fn file(
    store: &Connection,
    execution: &str,
    key: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT content FROM files JOIN executions ON executions.id = files.execution
         WHERE executions.key = ?1 AND files.key = ?2",
    )?;
    let content = statement.query_row([execution, key], |row| row.get(0));
    Ok(content.optional()?)
}
