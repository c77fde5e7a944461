//! From a batch spec and repositories to jobs: one for each workspace.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use capstan_core::glob::Glob;
use capstan_core::redact::Secrets;
use capstan_core::resolve::{self, Candidate, Matcher, Workspace};
use capstan_core::spec::{Step, WorkspaceRule};
use capstan_core::task::{BatchChange, Repository, Task};
use capstan_core::template::{StaticCondition, StaticVars, condition};
use capstan_engine::repository::{self, Origin};
use capstan_engine::run::{Base, Job};

use crate::config::Environment;
use crate::failure::Failed;
use crate::sources;
use crate::spec_file::Loaded;
use crate::tools::Tools;

/// What a run will do.
pub(crate) struct Plan {
    /// A job for each workspace, in the order of repository, path and branch.
    pub(crate) jobs: Vec<Job>,
    /// How many repositories there are.
    pub(crate) repositories: usize,
    /// How many of them asked to be left alone.
    pub(crate) ignored: usize,
    /// What the user should look at.
    pub(crate) warnings: Vec<String>,
}

/// Opens the repositories and splits them into workspaces.
pub(crate) async fn plan(
    loaded: &Loaded,
    arguments: &[String],
    directory: &Path,
    environment: &Environment,
    tools: &Tools,
    secrets: &Secrets,
    fetching: impl Fn(&str) + Clone + Send + 'static,
) -> Result<Plan, Failed> {
    let spec = &loaded.spec;
    let origins = sources::open(spec, arguments, directory, tools, fetching).await?;
    let origins: Vec<Arc<Origin>> = origins.into_iter().map(Arc::new).collect();
    let batch_change = BatchChange {
        name: spec.name.clone(),
        description: spec.description.clone(),
    };
    let mut files = Vec::new();
    for origin in &origins {
        files.push(relevant_files(tools, origin, &spec.workspaces).await?);
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
    let workspaces = resolve::workspaces(&candidates, &spec.workspaces, &compile, &may_run)
        .map_err(Failed::usage)?;

    let mut plan = Plan {
        jobs: Vec::new(),
        repositories: origins.len(),
        ignored: 0,
        warnings: warnings(&origins, &workspaces),
    };
    let outer_environment = Arc::new(environment.all().clone());
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
        plan.jobs.push(Job {
            task: Arc::new(task),
            base: Base::Commit(Arc::clone(origin)),
            outer_environment: Arc::clone(&outer_environment),
            mount_directory: loaded.directory.clone(),
            mounts: Arc::clone(&loaded.mounts),
            secrets: secrets.clone(),
            resume: None,
            skip: BTreeSet::new(),
        });
    }
    Ok(plan)
}

/// The files of the commit that the rules look at: a monorepo has many others.
async fn relevant_files(
    tools: &Tools,
    origin: &Origin,
    rules: &[WorkspaceRule],
) -> Result<Vec<String>, Failed> {
    let mut files = Vec::new();
    repository::list_files(&tools.git, origin, |path| {
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
