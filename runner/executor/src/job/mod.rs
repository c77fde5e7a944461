//! Runs one job.
//!
//! Every name in the payload is looked at before anything is done (`check`). Then it depends on what kind of job it is: `native` batch
//! jobs go through the engine's step loop, as do `legacy` ones, which would call `src`; `containers` runs all others to the letter. What
//! they have in common: a `place` on disk, `files`, the repository and what is told of it (`setup`).

mod again;
mod check;
mod command;
mod containers;
mod ending;
pub mod engines;
mod files;
mod legacy;
mod lines;
mod native;
mod paths;
mod place;
mod pulls;
mod setup;
mod slots;
mod upload;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capstan_engine::git::Git;
use capstan_engine::plugins::Plugins;
use capstan_engine::repository::RemoteCache;
use capstan_engine::run::{Report, Runner};
use capstan_engine::sandbox::{BindMount, Limits, User};
use capstan_engine::workspace::Checkouts;
use capstan_protocol::{DockerAuthConfig, Job};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::check::{Checked, Variables};
pub use self::ending::{Ending, STOPPED};
pub use self::engines::{Engines, Needs};
use self::place::Place;
use self::pulls::Pulls;
pub use self::slots::{gates, lay_out};
use crate::client::{Client, Secret};
use crate::log::ExecutionLog;

/// What all jobs of an executor have in common.
pub struct JobContext<S> {
    /// The server: files, git, uploads.
    pub client: Arc<Client>,
    /// Where workspaces are made. Below it the container engine can mount what is there.
    pub workspaces: PathBuf,
    /// How steps run.
    pub settings: Settings,
    /// What steps run in.
    pub engines: S,
    /// Git.
    pub git: Git,
    /// Repositories that were fetched.
    pub remotes: RemoteCache,
    /// How workspaces get their files.
    pub checkouts: Checkouts,
    /// What the operator has configured to be called in every job.
    pub plugins: Plugins,
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
    /// More mounts of every container, as `docker run --mount` takes them: what the log shows.
    pub mounts: Vec<String>,
    /// The same mounts, read.
    pub bind_mounts: Vec<BindMount>,
    /// Whether workspaces are kept after the job.
    pub keep_workspaces: bool,
    /// What this process shares with the containers of its pod, which are there from the beginning and see it: where the job works, and what its steps
    /// are limited by is the pod's affair. `None`: containers are made for the steps.
    pub volume: Option<PathBuf>,
    /// A URL that the repository is cloned from, perhaps with credentials; `None`: it comes from the server.
    pub clone_from: Option<Secret>,
    /// Longest run of a job, from its start to the end of its last step; `None`: as long as it takes.
    pub maximum_runtime: Option<Duration>,
}

impl Settings {
    /// The volume of a pod.
    fn volume(&self) -> &Path {
        self.volume.as_deref().unwrap_or(Path::new("/"))
    }

    /// Where the files of a job's payload are in a pod.
    fn data(&self) -> PathBuf {
        self.volume().join(place::DATA)
    }

    /// Where the repository of a batch job is in a pod.
    fn repository(&self) -> PathBuf {
        self.volume().join("repository")
    }

    /// The engine's settings for steps that see the workspace at `in_containers`.
    fn of_steps(&self, user: User, in_containers: &str) -> capstan_engine::run::Settings {
        let gateway = "host.docker.internal:host-gateway".to_owned();
        capstan_engine::run::Settings {
            user,
            limits: Limits {
                cpus: self.cpus,
                memory: self.memory,
                pids: None,
            },
            mounts: self.bind_mounts.clone(),
            place: in_containers.to_owned(),
            hosts: self.host_gateway.then_some(gateway).into_iter().collect(),
            task_timeout: self.maximum_runtime.unwrap_or(NO_LIMIT),
            keep_workspaces: self.keep_workspaces,
            ..capstan_engine::run::Settings::default()
        }
    }
}

/// Longest run of a job that has no limit.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Runs a job. What it says goes to `log`; the caller flushes that. Returns soon after `cancel` is cancelled, with everything put away.
pub async fn run<S: Engines>(
    job: &Job,
    context: &JobContext<S>,
    log: &Arc<ExecutionLog>,
    cancel: CancellationToken,
) -> Ending {
    let stop = cancel.child_token();
    let limit = context.settings.maximum_runtime;
    let deadline = async {
        tokio::time::sleep(limit.unwrap_or(NO_LIMIT)).await;
        stop.cancel();
        std::future::pending::<Ending>().await
    };
    let ending = tokio::select! {
        biased;
        ending = Box::pin(run_until(job, context, log, &stop)) => ending,
        never = deadline => never,
    };
    let ending = match (ending, limit) {
        (ending, _) if !stop.is_cancelled() || ending == Ending::Complete => ending,
        (_, Some(limit)) if !cancel.is_cancelled() => ending::too_long(limit),
        _ => ending::cancelled(),
    };
    ending.map(|text| log.redact(text))
}

