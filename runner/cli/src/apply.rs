//! `--apply`: branches and commits in the local repositories that a run worked on.

use std::fmt;

use capstan_engine::apply::{self, Applied as Done, Change, Permission};
use capstan_engine::git::Git;
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
                "not a local repository".to_owned(),
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
                    .map_err(|error| {
                        let fault = error.into_fault(local);
                        (fault.message, fault.hint)
                    })
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

fn told(done: &Done) -> String {
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
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
