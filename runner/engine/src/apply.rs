//! Turns a changeset into a branch with one commit in a repository of the user.
//!
//! The user's working tree and index are not touched, and none of the repository's hooks or filters run: the
//! commit is made in a temporary index, on the commit that the diff is against.

use crate::fault::Fault;
use crate::git::{Git, GitError, Invocation};
use crate::repository::LocalRepository;

/// A commit to be made.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Commit that the diff is against, and the parent of the new one.
    pub base: &'a str,
    /// Name of the branch, with or without `refs/heads/`.
    pub branch: &'a str,
    /// Diff without prefixes, as [`crate::workspace::Workspace::diff`] makes it.
    pub diff: &'a [u8],
    /// Commit message.
    pub message: &'a str,
    /// Name of author and committer.
    pub author_name: &'a str,
    /// Their address.
    pub author_email: &'a str,
}

/// What may be done to what is already there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Permission {
    /// Replace a branch that exists with other content.
    pub replace: bool,
    /// Go on although tracked files differ from `HEAD`. They are not touched in any case.
    pub dirty: bool,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The branch is new.
    Created {
        /// Its commit.
        commit: String,
    },
    /// The branch was there with something else.
    Replaced {
        /// Its commit.
        commit: String,
        /// The commit it was at before.
        previous: String,
    },
    /// The branch is there with the same content on the same base; nothing was done.
    AlreadyThere {
        /// Its commit.
        commit: String,
    },
}

/// Why a change was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Not a name for a branch.
    #[error("{0:?} is not a valid name for a branch")]
    BranchName(String),
    /// The base is not in this repository.
    #[error("commit {0} is not in this repository")]
    NoBase(String),
    /// Tracked files differ from `HEAD`.
    #[error("the working tree has uncommitted changes")]
    Dirty,
    /// Somebody works on that branch.
    #[error("branch {branch:?} is checked out in {worktree}")]
    CheckedOut {
        /// The branch.
        branch: String,
        /// Where.
        worktree: String,
    },
    /// The branch has something else in it.
    #[error("branch {branch:?} exists already, with other content (commit {commit})")]
    Exists {
        /// The branch.
        branch: String,
        /// Its commit.
        commit: String,
    },
    /// The diff does not fit the base.
    #[error("the diff does not apply to commit {base}: {reason}")]
    DoesNotApply {
        /// The base.
        base: String,
        /// What git says.
        reason: String,
    },
    /// Something else went wrong.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The temporary index could not be made.
    #[error("making a temporary index: {0}")]
    Temporary(#[from] std::io::Error),
}

impl ApplyError {
    /// The fault it is, with what to do next.
    pub fn into_fault(self, repository: &LocalRepository) -> Fault {
        let context = format!("applying to {}", repository.top.display());
        let hint = match self {
            Self::Git(error) => return error.into_fault(&context),
            Self::Dirty => "commit or stash the changes first",
            Self::CheckedOut { .. } => "check out another branch there first",
            Self::Exists { .. } => "delete the branch, or allow it to be replaced",
            Self::NoBase(_) => "fetch the commit first",
            Self::BranchName(_) => "change changesetTemplate.branch",
            Self::DoesNotApply { .. } | Self::Temporary(_) => "",
        };
        let fault = Fault::workspace(format!("{context}: {self}"));
        if hint.is_empty() {
            fault
        } else {
            fault.hint(hint)
        }
    }
}

