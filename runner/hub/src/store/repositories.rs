//! The repositories that the hub knows: by where they are, and what they are called.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::StoreError;

/// A repository that the hub knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) id: i64,
    /// What specs call it.
    pub(crate) name: String,
    /// Path or URL, as `Source::parse` takes it. A URL may hold credentials.
    pub(crate) source: String,
}

/// Notes a repository; one that is known gets the name. Returns its id.
pub(crate) fn register(
    store: &Transaction<'_>,
    name: &str,
    source: &str,
    now: i64,
) -> Result<i64, StoreError> {
    let id = store.query_row(
        "INSERT INTO repositories (name, source, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (source) DO UPDATE SET name = excluded.name RETURNING id",
        params![name, source, now],
        |row| row.get(0),
    )?;
    Ok(id)
}

/// The id of a repository, which keeps the name it has; one that is not known becomes known under this name.
pub(crate) fn known_or_new(
    store: &Transaction<'_>,
    name: &str,
    source: &str,
    now: i64,
) -> Result<i64, StoreError> {
    let known = store
        .query_row(
            "SELECT id FROM repositories WHERE source = ?1",
            [source],
            |row| row.get(0),
        )
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => register(store, name, source, now),
    }
}

/// All of them, by name.
pub(crate) fn repositories(store: &Connection) -> Result<Vec<Registered>, StoreError> {
    let mut statement =
        store.prepare_cached("SELECT id, name, source FROM repositories ORDER BY name, id")?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first of this name.
pub(crate) fn repository_by_name(
    store: &Connection,
    name: &str,
) -> Result<Option<Registered>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT id, name, source FROM repositories WHERE name = ?1 ORDER BY id LIMIT 1",
    )?;
    Ok(statement.query_row([name], read).optional()?)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Registered> {
    Ok(Registered {
        id: row.get(0)?,
        name: row.get(1)?,
        source: row.get(2)?,
    })
}
