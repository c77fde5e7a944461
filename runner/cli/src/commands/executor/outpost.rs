//! Everything that jobs need that run as pods of a cluster.

use std::path::Path;
use std::sync::Arc;

use capstan_engine::state::{Run, State};
use capstan_executor::client::{VERSION, executor_name};
use capstan_executor::cluster::{ClusterJobs, Home, Memory};
use capstan_protocol::Telemetry;

use super::station;
use crate::cluster::{self, host_name};
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
        let reached = cluster::reach(found, config_file).await?;
        let home = home(executor, reached.pod, memory);
        let (cluster, pods) = (reached.cluster, reached.pods);
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
    let reached = match cluster::reach(found, config_file).await {
        Ok(reached) => reached,
        Err(failed) => return Ok(vec![failed.in_one_line()]),
    };
    tracing::info!(
        image = reached.pods.image,
        "a pod is tried, which can take some minutes"
    );
    // It must not be mixed up with the one that runs.
    let directory = tempfile::tempdir().map_err(Failed::environment)?;
    let memory = Memory::open(directory.path(), || executor_name(&host_name()));
    let memory = memory.map_err(Failed::environment)?;
    let home = home(executor, reached.pod, memory);
    let problems = capstan_executor::cluster::check(&reached.cluster, &reached.pods, home);
    Ok(problems.await)
}

fn home(executor: &ExecutorConfig, pod: Option<String>, memory: Memory) -> Home {
    Home {
        frontend: executor.frontend.to_string(),
        pod,
        memory,
    }
}
