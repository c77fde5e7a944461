//! The workspaces of a run in the pods of a cluster, one in each.
//!
//! A workspace becomes a job as executors take it from a server ([`payload`]), and is run as they run theirs; what its pod tells becomes what a run of
//! this machine would tell ([`hearing`]).

mod hearing;
mod payload;

use std::sync::Arc;
use std::time::Instant;

use capstan_core::result::StepResult;
use capstan_engine::cache::StepCache;
use capstan_engine::run::{
    Cause, Failure, Finished, Job, KnownResults, MountsError, Outcome, Reported, Resume,
};
use capstan_executor::client::{Secret, executor_name};
use capstan_executor::cluster::{ClusterJobs, Home, Memory};
use capstan_executor::job::Ending;
use capstan_executor::log::{ExecutionLog, Redaction};
use capstan_executor::metrics::Metrics;
use capstan_executor::supervisor::Work as _;
use capstan_protocol::Identity;
use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::hearing::Hearing;
use crate::args::Run;
use crate::cluster;
use crate::config::{ClusterConfig, Config, Environment};
use crate::failure::Failed;
use crate::report::Reporter;
use crate::workplace;

/// The queue that jobs of runs are said to be of.
const QUEUE: &str = "run";

/// Workspaces at a time unless somebody says how many: it is the cluster that does the work.
const PARALLEL: usize = 8;

/// A cluster that is ready for the workspaces of one run.
pub(crate) struct Pods {
    jobs: Arc<ClusterJobs>,
    reporter: Arc<dyn Reporter>,
    stop: CancellationToken,
    parallel: usize,
    fail_fast: bool,
    payload: payload::Settings,
    /// Results of steps; `None`: neither read nor written.
    cache: Option<StepCache>,
    /// What keys of results say of where steps ran: the runner has plugins and settings of its own.
    place: String,
    /// What the run remembers while it lasts.
    _memory: TempDir,
}

impl Pods {
    /// Opens the way to the cluster.
    pub(crate) async fn open(
        args: &Run,
        config: &Config,
        environment: &Environment,
        reporter: Arc<dyn Reporter>,
        cancel: &CancellationToken,
    ) -> Result<Self, Failed> {
        refuse(args, config)?;
        let found = ClusterConfig::read(environment)?;
        let reached = cluster::reach(&found, None).await?;
        let (cluster, mut pods) = (reached.cluster, reached.pods);
        let quantity = |text: String| capstan_executor::cluster::quantity(&text).ok();
        if let Some(memory) = config.memory {
            pods.limits.memory = quantity(memory.to_string());
            // It may be less than what is asked for otherwise.
            pods.requests.memory = None;
        }
        if let Some(cpus) = config.cpus {
            pods.limits.cpu = quantity(format!("{}m", (cpus * 1000.0).ceil()));
            pods.requests.cpu = None;
        }
        // The pod ends by itself before that.
        pods.deadline = pods.deadline.max(config.timeout + pods.start_timeout);
        let place = format!("pods of {}", pods.image);
        let namespace = cluster.namespace();
        reporter.note(&format!("steps run in pods of the namespace {namespace}"));
        let directory = tempfile::tempdir().map_err(Failed::environment)?;
        let memory = Memory::open(directory.path(), || executor_name("run"));
        let home = Home {
            // Nothing is asked of a server.
            frontend: "http://localhost/".to_owned(),
            pod: None,
            memory: memory.map_err(Failed::environment)?,
        };
        Ok(Self {
            jobs: ClusterJobs::new(cluster, pods, home, Some(config.timeout)),
            reporter,
            // A workspace that fails may stop the others, which is no interruption.
            stop: cancel.child_token(),
            parallel: config.jobs.unwrap_or(PARALLEL),
            fail_fast: args.fail_fast,
            payload: payload::Settings {
                run_as_root: config.run_as_root,
                timeout: config.timeout,
            },
            cache: (!args.no_cache).then(|| workplace::step_cache(&config.cache_dir)),
            place,
            _memory: directory,
        })
    }

    /// Looks for the latest step of a job whose result is known.
    ///
    /// # Errors
    /// When a mounted path is missing or unreadable.
    pub(crate) fn look_up(&self, index: usize, job: &Job) -> Result<Option<Resume>, MountsError> {
        let known = self.known(job)?;
        let dropped = |dropped: Reported<'_>| self.reporter.report(index, dropped);
        Ok(known.and_then(|known| known.latest(dropped)))
    }

    fn known(&self, job: &Job) -> Result<Option<KnownResults>, MountsError> {
        let cache = self.cache.clone();
        cache
            .map(|cache| KnownResults::elsewhere(cache, job, &self.place))
            .transpose()
    }

    /// Runs all jobs; what became of each, in their order.
    pub(crate) async fn run(&self, jobs: &[Job]) -> Vec<Finished> {
        let runs = jobs.iter().enumerate().map(|(index, job)| async move {
            let begun = Instant::now();
            let outcome = match self.stop.is_cancelled() {
                true => Outcome::Cancelled,
                false => self.run_one(index, job).await,
            };
            self.tell(index, &outcome);
            if self.fail_fast && matches!(outcome, Outcome::Failed(_)) {
                self.stop.cancel();
            }
            Finished {
                outcome,
                log: None,
                workspace: None,
                elapsed: begun.elapsed(),
            }
        });
        stream::iter(runs).buffered(self.parallel).collect().await
    }

