//! Everything that jobs need that run as pods of a cluster.

use std::path::Path;
use std::sync::Arc;

use capstan_engine::state::{Run, State};
use capstan_executor::client::{VERSION, executor_name};
use capstan_executor::cluster::{
    self, Cluster, ClusterError, ClusterJobs, Home, Memory, PodSettings,
};
use capstan_protocol::Telemetry;

use super::{host_name, station};
use crate::config::{ClusterConfig, Config, ExecutorConfig};
use crate::failure::Failed;
use crate::workplace;

/// What jobs need.
pub(super) struct Outpost {
    state: State,
    run: Run,
    jobs: Arc<ClusterJobs>,
}

/// What an executor remembers, in the state directory: its name, for one.
pub(super) fn memory(config: &Config, host: &str) -> Result<Memory, Failed> {
    let directory = config.state_dir.join("executor/cluster");
    Memory::open(&directory, || executor_name(host)).map_err(|error| {
        Failed::environment(error)
            .hint("give the executor a CAPSTAN_STATE_DIR that it may write to")
    })
}

impl Outpost {
    /// Opens the way to the cluster.
    pub(super) async fn open(
        found: &ClusterConfig,
        executor: &ExecutorConfig,
        config: &Config,
        config_file: Option<&Path>,
        memory: Memory,
    ) -> Result<Self, Failed> {
        let state = State::open(&config.state_dir)?;
        let run = state.new_run()?;
        workplace::sweep(&state);
        let (cluster, pods) = reach(found, config_file).await?;
        let home = home(found, executor, memory);
        let jobs = ClusterJobs::new(cluster, pods, home, executor.maximum_runtime);
        Ok(Self { state, run, jobs })
    }

    pub(super) fn work(&self) -> Arc<ClusterJobs> {
        Arc::clone(&self.jobs)
    }

    /// Who this process is, and who else lives.
    pub(super) fn state(&self) -> (String, State) {
        (self.run.id().to_owned(), self.state.clone())
    }

    /// What the server is told about this machine. It has neither git nor an engine.
    pub(super) fn telemetry(&self) -> Telemetry {
        Telemetry {
            os: std::env::consts::OS.to_owned(),
            architecture: station::go_architecture(std::env::consts::ARCH).to_owned(),
            docker_version: String::new(),
            executor_version: VERSION.to_owned(),
            git_version: String::new(),
            ignite_version: String::new(),
            src_cli_version: String::new(),
        }
    }

    pub(super) fn close(&self) {
        workplace::remove(&self.run);
    }
}

/// Looks whether the executor can do its work in the cluster; what is wrong.
pub(super) async fn check(
    found: &ClusterConfig,
    executor: &ExecutorConfig,
    config_file: Option<&Path>,
) -> Result<Vec<String>, Failed> {
    let (cluster, pods) = match reach(found, config_file).await {
        Ok(reached) => reached,
        Err(failed) => return Ok(vec![super::checks::text(failed)]),
    };
    tracing::info!(
        image = pods.image,
        "a pod is tried, which can take some minutes"
    );
    // It must not be mixed up with the one that runs.
    let directory = tempfile::tempdir().map_err(Failed::environment)?;
    let memory = Memory::open(directory.path(), || executor_name(&host_name()));
    let memory = memory.map_err(Failed::environment)?;
    let home = home(found, executor, memory);
    Ok(cluster::check(&cluster, &pods, home).await)
}

/// The way to the cluster, and what its pods are. Their runners have the same settings file: it has to be in their image, or on a volume.
async fn reach(
    found: &ClusterConfig,
    config_file: Option<&Path>,
) -> Result<(Cluster, PodSettings), Failed> {
    let cluster = Cluster::open(&found.access, found.namespace.as_deref()).await?;
    let mut pods = found.pods.clone();
    let config_file = config_file.map(std::path::absolute).transpose();
    let config_file = config_file.map_err(Failed::environment)?;
    pods.config = config_file.map(|file| file.display().to_string());
    pods.image = match &found.image {
        Some(image) => image.clone(),
        None => own_image(&cluster).await?,
    };
    Ok((cluster, pods))
}

/// The image of the pod that this is.
async fn own_image(cluster: &Cluster) -> Result<String, Failed> {
    let pod = host_name();
    match cluster.image_of(&pod).await? {
        Some(image) => Ok(image),
        None => Err(Failed::environment(format_args!(
            "there is no pod {pod} in namespace {}, whose image pods would have",
            cluster.namespace()
        ))
        .hint("name the image that capstan is in in EXECUTOR_KUBERNETES_RUNNER_IMAGE")),
    }
}

fn home(found: &ClusterConfig, executor: &ExecutorConfig, memory: Memory) -> Home {
    Home {
        frontend: executor.frontend.to_string(),
        pod: found.is_pod.then(host_name),
        memory,
    }
}

impl From<ClusterError> for Failed {
    fn from(error: ClusterError) -> Self {
        let failed = Self::environment(&error);
        match error.hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}
