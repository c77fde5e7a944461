//! From a batch spec and opened repositories to tasks: one for each workspace.

use std::sync::Arc;

use capstan_core::glob::Glob;
use capstan_core::resolve::{self, Candidate, Matcher, ResolveError, Workspace};
use capstan_core::spec::{BatchSpec, Step, WorkspaceRule};
use capstan_core::task::{BatchChange, Repository, Task};
use capstan_core::template::{StaticCondition, StaticVars, condition};

use crate::fault::Fault;
use crate::git::Git;
use crate::repository::{self, Origin};

/// What a spec asks for on these repositories.
#[derive(Debug, Default)]
pub struct Plan {
    /// A task for each workspace, in the order of repository, path and branch, and where its files come from.
    pub tasks: Vec<(Task, Arc<Origin>)>,
    /// How many repositories there are.
    pub repositories: usize,
    /// How many of them asked to be left alone.
    pub ignored: usize,
    /// What the user should look at.
    pub warnings: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A repository cannot be looked at.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The rules of the spec cannot be applied.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}

/// Splits repositories into workspaces.
///
/// # Errors
/// See [`PlanError`].
pub async fn plan(git: &Git, spec: &BatchSpec, origins: Vec<Origin>) -> Result<Plan, PlanError> {
    let origins: Vec<Arc<Origin>> = origins.into_iter().map(Arc::new).collect();
    let batch_change = BatchChange {
        name: spec.name.clone(),
        description: spec.description.clone(),
    };
    let mut files = Vec::new();
    for origin in &origins {
        files.push(relevant_files(git, origin, &spec.workspaces).await?);
    }
    let candidates: Vec<Candidate<'_>> = origins
        .iter()
        .zip(&files)
        .map(|(origin, files)| Candidate {
            name: &origin.name,
            branch: &origin.branch,
            files,
            search_result_paths: &[],
        })
        .collect();
    let may_run = |workspace: &Workspace| {
        let vars = StaticVars {
            repository_name: &origins[workspace.repository].name,
            batch_change: &batch_change,
        };
        let skips = |step: &Step| matches!(condition(&step.if_, &vars), Ok(StaticCondition::Skips));
        !spec.steps.iter().all(skips)
    };
    let workspaces = resolve::workspaces(&candidates, &spec.workspaces, &compile, &may_run)?;

    let mut plan = Plan {
        repositories: origins.len(),
        warnings: warnings(&origins, &workspaces),
        ..Plan::default()
    };
    for workspace in workspaces {
        if workspace.ignored {
            plan.ignored += 1;
            continue;
        }
        let origin = &origins[workspace.repository];
        let task = Task {
            repository: repository(origin),
            path: workspace.path,
            only_fetch_workspace: workspace.only_fetch_workspace,
            search_result_paths: workspace.search_result_paths,
            batch_change: batch_change.clone(),
            steps: spec.steps.clone(),
        };
        plan.tasks.push((task, Arc::clone(origin)));
    }
    Ok(plan)
}

/// The files of the commit that the rules look at: a monorepo has many others.
async fn relevant_files(
    git: &Git,
    origin: &Origin,
    rules: &[WorkspaceRule],
) -> Result<Vec<String>, Fault> {
    let mut files = Vec::new();
    repository::list_files(git, origin, |path| {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let is_root = rules
            .iter()
            .any(|rule| rule.root_at_location_of.as_bytes() == name);
        if is_root || path == b".batchignore" {
            // A directory whose name is not text cannot be the path of a workspace.
            files.extend(String::from_utf8(path.to_vec()));
        }
    })
    .await?;
    Ok(files)
}

fn compile(glob: &str) -> Result<Matcher, String> {
    let glob = Glob::new(glob).map_err(|error| error.to_string())?;
    Ok(Box::new(move |name| glob.is_match(name)))
}

/// What is left out, and what the user may think is in.
fn warnings(origins: &[Arc<Origin>], workspaces: &[Workspace]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, origin) in origins.iter().enumerate() {
        let mut own = workspaces
            .iter()
            .filter(|workspace| workspace.repository == index);
        let name = &origin.name;
        match own.next() {
            None => warnings.push(format!("{name}: there is nothing to run here")),
            Some(workspace) if workspace.ignored => {
                warnings.push(format!("{name}: left alone, as its .batchignore asks for"));
            }
            Some(_) => {
                if origin.dirty {
                    warnings.push(format!(
                        "{name}: uncommitted changes are not part of the run"
                    ));
                }
                if origin.branch.is_empty() {
                    warnings.push(format!(
                        "{name}: a commit is not a branch, so its changeset specs name none to merge into"
                    ));
                }
            }
        }
    }
    warnings
}

/// Without a server a repository's name is all the identity it has.
fn repository(origin: &Origin) -> Repository {
    Repository {
        id: origin.name.clone(),
        name: origin.name.clone(),
        branch: origin.branch.clone(),
        rev: origin.rev.clone(),
    }
}
