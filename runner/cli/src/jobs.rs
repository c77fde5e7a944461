//! From a batch spec and repositories to jobs: one for each workspace.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use capstan_core::redact::Secrets;
use capstan_engine::plan;
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
    let origins = sources::open(&loaded.spec, arguments, directory, tools, fetching).await?;
    let plan = plan::plan(&tools.git, &loaded.spec, origins).await?;
    let outer_environment = Arc::new(environment.all().clone());
    let job = |(task, origin)| Job {
        task: Arc::new(task),
        base: Base::Commit(origin),
        outer_environment: Arc::clone(&outer_environment),
        mount_directory: loaded.directory.clone(),
        mounts: Arc::clone(&loaded.mounts),
        secrets: secrets.clone(),
        resume: None,
        skip: BTreeSet::new(),
    };
    Ok(Plan {
        jobs: plan.tasks.into_iter().map(job).collect(),
        repositories: plan.repositories,
        ignored: plan.ignored,
        warnings: plan.warnings,
    })
}
