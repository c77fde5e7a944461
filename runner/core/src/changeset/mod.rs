//! Changeset specs: what becomes of a workspace's diff.

mod build;
mod duplicates;
mod group;
mod import;
mod json;
mod published;

pub use build::build;
pub use duplicates::{DuplicateBranches, check_unique_branches};
pub use group::GroupError;
pub use import::{ImportedChangeset, MissingRepositories, import};
pub use json::ChangesetSpecJson;
pub use published::published_for;

use crate::diff::DiffError;
use crate::glob::GlobError;
use crate::spec::{Author, PublishedValue};
use crate::template::TemplateError;

/// One branch with one commit, to be made a changeset on the code host (facts/batch-spec.md 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesetSpec {
    /// Identity of the repository; base and head are always the same.
    pub repository_id: String,
    /// Name of the repository, for people; not sent.
    pub repository_name: String,
    /// Full commit id that the diff is against.
    pub base_rev: String,
    /// Full ref that the changeset is to be merged into.
    pub base_ref: String,
    /// Full ref of the changeset's branch.
    pub head_ref: String,
    /// Title.
    pub title: String,
    /// Body, Markdown.
    pub body: String,
    /// Commit message.
    pub message: String,
    /// Author of the commit.
    pub author: Author,
    /// The diff in git's own text; never empty.
    pub diff: Vec<u8>,
    /// Whether to publish; `None` leaves it to the user interface.
    pub published: Option<PublishedValue>,
    /// Whether to push to a fork; `None` leaves it to the server.
    pub fork: Option<bool>,
}

impl ChangesetSpec {
    /// The branch without `refs/heads/`.
    pub fn branch(&self) -> &str {
        short(&self.head_ref)
    }
}

/// Why there are no changeset specs.
#[derive(Debug, thiserror::Error)]
pub enum ChangesetError {
    /// A field of the changeset template does not render.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The groups of `transformChanges` are at odds.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The diff cannot be split into its files.
    #[error("grouping diffs failed: {0}")]
    Diff(#[from] DiffError),
    /// A pattern of `published` is not a glob.
    #[error("changesetTemplate.published: {0}")]
    Published(#[from] GlobError),
}

const HEADS: &str = "refs/heads/";

fn full_ref(branch: &str) -> String {
    if branch.starts_with(HEADS) {
        branch.to_owned()
    } else {
        format!("{HEADS}{branch}")
    }
}

fn short(branch: &str) -> &str {
    branch.strip_prefix(HEADS).unwrap_or(branch)
}
