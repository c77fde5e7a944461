//! Execution logs. What an entry says may be hundreds of megabytes, so it is kept in pieces, and of an update only the pieces that
//! changed are written.

use capstan_protocol::LogEntry;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, from_json, to_json};

/// Size of a piece in bytes.
const CHUNK: usize = 1 << 20;

/// An entry without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    /// Its place in the log, from 1.
    pub(crate) number: i64,
    pub(crate) key: String,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) start_time: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) duration_ms: Option<i64>,
    /// Bytes of what it says.
    pub(crate) size: i64,
}

/// Puts an entry at the end of a job's log. Returns its place, from 1.
pub(crate) fn add_entry(
    store: &Transaction<'_>,
    job: i64,
    entry: &LogEntry,
) -> Result<i64, StoreError> {
    let mut statement = store.prepare_cached(
        "INSERT INTO log_entries (job, number, key, command, start_time, exit_code, duration_ms, size)
         VALUES (?1, (SELECT count(*) + 1 FROM log_entries WHERE job = ?1), ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id, number",
    )?;
    let (id, number) = statement.query_row(
        params![
            job,
            entry.key,
            entry.command.as_ref().map(to_json),
            entry.start_time.to_string(),
            entry.exit_code,
            entry.duration_ms.and_then(|ms| i64::try_from(ms).ok()),
            size(entry)
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    write_out(store, id, &entry.out)?;
    Ok(number)
}

/// Puts an entry in the place of another; false if there is none.
pub(crate) fn update_entry(
    store: &Transaction<'_>,
    job: i64,
    number: i64,
    entry: &LogEntry,
) -> Result<bool, StoreError> {
    let mut statement = store.prepare_cached(
        "UPDATE log_entries SET key = ?3, command = ?4, start_time = ?5, exit_code = ?6, duration_ms = ?7, size = ?8
         WHERE job = ?1 AND number = ?2 RETURNING id",
    )?;
    let id: Option<i64> = statement
        .query_row(
            params![
                job,
                number,
                entry.key,
                entry.command.as_ref().map(to_json),
                entry.start_time.to_string(),
                entry.exit_code,
                entry.duration_ms.and_then(|ms| i64::try_from(ms).ok()),
                size(entry)
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = id else { return Ok(false) };
    write_out(store, id, &entry.out)?;
    Ok(true)
}

fn size(entry: &LogEntry) -> i64 {
    i64::try_from(entry.out.len()).unwrap_or(i64::MAX)
}

fn write_out(store: &Transaction<'_>, entry: i64, out: &str) -> Result<(), StoreError> {
    let mut old =
        store.prepare_cached("SELECT data FROM log_chunks WHERE entry = ?1 AND number = ?2")?;
    let mut new = store.prepare_cached(
        "INSERT INTO log_chunks (entry, number, data) VALUES (?1, ?2, ?3)
         ON CONFLICT (entry, number) DO UPDATE SET data = excluded.data",
    )?;
    let mut count = 0_i64;
    for chunk in out.as_bytes().chunks(CHUNK) {
        let is_there = old
            .query_row(params![entry, count], |row| {
                Ok(row.get_ref(0)?.as_blob().is_ok_and(|data| data == chunk))
            })
            .optional()?;
        if is_there != Some(true) {
            new.execute(params![entry, count, chunk])?;
        }
        count += 1;
    }
    store
        .prepare_cached("DELETE FROM log_chunks WHERE entry = ?1 AND number >= ?2")?
        .execute(params![entry, count])?;
    Ok(())
}

/// The entries of a job.
pub(crate) fn entries(store: &Connection, job: i64) -> Result<Vec<Entry>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT id, number, key, command, start_time, exit_code, duration_ms, size FROM log_entries WHERE job = ?1 ORDER BY number",
    )?;
    let mut rows = statement.query([job])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let command: Option<String> = row.get(3)?;
        found.push(Entry {
            id: row.get(0)?,
            number: row.get(1)?,
            key: row.get(2)?,
            command: command.map(|text| from_json(&text)).transpose()?,
            start_time: row.get(4)?,
            exit_code: row.get(5)?,
            duration_ms: row.get(6)?,
            size: row.get(7)?,
        });
    }
    Ok(found)
}

/// Hands what an entry says to `sink`, piece by piece, from the byte `from` on.
pub(crate) fn read_out(
    store: &Connection,
    entry: i64,
    from: i64,
    mut sink: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let chunk = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    let mut statement = store.prepare_cached(
        "SELECT number, data FROM log_chunks WHERE entry = ?1 AND number >= ?2 ORDER BY number",
    )?;
    let from = from.max(0);
    let mut rows = statement.query(params![entry, from / chunk])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let data = row.get_ref(1)?.as_blob().unwrap_or_default();
        let skipped = usize::try_from(from - number * chunk).unwrap_or_default();
        sink(data.get(skipped..).unwrap_or_default())?;
    }
    Ok(())
}

/// The rest of the piece of an entry that has the byte `from`; empty at the end.
pub(crate) fn read_piece(store: &Connection, entry: i64, from: i64) -> Result<Vec<u8>, StoreError> {
    let chunk = i64::try_from(CHUNK).unwrap_or(i64::MAX);
    let mut statement = store.prepare_cached(
        "SELECT substr(data, ?3) FROM log_chunks WHERE entry = ?1 AND number = ?2",
    )?;
    let piece = statement
        .query_row(params![entry, from / chunk, from % chunk + 1], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(piece.unwrap_or_default())
}