    async fn run_one(&self, index: usize, job: &Job) -> Outcome {
        if let Some(result) = job.known() {
            return Outcome::Done {
                result: Some(Arc::clone(result)),
                cached: true,
            };
        }
        let failed = |message: String| Outcome::Failed(failure(Cause::Workspace, message));
        // Before anything runs: what is mounted may change.
        let known = match self.known(job) {
            Ok(known) => known,
            Err(error) => return failed(error.to_string()),
        };
        let (mut wanted, clone_from) = match payload::of(job, &self.payload) {
            Ok(payload) => payload,
            Err(message) => return failed(message),
        };
        wanted.identity = Identity {
            id: i64::try_from(index).unwrap_or(i64::MAX),
            queue: QUEUE.to_owned(),
            token: String::new(),
        };
        self.reporter.report(index, Reported::Started);
        if let Some(known) = payload::resumed(job) {
            let start = known.step_index + 1;
            self.reporter.report(index, Reported::Resumed { start });
        }
        self.reporter.report(index, Reported::Workspace);
        let redaction = match Redaction::new(&wanted.redacted_values, []) {
            Ok(redaction) => redaction,
            Err(error) => return failed(error.to_string()),
        };
        let hearing = Arc::new(Hearing::new(
            index,
            Arc::clone(&job.task),
            Arc::clone(&self.reporter),
        ));
        let sink = self.jobs.sink(&wanted, Arc::clone(&hearing) as _);
        let metrics = Metrics::new(&[QUEUE.to_owned()]);
        let log = Arc::new(ExecutionLog::new(sink, redaction, metrics));
        let clone_from = Secret::new(clone_from);
        let ending = self
            .jobs
            .run_from(&wanted, Some(clone_from), &log, &self.stop)
            .await;
        if let Err(error) = log.flush().await {
            tracing::debug!(%error, "not all of a log was heard");
        }
        let results = hearing.take_results();
        let cached = results.is_empty();
        let resumed = job.resume.as_ref().map(|known| &known.result);
        let result = results.last().or(resumed).map(Arc::clone);
        // Of a job that fails, too: the next run goes on from there.
        self.keep(index, known, results).await;
        match ending {
            Ending::Complete => Outcome::Done { result, cached },
            _ if self.stop.is_cancelled() => Outcome::Cancelled,
            Ending::Errored(message) => match hearing.failure() {
                Some(failure) => Outcome::Failed(failure),
                None => Outcome::Failed(failure(Cause::Environment, message)),
            },
            Ending::Failed(message) => Outcome::Failed(failure(Cause::Refused, message)),
        }
    }

    /// Keeps results for later runs. Not being able to costs time then, but no result now.
    async fn keep(&self, index: usize, known: Option<KnownResults>, results: Vec<Arc<StepResult>>) {
        let Some(known) = known else {
            return;
        };
        // Writing waits for the disk.
        let kept = tokio::task::spawn_blocking(move || {
            results.iter().try_for_each(|result| known.keep(result))
        });
        if let Ok(Err(fault)) = kept.await {
            let reason = &fault.message;
            self.reporter
                .report(index, Reported::CacheGivenUp { reason });
        }
    }

    fn tell(&self, index: usize, outcome: &Outcome) {
        let told = match outcome {
            Outcome::Done { result, cached } => Reported::Done {
                cached: *cached,
                result: result.as_deref(),
            },
            Outcome::Failed(failure) => Reported::Failed { failure },
            Outcome::Cancelled => Reported::Cancelled,
        };
        self.reporter.report(index, told);
    }
}

/// What a pod has otherwise, or cannot have.
fn refuse(args: &Run, config: &Config) -> Result<(), Failed> {
    let flags = [
        ("--network", config.network.is_some()),
        ("--platform", config.platform.is_some()),
        ("--mount", !config.mounts.is_empty()),
        ("--pids", config.pids.is_some()),
        ("--step-timeout", config.step_timeout.is_some()),
        ("--keep-workspaces", args.keep_workspaces),
        ("--apply", args.apply),
    ];
    let refused = flags.into_iter().filter(|(_, is_set)| *is_set);
    let refused: Vec<&str> = refused.map(|(name, _)| name).collect();
    if !refused.is_empty() {
        return Err(Failed::usage(format_args!(
            "--engine kubernetes does not go with {}",
            refused.join(", ")
        ))
        .hint("leave it out, here and in the settings file; docs/kubernetes.md tells what pods can be told"));
    }
    // A policy must not be passed over in silence.
    if !config.plugins.is_empty() {
        return Err(
            Failed::usage("--engine kubernetes calls no plugins of the settings file").hint(
                "leave them out with --plugins /dev/null; executors call plugins in their pods",
            ),
        );
    }
    Ok(())
}

fn failure(cause: Cause, message: String) -> Failure {
    Failure {
        cause,
        step: None,
        summary: message.lines().next().unwrap_or_default().to_owned(),
        message,
        hint: None,
    }
}
