//! One workspace in which all steps of a batch spec run once.

use crate::spec::Step;

/// A repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The identity the server knows it by (a GraphQL id); for a local run, its name.
    pub id: String,
    /// Full name, for example `github.com/acme/widgets`.
    pub name: String,
    /// Branch name exactly as it was given; may or may not start with `refs/heads/`.
    pub branch: String,
    /// Full commit id.
    pub rev: String,
}

impl Repository {
    /// The branch as a full ref: `refs/heads/` is put in front unless it is there.
    pub fn base_ref(&self) -> String {
        if self.branch.starts_with("refs/heads/") {
            self.branch.clone()
        } else {
            format!("refs/heads/{}", self.branch)
        }
    }

    /// The branch without a leading `refs/heads/`.
    pub fn short_branch(&self) -> &str {
        self.branch
            .strip_prefix("refs/heads/")
            .unwrap_or(&self.branch)
    }
}

/// Name and description of the batch change, as templates and cache keys see them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchChange {
    /// `name` of the batch spec.
    pub name: String,
    /// `description` of the batch spec, empty if it has none.
    pub description: String,
}

/// The execution of all steps in one workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The repository and commit.
    pub repository: Repository,
    /// Workspace path inside the repository: no leading or trailing `/`, empty at the root.
    pub path: String,
    /// Whether only the workspace's directory is wanted from the repository.
    pub only_fetch_workspace: bool,
    /// Paths that the search named, sorted and unique.
    pub search_result_paths: Vec<String>,
    /// The batch change it belongs to.
    pub batch_change: BatchChange,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Task {
    /// Repository and workspace path, for people: `github.com/acme/widgets:services/api`.
    pub fn name(&self) -> String {
        match self.path.as_str() {
            "" => self.repository.name.clone(),
            path => format!("{}:{path}", self.repository.name),
        }
    }
}
