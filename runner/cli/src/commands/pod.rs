//! `capstan pod`: one job, in the containers of the pod that this process is in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use capstan_core::duration;
use capstan_engine::pod::{COMMAND, Volume};
use capstan_engine::workspace::Checkouts;
use capstan_executor::client::{Client, ClientSettings, Queues, Secret, Url};
use capstan_executor::cluster::uncompressed;
use capstan_executor::job::engines::{Components, PodAndComponents};
use capstan_executor::job::{self, Ending, JobContext, STOPPED, Settings};
use capstan_executor::log::{ExecutionLog, Redaction, Sink};
use capstan_executor::metrics::Metrics;
use capstan_executor::pod::Narrator;
use capstan_protocol::Job;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::{Pod, PodJob, SettingFlags};
use crate::config::{Config, Environment};
use crate::engines;
use crate::failure::{Exit, Failed};
use crate::plugins;
use crate::printer;
use crate::tools::{CHECKOUTS, Tools};

/// Longest wait for a connection when the server is tried.
const REACH: Duration = Duration::from_secs(10);

/// How often the server is asked for the same thing.
const TRIES: u32 = 5;

pub(super) async fn run(
    command: Pod,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let (Pod::Prepare(args) | Pod::Run(args)) = &command;
    let body = fs_err::read(&args.job).and_then(uncompressed);
    let body = body.map_err(Failed::environment)?;
    let job = Job::decode(&body).map_err(Failed::usage)?;
    let queue = job.identity.queue.clone();
    let metrics = Metrics::new(std::slice::from_ref(&queue));
    let client = client(args, queue, metrics.clone())?;
    let timeout = args.timeout.as_deref().map(duration::parse).transpose();
    let clone_from = args.clone_from.as_deref().map(fs_err::read_to_string);
    let clone_from = clone_from.transpose().map_err(Failed::environment)?;
    let settings = Settings {
        volume: Some(args.volume.clone()),
        clone_from: clone_from.map(|url| Secret::new(url.trim().to_owned())),
        maximum_runtime: timeout.map_err(Failed::usage)?,
        ..Settings::default()
    };
    match command {
        Pod::Prepare(args) => {
            if args.try_server {
                try_server(client.frontend(), environment).await?;
            }
            let laid_out = job::lay_out(&job, &settings, &client).await;
            let gates = laid_out.map_err(Failed::environment)?;
            for (index, slot) in gates.slots().iter().enumerate() {
                let container = json!({
                    "image": slot.image,
                    "user": slot.user,
                    "command": COMMAND,
                    "mounts": gates.mounts(index),
                });
                printer::result_line(container).map_err(Failed::environment)?;
            }
            Ok(Exit::Success)
        }
        Pod::Run(_) => {
            let narrator = Narrator::new(std::io::stdout());
            let gates = job::gates(&job, &settings).map_err(Failed::usage)?;
            let context = context(settings, gates.clone(), client, config_file, environment);
            let context = context.await?;
            let ending = see_through(&job, &context, Arc::clone(&narrator) as _, metrics).await;
            gates.dismiss().await;
            narrator.end(ending).map_err(Failed::environment)?;
            Ok(Exit::Success)
        }
    }
}

/// Whether there is a way from this pod to the server. A proxy is taken to know it.
async fn try_server(frontend: &Url, environment: &Environment) -> Result<(), Failed> {
    let proxies = ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"];
    if proxies.iter().any(|name| environment.get(name).is_some()) {
        return Ok(());
    }
    let host = frontend.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = frontend.port_or_known_default().unwrap_or(443);
    let connected = tokio::time::timeout(REACH, TcpStream::connect((host, port))).await;
    let why = match connected {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", REACH.as_secs()),
    };
    let message = format_args!("pods do not reach the server at {host}, port {port}: {why}");
    Err(Failed::environment(message).hint(
        "EXECUTOR_FRONTEND_URL has to be one that pods reach, and the network policy of job pods has to let them",
    ))
}

/// The server, as a job may ask it: by its token.
fn client(args: &PodJob, queue: String, metrics: Metrics) -> Result<Client, Failed> {
    let settings = ClientSettings {
        frontend: args.frontend.parse().map_err(Failed::usage)?,
        secret: Secret::new(String::new()),
        executor_name: args.executor.clone(),
        queues: Queues::Single(queue),
        tries: TRIES,
        cpus: 0,
        memory: String::new(),
        disk: String::new(),
    };
    Client::new(settings, metrics).map_err(Failed::environment)
}

async fn context(
    settings: Settings,
    gates: Volume,
    client: Client,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<JobContext<PodAndComponents>, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let flags = SettingFlags::default();
    let config = Config::load(config_file, environment, &flags, &directory)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let volume = settings.volume.clone().unwrap_or_default();
    let mut tools = Tools::open(&config, environment).await?;
    // What steps find in `.git` is linked from there.
    tools.keep_in(&volume.join(CHECKOUTS), &config);
    let host = engines::open_host(&config);
    let plugins = plugins::load_quietly(&config, environment, &host).await?;
    let registries = engines::environment_of(&config, environment);
    let resolver = engines::resolver(&config, &registries, &config.lock_path())?;
    Ok(JobContext {
        client: Arc::new(client),
        workspaces: volume,
        settings,
        engines: PodAndComponents::new(gates, Components::new(host, resolver)),
        git: tools.git,
        remotes: tools.remotes,
        checkouts: Checkouts::own(),
        plugins,
    })
}

/// Runs the job to its end, or until this process is told to stop.
async fn see_through(
    job: &Job,
    context: &JobContext<PodAndComponents>,
    sink: Arc<dyn Sink>,
    metrics: Metrics,
) -> Ending {
    let redaction = match Redaction::new(&job.redacted_values, [&*job.identity.token]) {
        Ok(redaction) => redaction,
        Err(error) => return Ending::Errored(error.to_string()),
    };
    let log = Arc::new(ExecutionLog::new(sink, redaction, metrics));
    let cancel = CancellationToken::new();
    let running = job::run(job, context, &log, cancel.clone());
    let ending = tokio::select! {
        ending = running => ending,
        never = stopped(cancel.clone()) => never,
    };
    let ending = match cancel.is_cancelled() && ending != Ending::Complete {
        true => Ending::Errored(STOPPED.to_owned()),
        false => ending,
    };
    if let Err(error) = log.flush().await {
        tracing::warn!(%error, "not all of the log was told");
    }
    ending
}

/// Cancels at the first signal. Never ends.
async fn stopped(cancel: CancellationToken) -> Ending {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
            cancel.cancel();
        }
        Err(error) => tracing::warn!(%error, "signals are not heard of"),
    }
    std::future::pending().await
}
