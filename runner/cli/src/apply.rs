//! `--apply`: branches and commits in the local repositories that a run worked on.

use std::fmt;

use capstan_engine::apply::{self, Applied as Done, ApplyError, Change, Permission};
use capstan_engine::git::Git;
use capstan_engine::repository::LocalRepository;
use owo_colors::OwoColorize as _;

use crate::results::Results;
use crate::text;

/// What became of one changeset.
#[derive(Debug)]
pub(crate) struct Applied {
    repository: String,
    branch: String,
    outcome: Result<String, (String, Option<String>)>,
}

impl Applied {
    pub(crate) fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            repository,
            branch,
            outcome,
        } = self;
        match outcome {
            Ok(done) => write!(
                f,
                "{} {}: branch {}: {done}",
                "✓".green(),
                text::name(repository).bold(),
                text::name(branch).cyan()
            ),
            Err((why, hint)) => {
                write!(
                    f,
                    "{} {}: branch {}: {}",
                    "✗".red(),
                    text::name(repository).bold(),
                    text::name(branch),
                    text::lines(why)
                )?;
                match hint {
                    Some(hint) => write!(f, "\n  {} {hint}", "hint:".cyan().bold()),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Applies every changeset of a local repository; those of remote ones are told to be out of reach.
pub(crate) async fn apply(
    results: &Results<'_>,
    git: &Git,
    permission: Permission,
) -> Vec<Applied> {
    let mut applied = Vec::new();
    for (job, changeset) in &results.changesets {
        let origin = &job.origin;
        let outcome = match &origin.local {
            None => Err((
                "the repository is not on this machine".to_owned(),
                Some("clone it and name the clone as REPO, or use --output".to_owned()),
            )),
            Some(local) => {
                let change = Change {
                    base: &origin.rev,
                    branch: changeset.branch(),
                    diff: &changeset.diff,
                    message: &changeset.message,
                    author_name: &changeset.author.name,
                    author_email: &changeset.author.email,
                };
                apply::apply(git, local, change, permission)
                    .await
                    .map(|done| told(&done))
                    .map_err(|error| refused(error, local))
            }
        };
        applied.push(Applied {
            repository: origin.name.clone(),
            branch: changeset.branch().to_owned(),
            outcome,
        });
    }
    applied
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// Why, and what to do: in the words of the command line where there is a flag for it.
fn refused(error: ApplyError, local: &LocalRepository) -> (String, Option<String>) {
    match error {
        ApplyError::Exists { commit, .. } => (
            format!("it exists with other content, at {}", short(&commit)),
            Some("delete it, or replace it with --force".to_owned()),
        ),
        ApplyError::CheckedOut { worktree, .. } => (
            format!("it is checked out in {worktree}"),
            Some("check out another branch there".to_owned()),
        ),
        ApplyError::Dirty => (
            format!("there are uncommitted changes in {}", local.top.display()),
            Some("commit or stash them, or leave them as they are with --allow-dirty".to_owned()),
        ),
        error => {
            let fault = error.into_fault(local);
            (fault.message, fault.hint)
        }
    }
}

fn told(done: &Done) -> String {
    match done {
        Done::Created { commit } => format!("created at {}", short(commit)),
        Done::Replaced { commit, previous } => {
            format!(
                "replaced, now at {}, was at {}",
                short(commit),
                short(previous)
            )
        }
        Done::AlreadyThere { commit } => format!("already at {}", short(commit)),
    }
}