/// Applies a change. Doing it again does nothing.
///
/// # Errors
/// See [`ApplyError`]; nothing was changed then.
pub async fn apply(
    git: &Git,
    repository: &LocalRepository,
    change: Change<'_>,
    permission: Permission,
) -> Result<Applied, ApplyError> {
    let target = Target { git, repository };
    let branch = change
        .branch
        .strip_prefix("refs/heads/")
        .unwrap_or(change.branch);
    let reference = format!("refs/heads/{branch}");
    let checked = target
        .run("check-ref-format")
        .arg(&reference)
        .attempt(4096)
        .await?;
    if checked.0.code != Some(0) || branch.starts_with('-') {
        return Err(ApplyError::BranchName(branch.to_owned()));
    }
    let base = target
        .resolve(&format!("{}^{{commit}}", change.base))
        .await?
        .ok_or_else(|| ApplyError::NoBase(change.base.to_owned()))?;
    let tree = target.tree_with(&base, change.diff).await?;

    let existing = target.resolve(&reference).await?;
    if let Some(commit) = &existing {
        let same_tree = target
            .resolve(&format!("{commit}^{{tree}}"))
            .await?
            .as_ref()
            == Some(&tree);
        let same_parent = target.resolve(&format!("{commit}^")).await?.as_ref() == Some(&base);
        if same_tree && same_parent {
            return Ok(Applied::AlreadyThere {
                commit: commit.clone(),
            });
        }
        if !permission.replace {
            return Err(ApplyError::Exists {
                branch: branch.to_owned(),
                commit: commit.clone(),
            });
        }
    }
    // A branch without a commit yet can be checked out too, so this is asked of the worktrees.
    if let Some(worktree) = target.checked_out(&reference).await? {
        return Err(ApplyError::CheckedOut {
            branch: branch.to_owned(),
            worktree,
        });
    }
    if !permission.dirty && target.is_dirty().await? {
        return Err(ApplyError::Dirty);
    }

    let commit = target.commit(&tree, &base, &change).await?;
    let none = "0".repeat(commit.len());
    target
        .run("update-ref")
        .args(["-m", "capstan: apply a batch change", "--no-deref"])
        .args([&reference, &commit, existing.as_ref().unwrap_or(&none)])
        .run()
        .await?;
    Ok(match existing {
        Some(previous) => Applied::Replaced { commit, previous },
        None => Applied::Created { commit },
    })
}

struct Target<'a> {
    git: &'a Git,
    repository: &'a LocalRepository,
}

impl Target<'_> {
    fn run<'b>(&self, command: &'static str) -> Invocation<'b> {
        self.git
            .isolated(command)
            .git_dir(&self.repository.common_dir)
    }

    async fn resolve(&self, name: &str) -> Result<Option<String>, GitError> {
        let (finished, output) = self
            .run("rev-parse")
            .args(["--verify", "--quiet", "--end-of-options", name])
            .attempt(4096)
            .await?;
        let id = String::from_utf8_lossy(&output).trim().to_owned();
        Ok((finished.code == Some(0)).then_some(id))
    }

    /// Writes the tree that `diff` makes of `base`.
    async fn tree_with(&self, base: &str, diff: &[u8]) -> Result<String, ApplyError> {
        let scratch = tempfile::tempdir()?;
        let index = scratch.path().join("index");
        // An empty work tree, so that no attributes of the user's are read.
        let work = scratch.path().join("work");
        fs_err::create_dir(&work)?;
        let run = |command| {
            self.run(command)
                .env("GIT_INDEX_FILE", &index)
                .env("GIT_WORK_TREE", &work)
                .directory(&work)
        };
        run("read-tree").arg(base).run().await?;
        if !diff.is_empty() {
            let applied = run("apply")
                .args(["--cached", "-p0", "--binary", "--whitespace=nowarn", "-"])
                .input(diff)
                .run()
                .await;
            match applied {
                Err(GitError::Failed {
                    stderr,
                    code,
                    command,
                }) => {
                    let error = GitError::Failed {
                        command,
                        code,
                        stderr: stderr.clone(),
                    };
                    if error.is_disk_full() {
                        return Err(error.into());
                    }
                    return Err(ApplyError::DoesNotApply {
                        base: base.to_owned(),
                        reason: stderr,
                    });
                }
                other => other?,
            }
        }
        Ok(run("write-tree").text().await?)
    }

    /// The worktree in which the branch is checked out.
    async fn checked_out(&self, reference: &str) -> Result<Option<String>, GitError> {
        let listing = self
            .run("worktree")
            .args(["list", "--porcelain"])
            .output(16 * 1024 * 1024)
            .await?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        let mut worktree = "";
        for line in listing.lines() {
            if let Some(path) = line.strip_prefix("worktree ") {
                worktree = path;
            } else if line.strip_prefix("branch ") == Some(reference) {
                return Ok(Some(worktree.to_owned()));
            }
        }
        Ok(None)
    }

    async fn is_dirty(&self) -> Result<bool, GitError> {
        crate::repository::is_dirty(self.git, self.repository).await
    }

    async fn commit(
        &self,
        tree: &str,
        base: &str,
        change: &Change<'_>,
    ) -> Result<String, GitError> {
        self.run("commit-tree")
            .env("GIT_AUTHOR_NAME", change.author_name)
            .env("GIT_AUTHOR_EMAIL", change.author_email)
            .env("GIT_COMMITTER_NAME", change.author_name)
            .env("GIT_COMMITTER_EMAIL", change.author_email)
            .args([tree, "-p", base, "-F", "-"])
            .input(format!("{}\n", change.message.trim_end()))
            .text()
            .await
    }
}

#[cfg(test)]
mod tests;
