//! The executors that were seen.

use capstan_protocol::Telemetry;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, from_json, to_json};

/// An executor that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) queues: Vec<String>,
    pub(crate) telemetry: [(String, String); 7],
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// Notes that an executor was seen. What a ping does not tell stays as it was.
pub(crate) fn touch(
    store: &Transaction<'_>,
    name: &str,
    queues: &[String],
    telemetry: Option<&Telemetry>,
    now: i64,
) -> Result<(), StoreError> {
    let told = telemetry.map(|telemetry| to_json(&pairs(telemetry)));
    let mut statement = store.prepare_cached(
        "INSERT INTO executors (name, queues, telemetry, first_seen, last_seen) VALUES (?1, ?2, coalesce(?3, ?4), ?5, ?5)
         ON CONFLICT (name) DO UPDATE SET queues = excluded.queues, telemetry = coalesce(?3, telemetry), last_seen = excluded.last_seen",
    )?;
    let nothing = to_json(&pairs(&Telemetry::default()));
    statement.execute(params![name, to_json(&queues), told, nothing, now])?;
    Ok(())
}

fn pairs(telemetry: &Telemetry) -> [(String, String); 7] {
    [
        ("os", &telemetry.os),
        ("architecture", &telemetry.architecture),
        ("docker", &telemetry.docker_version),
        ("executor", &telemetry.executor_version),
        ("git", &telemetry.git_version),
        ("ignite", &telemetry.ignite_version),
        ("src", &telemetry.src_cli_version),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
}

/// Whether a heartbeat or ping ever came under this name.
pub(crate) fn is_known(store: &Connection, name: &str) -> Result<bool, StoreError> {
    let mut statement = store.prepare_cached("SELECT 1 FROM executors WHERE name = ?1")?;
    let found = statement.query_row([name], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// All of them, the last seen first.
pub(crate) fn executors(store: &Connection) -> Result<Vec<Seen>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT name, queues, telemetry, first_seen, last_seen FROM executors ORDER BY last_seen DESC, name LIMIT 500",
    )?;
    let mut rows = statement.query([])?;
    let mut seen = Vec::new();
    while let Some(row) = rows.next()? {
        seen.push(Seen {
            name: row.get(0)?,
            queues: from_json(&row.get::<_, String>(1)?)?,
            telemetry: from_json(&row.get::<_, String>(2)?)?,
            first_seen: row.get(3)?,
            last_seen: row.get(4)?,
        });
    }
    Ok(seen)
}

/// Forgets those that were not seen since `before`.
pub(crate) fn forget_executors(store: &Transaction<'_>, before: i64) -> Result<usize, StoreError> {
    Ok(store.execute("DELETE FROM executors WHERE last_seen < ?1", [before])?)
}
