//! Changeset specs of finished jobs.

use capstan_core::changeset::ChangesetSpec;
use capstan_core::spec::{Author, PublishedValue};
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{StoreError, from_json, to_json};

/// A changeset spec and the job it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredChangeset {
    pub(crate) job: i64,
    pub(crate) spec: ChangesetSpec,
}

/// All of a changeset spec but its diff.
#[derive(Serialize, Deserialize)]
struct Facts {
    repository_id: String,
    repository_name: String,
    base_rev: String,
    base_ref: String,
    head_ref: String,
    title: String,
    body: String,
    message: String,
    author_name: String,
    author_email: String,
    published: Option<String>,
    fork: Option<bool>,
}

/// Keeps the changesets of a job in the place of those it had.
pub(crate) fn insert_changesets(
    store: &Transaction<'_>,
    job: i64,
    specs: &[ChangesetSpec],
) -> Result<(), StoreError> {
    store.execute("DELETE FROM changesets WHERE job = ?1", [job])?;
    let mut statement = store.prepare_cached(
        "INSERT INTO changesets (job, number, facts, diff) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (number, spec) in (1_i64..).zip(specs) {
        let facts = Facts {
            repository_id: spec.repository_id.clone(),
            repository_name: spec.repository_name.clone(),
            base_rev: spec.base_rev.clone(),
            base_ref: spec.base_ref.clone(),
            head_ref: spec.head_ref.clone(),
            title: spec.title.clone(),
            body: spec.body.clone(),
            message: spec.message.clone(),
            author_name: spec.author.name.clone(),
            author_email: spec.author.email.clone(),
            published: spec.published.map(|value| published(value).to_owned()),
            fork: spec.fork,
        };
        statement.execute(params![job, number, to_json(&facts), spec.diff])?;
    }
    Ok(())
}

/// How a state of publication is written.
fn published(value: PublishedValue) -> &'static str {
    match value {
        PublishedValue::Yes => "true",
        PublishedValue::No => "false",
        PublishedValue::Draft => "draft",
    }
}

/// The changesets of an execution, in the order of its jobs.
pub(crate) fn changesets(
    store: &Connection,
    execution: i64,
) -> Result<Vec<StoredChangeset>, StoreError> {
    let mut statement = store.prepare_cached(
        "SELECT changesets.job, facts, diff FROM changesets JOIN jobs ON jobs.id = changesets.job
         WHERE jobs.execution = ?1 ORDER BY changesets.job, changesets.number",
    )?;
    let mut rows = statement.query([execution])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let facts: Facts = from_json(&row.get::<_, String>(1)?)?;
        let published = match facts.published.as_deref() {
            None => None,
            Some("true") => Some(PublishedValue::Yes),
            Some("false") => Some(PublishedValue::No),
            Some("draft") => Some(PublishedValue::Draft),
            Some(other) => return Err(StoreError::Corrupt(format!("published is {other:?}"))),
        };
        found.push(StoredChangeset {
            job: row.get(0)?,
            spec: ChangesetSpec {
                repository_id: facts.repository_id,
                repository_name: facts.repository_name,
                base_rev: facts.base_rev,
                base_ref: facts.base_ref,
                head_ref: facts.head_ref,
                title: facts.title,
                body: facts.body,
                message: facts.message,
                author: Author {
                    name: facts.author_name,
                    email: facts.author_email,
                },
                diff: row.get(2)?,
                published,
                fork: facts.fork,
            },
        });
    }
    Ok(found)
}
