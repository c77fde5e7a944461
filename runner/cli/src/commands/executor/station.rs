//! Everything that jobs need on this machine, opened in the right order and put away at the end.

use std::sync::Arc;
use std::time::Duration;

use capstan_core::plugin::Hook;
use capstan_engine::docker::{self, EngineInfo, Owner, SeenAt};
use capstan_engine::state::{Run, State};
use capstan_engine::workspace::{Checkouts, Sight};
use capstan_executor::client::{Client, VERSION};
use capstan_executor::job::engines::{Components, Containers, DockerAndComponents};
use capstan_executor::job::{self, Ending, JobContext};
use capstan_executor::log::ExecutionLog;
use capstan_executor::supervisor::Work;
use capstan_protocol::{Job, Telemetry};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment, ExecutorConfig};
use crate::engines;
use crate::failure::Failed;
use crate::plugins;
use crate::tools::{CHECKOUTS, Tools};
use crate::workplace;

/// How long the container engine is waited for at the start.
const PATIENCE: Duration = Duration::from_secs(5);

/// The directory below the one that `TMPDIR` names.
pub(super) const BELOW_WORKSPACES: &str = "capstan";

/// What is known of an engine that did not answer when the executor started.
const ABSENT: Sight<'_> = Sight {
    hides_mounts: Some("the container engine did not answer when the executor started"),
    no_volumes: Some("the container engine did not answer when the executor started"),
};

/// What jobs need.
pub(super) struct Station {
    pub(super) state: State,
    pub(super) run: Run,
    containers: Arc<Containers>,
    context: Arc<JobContext<DockerAndComponents>>,
    /// Empty if there is no engine.
    docker_version: String,
}

impl Station {
    /// Opens all of it, and sweeps away what a killed executor has left.
    pub(super) async fn open(
        executor: &ExecutorConfig,
        config: &Config,
        environment: &Environment,
        client: Arc<Client>,
    ) -> Result<Self, Failed> {
        let mut tools = Tools::open(config, environment).await?;
        if executor.workspaces.is_some() {
            // Containers borrow objects from it, so the engine has to see it, too.
            tools.keep_in(&config.state_dir.join(CHECKOUTS), config);
        }
        let state = State::open(&config.state_dir)?;
        let run = state.new_run()?;
        let scratch = run.directory().join("containers");
        // What is kept must not be swept at the next start.
        let workspaces = match executor.keep_workspaces {
            true => config.state_dir.join("kept").join(run.id()),
            false => run.directory().join("workspaces"),
        };
        for directory in [&workspaces, &scratch] {
            fs_err::create_dir_all(directory).map_err(Failed::environment)?;
        }
        let host = engines::open_host(config);
        let plugins = plugins::load_quietly(config, environment, &host).await?;
        let seen_at = executor.host_mount_path.as_ref().map(|there| SeenAt {
            here: config.state_dir.clone(),
            there: there.join(BELOW_WORKSPACES),
        });
        let docker = docker::Environment {
            seen_at: seen_at.clone(),
            mirrors: executor.mirrors.clone(),
            ..engines::environment_of(config, environment)
        };
        let resolver = engines::resolver(config, &docker, &config.lock_path())?;
        let owner = Owner {
            run: run.id().to_owned(),
            state: engines::fingerprint(&config.state_dir),
        };
        let containers = Containers::new(docker, owner, scratch, state.clone());
        // Its first connection sweeps what was left in it. It is waited for, but not for long: a job may need none.
        let engine = tokio::time::timeout(PATIENCE, containers.get()).await;
        let info = match engine {
            Ok(Ok((_, info, _))) => Some(info),
            Ok(Err(fault)) => {
                tracing::warn!(%fault, "the container engine is looked for again when a job needs it");
                None
            }
            Err(_) => None,
        };
        let docker_version = info.map_or_else(String::new, |info| info.version.clone());
        let there = match info {
            Some(info) => info.cpus,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        // Directories are not removed before the containers that use them.
        workplace::sweep(&state);
        let sight = info.map_or(ABSENT, EngineInfo::sight);
        let chosen = workplace::checkouts(config, &tools.cache, run.directory(), Some(sight))?;
        for (method, reason) in &chosen.refused {
            tracing::info!(
                method = method.name(),
                reason,
                "workspaces are not made in this way"
            );
        }
        let checkouts = match executor.keep_workspaces {
            true => Checkouts::own(),
            false => Checkouts::new(&chosen, &tools.cache),
        };
        let settings = job::Settings {
            // Engines refuse to give more than they have.
            cpus: executor.cpus.map(|cpus| cpus.min(there as f64)),
            memory: executor.memory,
            host_gateway: executor.host_gateway,
            docker_auth: executor.docker_auth.clone(),
            host_mount_path: seen_at.map(|seen_at| seen_at.of(&workspaces).into_owned()),
            mounts: executor
                .mounts
                .iter()
                .map(|(spec, _)| spec.clone())
                .collect(),
            bind_mounts: executor
                .mounts
                .iter()
                .map(|(_, mount)| mount.clone())
                .collect(),
            keep_workspaces: executor.keep_workspaces,
            volume: None,
            clone_from: None,
            maximum_runtime: executor.maximum_runtime,
        };
        tracing::debug!(policies = plugins.have(Hook::Policy), "plugins are loaded");
        let context = JobContext {
            client,
            workspaces,
            settings,
            engines: DockerAndComponents::new(
                Arc::clone(&containers),
                Components::new(host, resolver),
            ),
            git: tools.git,
            remotes: tools.remotes,
            checkouts,
            plugins,
        };
        Ok(Self {
            state,
            run,
            containers,
            context: Arc::new(context),
            docker_version,
        })
    }

    /// What the server is told about this machine.
    pub(super) fn telemetry(&self) -> Telemetry {
        Telemetry {
            os: std::env::consts::OS.to_owned(),
            architecture: go_architecture(std::env::consts::ARCH).to_owned(),
            docker_version: self.docker_version.clone(),
            executor_version: VERSION.to_owned(),
            git_version: self.context.git.version().to_string(),
            ignite_version: String::new(),
            src_cli_version: String::new(),
        }
    }

    pub(super) fn work(&self) -> Arc<Jobs> {
        Arc::new(Jobs(Arc::clone(&self.context)))
    }

    /// Waits for what is being removed in the background, then removes the rest.
    pub(super) async fn close(&self) {
        if self.context.settings.keep_workspaces {
            let workspaces = self.context.workspaces.display();
            tracing::warn!("workspaces are kept in {workspaces}");
        }
        workplace::put_away(self.containers.connected(), &self.run).await;
    }
}

/// Runs jobs.
pub(super) struct Jobs(Arc<JobContext<DockerAndComponents>>);

impl Work for Jobs {
    async fn run(
        self: Arc<Self>,
        job: Job,
        log: Arc<ExecutionLog>,
        cancel: CancellationToken,
    ) -> Ending {
        job::run(&job, &self.0, &log, cancel).await
    }
}

/// As Go names it.
pub(super) fn go_architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
