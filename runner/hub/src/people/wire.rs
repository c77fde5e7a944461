//! What is said over the API for people.

use std::collections::BTreeMap;

use capstan_core::changeset::{ChangesetSpec, ImportedChangeset};
use capstan_core::spec::{Author, PublishedValue};
use serde::{Deserialize, Serialize};

/// A batch spec to run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submission {
    /// The spec as it was written.
    pub spec: String,
    /// Repositories that take the place of its `on`: names that the hub knows, paths on the hub's machine, URLs.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Values of the variables that it takes from outside. The hub keeps them until the execution ends.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Runs every step, even where its result is known.
    #[serde(default)]
    pub no_cache: bool,
}

/// A submission that waits for its files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submitted {
    /// Its number.
    pub id: i64,
}

/// What a cancelled or retried execution had to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    /// How many jobs it was about; for a cancellation 1 or 0.
    pub jobs: usize,
}

/// Values for trying again: the hub does not keep them longer than an execution lasts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Values of the variables that the spec takes from outside.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
}

/// An execution in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its number.
    pub id: i64,
    /// See [`ExecutionState`](crate::ExecutionState).
    pub state: String,
    /// Name of the batch spec.
    pub name: String,
    /// Why it has no jobs.
    pub failure: Option<String>,
    /// When it was submitted.
    pub created_at: String,
    /// When its last job ended.
    pub finished_at: Option<String>,
    /// How many jobs are in each state.
    pub jobs: BTreeMap<String, i64>,
}

/// An execution with its jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// Its number.
    pub id: i64,
    /// See [`ExecutionState`](crate::ExecutionState).
    pub state: String,
    /// Name of the batch spec.
    pub name: String,
    /// Description of the batch spec.
    pub description: String,
    /// Why it has no jobs.
    pub failure: Option<String>,
    /// What the user should look at.
    pub warnings: Vec<String>,
    /// Names of the variables that the spec takes from outside.
    pub secrets: Vec<String>,
    /// When it was submitted.
    pub created_at: String,
    /// When its last job ended.
    pub finished_at: Option<String>,
    /// Its jobs.
    pub jobs: Vec<JobDetail>,
}

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDetail {
    /// Its number.
    pub id: i64,
    /// See [`JobState`](crate::JobState).
    pub state: String,
    /// Name of the repository.
    pub repository: String,
    /// Branch, empty if a commit was asked for.
    pub branch: String,
    /// The commit.
    pub rev: String,
    /// Directory of the workspace, empty at the root.
    pub path: String,
    /// Whether it is to be cancelled.
    pub cancel: bool,
    /// How often it was taken back from an executor that went silent.
    pub resets: i64,
    /// How many steps need not run, as their results were known.
    pub known_steps: i64,
    /// The executor that has it or had it.
    pub executor: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was put into the queue.
    pub queued_at: String,
    /// When an executor took it.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
}

impl JobDetail {
    /// Repository and workspace path, for people.
    pub fn workspace(&self) -> String {
        match self.path.as_str() {
            "" => self.repository.clone(),
            path => format!("{}:{path}", self.repository),
        }
    }
}

/// What came of an execution.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// Changesets in the order of the jobs.
    pub changesets: Vec<Changeset>,
    /// Existing changesets to track.
    pub imports: Vec<Import>,
}

/// An existing changeset to track.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    /// Name of the repository.
    pub repository: String,
    /// Identifier on the code host.
    pub external_id: String,
}

impl From<Import> for ImportedChangeset {
    fn from(import: Import) -> Self {
        Self {
            repository_id: import.repository,
            external_id: import.external_id,
        }
    }
}

/// A changeset spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changeset {
    /// The job it is from.
    pub job: i64,
    /// Name of the repository.
    pub repository: String,
    /// Identity of the repository.
    pub repository_id: String,
    /// Commit that the diff is against.
    pub base_rev: String,
    /// Full ref to merge into.
    pub base_ref: String,
    /// Full ref of the changeset's branch.
    pub head_ref: String,
    /// Title.
    pub title: String,
    /// Body.
    pub body: String,
    /// Commit message.
    pub message: String,
    /// Author's name.
    pub author_name: String,
    /// Author's address.
    pub author_email: String,
    /// `true`, `false` or `draft`.
    pub published: Option<String>,
    /// Whether to push to a fork.
    pub fork: Option<bool>,
    /// The diff; it may be of any bytes.
    #[serde(with = "base64_bytes")]
    pub diff: Vec<u8>,
}

impl Changeset {
    pub(crate) fn of(job: i64, spec: ChangesetSpec) -> Self {
        Self {
            job,
            repository: spec.repository_name,
            repository_id: spec.repository_id,
            base_rev: spec.base_rev,
            base_ref: spec.base_ref,
            head_ref: spec.head_ref,
            title: spec.title,
            body: spec.body,
            message: spec.message,
            author_name: spec.author.name,
            author_email: spec.author.email,
            published: spec.published.map(|value| match value {
                PublishedValue::Yes => "true".to_owned(),
                PublishedValue::No => "false".to_owned(),
                PublishedValue::Draft => "draft".to_owned(),
            }),
            fork: spec.fork,
            diff: spec.diff,
        }
    }
}

impl From<Changeset> for ChangesetSpec {
    fn from(changeset: Changeset) -> Self {
        Self {
            repository_id: changeset.repository_id,
            repository_name: changeset.repository,
            base_rev: changeset.base_rev,
            base_ref: changeset.base_ref,
            head_ref: changeset.head_ref,
            title: changeset.title,
            body: changeset.body,
            message: changeset.message,
            author: Author {
                name: changeset.author_name,
                email: changeset.author_email,
            },
            published: changeset.published.and_then(|value| match value.as_str() {
                "true" => Some(PublishedValue::Yes),
                "false" => Some(PublishedValue::No),
                "draft" => Some(PublishedValue::Draft),
                _ => None,
            }),
            fork: changeset.fork,
            diff: changeset.diff,
        }
    }
}

/// An entry of a job's log, without what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Its place in the log, from 1.
    pub number: i64,
    /// What it is about.
    pub key: String,
    /// The command with its arguments.
    pub command: Option<Vec<String>>,
    /// When it began.
    pub start_time: String,
    /// How it ended; `None` while it runs.
    pub exit_code: Option<i32>,
    /// How long it ran.
    pub duration_ms: Option<i64>,
    /// Bytes of what it says.
    pub size: i64,
}

/// An executor that was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Executor {
    /// Its name.
    pub name: String,
    /// The queues it takes from.
    pub queues: Vec<String>,
    /// What it says of its machine.
    pub telemetry: BTreeMap<String, String>,
    /// When it was seen first.
    pub first_seen: String,
    /// When it was seen last.
    pub last_seen: String,
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}
