//! Runs one job.

use std::path::PathBuf;
use std::sync::Arc;

use capstan_protocol::{DockerAuthConfig, Job};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::log::ExecutionLog;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All of its steps are done.
    Complete,
    /// A step, or the work around it, failed. The text is shown to the user.
    Errored(String),
    /// It must not be tried again, or was cancelled. The text is shown to the user.
    Failed(String),
}

/// What all jobs of an executor have in common.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// The server: files, git, uploads.
    pub client: Arc<Client>,
    /// Where workspaces are made.
    pub workspaces: PathBuf,
    /// How steps run.
    pub settings: Settings,
}

/// How steps run; from the configuration.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Processors that a step may use; `None`: as many as there are.
    pub cpus: Option<f64>,
    /// Bytes of memory that a step may use; `None`: as much as there is.
    pub memory: Option<u64>,
    /// Whether `host.docker.internal` leads to the host.
    pub host_gateway: bool,
    /// Credentials for registries, for jobs that bring none.
    pub docker_auth: DockerAuthConfig,
    /// Directory of workspaces as the container engine sees it; `None`: as we see it.
    pub host_mount_path: Option<PathBuf>,
    /// More mounts of every container, as `docker run --mount` takes them.
    pub mounts: Vec<String>,
    /// Whether workspaces are kept after the job.
    pub keep_workspaces: bool,
}

/// Runs a job. What it says goes to `log`; the caller flushes that. Returns soon after `cancel` is cancelled, with everything put away.
pub async fn run(
    job: &Job,
    context: &JobContext,
    log: &ExecutionLog,
    cancel: CancellationToken,
) -> Ending {
    let _ = (job, context, log, cancel);
    Ending::Errored("this kind of job is not known".to_owned())
}