async fn run_until<S: Engines>(
    job: &Job,
    context: &JobContext<S>,
    log: &Arc<ExecutionLog>,
    stop: &CancellationToken,
) -> Ending {
    let checked = match check::check(job) {
        Ok(checked) => checked,
        Err(refused) => {
            let message = refused.to_string();
            setup::tell_files(log, &[], Some(&message));
            return Ending::Errored(message);
        }
    };
    let no_place = |error| Ending::Errored(format!("making the job's workspace: {error}"));
    let volume = context.settings.volume.as_deref();
    let made = match volume {
        Some(volume) => Place::on_volume(volume),
        None => Place::make(&context.workspaces, job),
    };
    let mut place = match made {
        Ok(place) => place,
        Err(error) => return no_place(error),
    };
    let mut pauses = again::pauses(&context.settings).iter();
    let (ending, engine) = loop {
        let pulls = Pulls::default();
        let engine = context.engines.of_job(Needs {
            directory: place.data().join(native::WORKSPACE_FILES),
            scratch: place.scratch(),
            auths: match job.docker_auth_config.auths.is_empty() {
                true => &context.settings.docker_auth,
                false => &job.docker_auth_config,
            },
            progress: pulls.progress(),
        });
        let engine = match engine {
            Ok(engine) => Arc::new(engine),
            Err(fault) => break (ending::of_fault(&fault), None),
        };
        let task = Running {
            job,
            checked: &checked,
            context,
            place: &place,
            engine: &engine,
            log,
            pulls: &pulls,
            stop,
            may_begin_anew: pauses.len() > 0,
        };
        match (task.run().await, pauses.next()) {
            (Attempt::Lost, Some(pause)) => task.pause(*pause).await,
            (Attempt::Ended(ending), _) => break (ending, Some(engine)),
            (Attempt::Lost, None) => {
                let message = "the container engine was lost several times".to_owned();
                break (Ending::Errored(message), Some(engine));
            }
        }
        if stop.is_cancelled() {
            break (ending::cancelled(), Some(engine));
        }
        if let Err(error) = place.begin_anew() {
            break (no_place(error), Some(engine));
        }
    };
    if volume.is_none() {
        let keep = context.settings.keep_workspaces;
        place.put_away(engine.as_deref(), keep, log).await;
    }
    ending
}

/// A job that runs, and all it needs.
struct Running<'a, S: Engines> {
    job: &'a Job,
    checked: &'a Checked,
    context: &'a JobContext<S>,
    place: &'a Place,
    engine: &'a Arc<S::Engine>,
    log: &'a Arc<ExecutionLog>,
    pulls: &'a Pulls,
    stop: &'a CancellationToken,
    /// Whether the job may begin anew when the machine fails it.
    may_begin_anew: bool,
}

/// What came of running a job once.
enum Attempt {
    Ended(Ending),
    /// The machine has failed it, and it may begin anew.
    Lost,
}

impl<S: Engines> Running<'_, S> {
    async fn run(&self) -> Attempt {
        Attempt::Ended(match native::Plan::of(self.job, self.checked) {
            // They are large.
            Some(Ok(plan)) => Box::pin(native::run(self, plan)).await,
            Some(Err(error)) => Ending::Errored(format!("reading the job: {error}")),
            None if legacy::is_one(self.job) => Box::pin(legacy::run(self)).await,
            None => return Box::pin(containers::run(self)).await,
        })
    }

    /// Waits before the job goes on, or until it is stopped.
    async fn pause(&self, pause: Duration) {
        let job = self.job.id();
        tracing::warn!(job, "the machine failed; the job goes on in {pause:?}");
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Writes the files of a batch job's payload, unless the pod was prepared with them: its containers may have them mounted, so they must not be made
    /// anew. The error has been told.
    async fn write_batch_files(&self) -> Result<Vec<files::Written>, Ending> {
        match self.context.settings.volume {
            Some(_) => Ok(files::prepared(&self.checked.files)),
            None => self.write_files().await,
        }
    }

    /// Writes the files of the payload; the error has been told.
    async fn write_files(&self) -> Result<Vec<files::Written>, Ending> {
        let root = self.place.data();
        let write = files::write_all(&root, self.job, &self.checked.files, &self.context.client);
        let span = tracing::info_span!("files", files.count = self.job.files.len());
        let written = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(ending::cancelled()),
            written = write.instrument(span) => written,
        };
        written.map_err(|error| {
            let message = error.to_string();
            setup::tell_files(self.log, &[], Some(&message));
            Ending::Errored(format!("failed to prepare workspace: {message}"))
        })
    }

    /// A runner for the tasks of the job.
    fn runner(
        &self,
        settings: capstan_engine::run::Settings,
        report: Arc<dyn Report>,
    ) -> Runner<S::Engine> {
        Runner {
            engine: Arc::clone(self.engine),
            git: self.context.git.clone(),
            workspaces: self.place.tasks(),
            checkouts: self.context.checkouts.clone(),
            logs: self.place.logs(),
            // The server keeps results.
            cache: None,
            plugins: self.context.plugins.clone(),
            settings,
            report,
            cancel: self.stop.clone(),
        }
    }
}
