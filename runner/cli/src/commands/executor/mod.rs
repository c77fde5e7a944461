//! `capstan executor`: takes jobs from a queue of Sourcegraph's and runs them.

mod checks;
mod outpost;
mod register;
mod shutdown;
mod station;

use std::path::Path;
use std::sync::Arc;

use capstan_engine::state::State;
use capstan_executor::client::{Client, ClientSettings, executor_name};
use capstan_executor::metrics::{Exporters, Metrics};
use capstan_executor::ops::{self, About, Observed};
use capstan_executor::supervisor::{MarkStore, Server, Settings, Shutdown, Supervisor, Work};
use capstan_protocol::Telemetry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::outpost::Outpost;
use self::station::Station;
use crate::args::{Executor, SettingFlags};
use crate::cluster::host_name;
use crate::config::{Config, Environment, ExecutorConfig, Problems};
use crate::failure::{Exit, Failed};
use crate::printer;

pub(super) async fn run(
    command: Option<Executor>,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let executor = ExecutorConfig::read(environment)?;
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let flags = SettingFlags::default();
    let mut config = Config::load(config_file, environment, &flags, &directory)?;
    for warning in config.warnings.iter().chain(&executor.warnings) {
        tracing::warn!("{warning}");
    }
    let marks = config.state_dir.join("executor/marks");
    // Everything that the container engine has to see lies below it.
    if let (Some(workspaces), None) = (&executor.workspaces, &executor.cluster) {
        config.state_dir = directory.join(workspaces).join(station::BELOW_WORKSPACES);
    }
    let metrics = Metrics::new(executor.queues.names());
    let validate = matches!(command, Some(Executor::Validate));
    let memory = match &executor.cluster {
        // Who only looks must not be taken for who works.
        Some(_) if !validate => Some(outpost::memory(&config, &host_name())?),
        _ => None,
    };
    let name = match &memory {
        Some(memory) => memory.name().to_owned(),
        None => executor_name(&host_name()).map_err(Failed::environment)?,
    };
    let client = client(&executor, name, metrics.clone())?;
    if validate || matches!(command, Some(Executor::Run { verify: true })) {
        checks::all(&client, &executor, &config, config_file, environment).await?;
    }
    if validate {
        printer::result_line("All checks passed!").map_err(Failed::environment)?;
        return Ok(Exit::Success);
    }
    let shutdown = Shutdown::default();
    shutdown::listen(shutdown.clone()).map_err(Failed::environment)?;
    let client = Arc::new(client);
    let post = Post {
        executor: &executor,
        marks: &marks,
        client: Arc::clone(&client),
        metrics,
        shutdown,
    };
    match (&executor.cluster, memory) {
        (Some(cluster), Some(memory)) => {
            let outpost = Outpost::open(cluster, &executor, &config, config_file, memory).await?;
            let (work, state) = (outpost.work(), outpost.state());
            let exit = post.serve(work, outpost.telemetry(), state).await;
            outpost.close();
            exit
        }
        _ => {
            let station = Station::open(&executor, &config, environment, client).await?;
            let state = (station.run.id().to_owned(), station.state.clone());
            let exit = post.serve(station.work(), station.telemetry(), state).await;
            station.close().await;
            exit
        }
    }
}

/// All but the jobs.
struct Post<'a> {
    executor: &'a ExecutorConfig,
    marks: &'a Path,
    client: Arc<Client>,
    metrics: Metrics,
    shutdown: Shutdown,
}

impl Post<'_> {
    /// Takes jobs until it is told to stop. `state`: who this process is, and who else lives.
    async fn serve(
        self,
        work: Arc<impl Work>,
        telemetry: Telemetry,
        (run, state): (String, State),
    ) -> Result<Exit, Failed> {
        let Self {
            executor,
            client,
            metrics,
            shutdown,
            ..
        } = self;
        let exporters = Exporters::new(
            executor.node_exporter.as_ref(),
            executor.registry_exporter.as_ref(),
        )
        .map_err(Failed::environment)?;
        let is_dead = move |owner: &str| state.is_dead(owner);
        let store = MarkStore::new(self.marks.to_path_buf(), run, is_dead);
        let about = About {
            executor_name: client.executor_name().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            frontend: executor.frontend.to_string(),
            queues: executor.queues.names().to_vec(),
            slots: executor.slots,
        };
        let supervisor = Supervisor::new(
            Server {
                client: Arc::clone(&client),
                telemetry,
                exporters,
                metrics: metrics.clone(),
            },
            work,
            Settings {
                slots: executor.slots,
                poll: executor.poll,
                total: executor.total,
                active: executor.active,
            },
            store,
            metrics,
            shutdown.clone(),
        );
        let stop_ops = CancellationToken::new();
        if let Some(address) = &executor.health {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Failed::environment(format_args!("listening at {address}: {error}"))
                    .hint("choose another address with EXECUTOR_HEALTH_SERVER_ADDR")
            })?;
            let observed = Arc::clone(&supervisor) as Arc<dyn Observed>;
            tokio::spawn(ops::serve(listener, about, observed, stop_ops.clone()));
        }
        let exit = if register::register(&client, &shutdown.drain).await {
            let line = format!(
                "✱ Sourcegraph executor connected to {}; listening for jobs",
                executor.frontend.as_str().trim_end_matches('/')
            );
            printer::result_line(line).map_err(Failed::environment)?;
            supervisor.run().await;
            match shutdown.abort.is_cancelled() {
                true => Exit::Interrupted,
                false => Exit::Success,
            }
        } else {
            Exit::Failed
        };
        stop_ops.cancel();
        Ok(exit)
    }
}

fn client(executor: &ExecutorConfig, name: String, metrics: Metrics) -> Result<Client, Failed> {
    let settings = ClientSettings {
        frontend: executor.frontend.clone(),
        secret: executor.secret.clone(),
        executor_name: name,
        queues: executor.queues.clone(),
        tries: executor.tries,
        cpus: executor.told_cpus,
        memory: executor.told_memory.clone(),
        disk: executor.told_disk.clone(),
    };
    Client::new(settings, metrics).map_err(Failed::environment)
}

/// All of them are shown at once.
impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        let message = match problems.0.as_slice() {
            [problem] => problem.clone(),
            several => format!(
                "{} problems with the environment variables:\n  {}",
                several.len(),
                several.join("\n  ")
            ),
        };
        Self::usage(message).hint("docs/executor.md explains every variable")
    }
}
