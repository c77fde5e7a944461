//! Keeps an executor going (facts/executor-protocol.md 3): slots, heartbeats, cancelling, draining.
//!
//! A [`Supervisor`] takes jobs from a [`Queue`] while there are free slots and hands them to a [`Work`]. All the while it tells the server
//! which jobs run, and stops those that the server cancels or does not know. When a job has ended its log is handed over first, then the
//! server is told; what cannot be told is kept and told later.

mod marks;
mod outcome;
mod queue;
mod running;
mod status;

use std::sync::Arc;
use std::time::Duration;

use capstan_protocol::{Job, Mark, Outcome};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use tracing::field::Empty;

pub use self::marks::MarkStore;
pub use self::queue::{Queue, Server};
pub use self::status::{Phase, Status};

use self::outcome::outcome;
use self::running::{Run, Running, Why};
use crate::client::{Cause, ClientError, DequeueError};
use crate::job::Ending;
use crate::log::{ExecutionLog, Redaction, Sink};
use crate::metrics::Metrics;

/// How often the server is told what runs.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Longest wait between two questions for jobs while the server fails to answer, unless the poll interval is longer.
const LONGEST_POLL: Duration = Duration::from_secs(5);

/// How long a question for jobs that is on its way is waited for when draining: its answer may be a job.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// How long a stopped job may take to put everything away.
const CLEANUP: Duration = Duration::from_secs(300);

/// The wait before a mark is tried again.
const MARK_AGAIN: Duration = Duration::from_secs(5);

/// How long marks are tried when draining; after that they are left for the next start.
const LAST_MARKS: Duration = Duration::from_secs(60);

/// How often marks of earlier executors are tried.
const LEFT_AGAIN: Duration = Duration::from_secs(60);

/// What runs a job.
pub trait Work: Send + Sync + 'static {
    /// The jobs that an earlier process had begun, and that run on: they are seen through before any other is taken.
    fn left(&self) -> impl Future<Output = Vec<Job>> + Send {
        std::future::ready(Vec::new())
    }

    /// Where the log of a job goes that is about to be run, on its way to the `server`.
    fn sink(&self, _job: &Job, server: Arc<dyn Sink>) -> Arc<dyn Sink> {
        server
    }

    /// Runs it. Returns soon after `cancel` is cancelled, with everything put away.
    fn run(
        self: Arc<Self>,
        job: Job,
        log: Arc<ExecutionLog>,
        cancel: CancellationToken,
    ) -> impl Future<Output = Ending> + Send;
}

/// How jobs are taken.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Jobs at a time.
    pub slots: usize,
    /// The wait after there was no job.
    pub poll: Duration,
    /// Jobs to take in all; `None`: as many as there are.
    pub total: Option<u64>,
    /// How long jobs are taken; `None`: for ever.
    pub active: Option<Duration>,
}

/// How an executor is told to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no more jobs.
    pub drain: CancellationToken,
    /// Stop those that run, too.
    pub abort: CancellationToken,
}

/// Keeps an executor going.
#[derive(Debug)]
pub struct Supervisor<Q, W> {
    queue: Arc<Q>,
    work: Arc<W>,
    settings: Settings,
    marks: MarkStore,
    metrics: Metrics,
    status: Arc<Status>,
    running: Running,
    shutdown: Shutdown,
    jobs: TaskTracker,
    /// A job has ended: there may be another right away.
    ended: Notify,
}

/// A job that runs, for those who look.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningJob {
    /// Number in its queue.
    pub id: i64,
    /// Its queue.
    pub queue: String,
    /// Its repository.
    pub repository: String,
    /// Since when.
    pub since: String,
    /// Whether it has ended and the server is being told.
    pub reporting: bool,
}

impl<Q: Queue, W: Work> Supervisor<Q, W> {
    /// A supervisor; nothing is done yet.
    pub fn new(
        queue: Q,
        work: Arc<W>,
        settings: Settings,
        marks: MarkStore,
        metrics: Metrics,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue: Arc::new(queue),
            work,
            settings,
            marks,
            metrics,
            status: Arc::default(),
            running: Running::default(),
            shutdown,
            jobs: TaskTracker::new(),
            ended: Notify::new(),
        })
    }

    /// How it is doing.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Its figures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The jobs that run right now.
    pub fn running(&self) -> Vec<RunningJob> {
        let runs = self.running.all().into_iter();
        runs.map(|run| RunningJob {
            id: run.key.id,
            queue: run.key.queue.clone(),
            repository: run.repository.clone(),
            since: run.since.to_string(),
            reporting: run.is_marking(),
        })
        .collect()
    }

    /// Takes and runs jobs until it is told to stop, or has done what it was to do. When this returns nothing runs any more, unless a job did
    /// not stop in time.
    pub async fn run(self: Arc<Self>) {
        self.status.enter(Phase::Listening);
        let stop = CancellationToken::new();
        let heart = tokio::spawn(Arc::clone(&self).beat(stop.clone()));
        let left = tokio::spawn(Arc::clone(&self).deliver_left(stop.clone()));
        self.take_jobs().await;
        self.status.enter(Phase::Draining);
        // Those who deliver marks want to know, whatever the reason.
        self.shutdown.drain.cancel();
        self.jobs.close();
        tokio::select! {
            () = self.jobs.wait() => {}
            () = self.shutdown.abort.cancelled() => {
                self.status.enter(Phase::Stopping);
                for run in self.running.all() {
                    run.stop(Why::Shutdown);
                }
                self.jobs.wait().await;
            }
        }
        stop.cancel();
        // They end with their tasks; a panic in them has been told already.
        let _ = tokio::join!(heart, left);
    }

    async fn take_jobs(self: &Arc<Self>) {
        let begun = Instant::now();
        let slots = Arc::new(Semaphore::new(self.settings.slots.max(1)));
        let left = tokio::select! {
            left = self.work.left() => left,
            () = self.shutdown.drain.cancelled() => return,
        };
        for job in left {
            // There may be more of them than there are slots now.
            let slot = Arc::clone(&slots).try_acquire_owned().ok();
            self.start(job, slot);
        }
        let mut failures = 0;
        loop {
            let is_enough = |total| self.status.taken() >= total;
            if self.settings.total.is_some_and(is_enough) {
                tracing::info!("all jobs that were to be taken have been taken");
                return;
            }
            let slot = tokio::select! {
                biased;
                () = self.shutdown.drain.cancelled() => return,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else {
                return;
            };
            if self
                .settings
                .active
                .is_some_and(|active| begun.elapsed() >= active)
            {
                tracing::info!("the time in which jobs were to be taken is over");
                return;
            }
            let wait = match self.ask().await {
                None => return,
                Some(Ok(Some(job))) => {
                    failures = 0;
                    self.status.took();
                    self.start(job, Some(slot));
                    continue;
                }
                Some(Ok(None)) => {
                    failures = 0;
                    self.settings.poll
                }
                Some(Err(DequeueError::Job(error))) if error.identity.is_some() => {
                    failures = 0;
                    self.refuse(error, slot);
                    continue;
                }
                Some(Err(error)) => {
                    if failures == 0 {
                        let error = match error {
                            DequeueError::Call(error) => explained(&error),
                            DequeueError::Job(error) => error.to_string(),
                        };
                        tracing::warn!(error, "no job could be asked for");
                    }
                    failures = (failures + 1).min(16);
                    let slower = self.settings.poll.saturating_mul(1 << (failures - 1));
                    slower.min(LONGEST_POLL.max(self.settings.poll))
                }
            };
            drop(slot);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Whoever waited for that job may have sent the next.
                () = self.ended.notified(), if failures == 0 => {}
                () = self.shutdown.drain.cancelled() => return,
            }
        }
    }

    /// Asks for a job; `None` if there is no answer and there is no time left.
    async fn ask(&self) -> Option<Result<Option<Job>, DequeueError>> {
        let late = async {
            self.shutdown.drain.cancelled().await;
            tokio::time::sleep(LAST_ANSWER).await;
        };
        tokio::select! {
            answer = self.queue.dequeue() => Some(answer),
            () = late => None,
        }
    }

    fn start(self: &Arc<Self>, job: Job, slot: Option<OwnedSemaphorePermit>) {
        let run = Arc::new(Run::new(&job));
        if let Some(earlier) = self.running.add(&run) {
            tracing::warn!(job = %run.key, "the job was given away and came back; its first run is stopped");
            earlier.stop(Why::Lost);
        }
        self.metrics.busy(self.running.count());
        tracing::info!(job = %run.key, repository = run.repository, "job started");
        let supervisor = Arc::clone(self);
        let span = tracing::info_span!(
            "job",
            job.id = run.key.id,
            job.queue = run.key.queue,
            job.repository = run.repository,
            job.outcome = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        let seen_through = async move {
            supervisor.see_through(&run, job).await;
            supervisor.running.remove(&run);
            supervisor.metrics.busy(supervisor.running.count());
            drop(slot);
            supervisor.ended.notify_one();
        };
        self.jobs.spawn(seen_through.instrument(span));
    }

    /// A job that cannot be read, but whose server can be told so.
    fn refuse(self: &Arc<Self>, error: capstan_protocol::Undecodable, slot: OwnedSemaphorePermit) {
        self.status.took();
        let Some(identity) = error.identity.clone() else {
            return;
        };
        tracing::error!(job = ?identity, %error, "job refused");
        let job = Job {
            identity,
            ..Job::default()
        };
        let run = Arc::new(Run::new(&job));
        self.running.add(&run);
        let supervisor = Arc::clone(self);
        self.jobs.spawn(async move {
            let outcome = Outcome::Errored(error.to_string());
            supervisor.deliver(&run, &job, outcome).await;
            supervisor.running.remove(&run);
            drop(slot);
            supervisor.ended.notify_one();
        });
    }

    /// Runs a job and tells the server how it ended.
    async fn see_through(self: &Arc<Self>, run: &Arc<Run>, job: Job) {
        let begun = Instant::now();
        let about = Job {
            identity: job.identity.clone(),
            ..Job::default()
        };
        let secrets = self.queue.secrets().into_iter();
        let secrets = secrets.chain([&*job.identity.token]);
        let (ending, flushed) = match Redaction::new(&job.redacted_values, secrets) {
            Err(error) => (Ending::Errored(error.to_string()), Ok(())),
            Ok(redaction) => {
                let sink = self.queue.sink(&job.identity);
                let sink = self.work.sink(&job, sink);
                let log = ExecutionLog::new(sink, redaction, self.metrics.clone());
                let log = Arc::new(log);
                // It is set once.
                let _ = run.log.set(Arc::clone(&log));
                let ending = self.work(run, job, Arc::clone(&log)).await;
                if run.why() == Some(Why::Lost) {
                    log.abandon();
                }
                let flushed = log.flush().await;
                let ending = match ending {
                    Ending::Complete => Ending::Complete,
                    Ending::Errored(text) => Ending::Errored(log.redact(&text)),
                    Ending::Failed(text) => Ending::Failed(log.redact(&text)),
                };
                (ending, flushed)
            }
        };
        let outcome = outcome(ending, run.why(), flushed);
        self.metrics
            .job(begun.elapsed(), outcome != Some(Outcome::Complete));
        trace(outcome.as_ref());
        match outcome {
            None => tracing::warn!(job = %run.key, why = ?run.why(), "job given up"),
            Some(outcome) => {
                match &outcome {
                    Outcome::Complete => tracing::info!(job = %run.key, "job complete"),
                    Outcome::Errored(reason) => {
                        tracing::warn!(job = %run.key, reason, "job errored");
                    }
                    Outcome::Failed(reason) => tracing::warn!(job = %run.key, reason, "job failed"),
                }
                self.deliver(run, &about, outcome).await;
            }
        }
    }

    /// The work itself: a panic in it ends the job and nothing else, and so does one that does not stop.
    async fn work(&self, run: &Run, job: Job, log: Arc<ExecutionLog>) -> Ending {
        let work = Arc::clone(&self.work).run(job, log, run.cancel.clone());
        // A task of its own; its panics are caught.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(work.in_current_span());
        let late = async {
            run.cancel.cancelled().await;
            tokio::time::sleep(CLEANUP).await;
        };
        tokio::select! {
            ended = task.join_next() => match ended {
                Some(Ok(ending)) => ending,
                _ => Ending::Errored("an internal error ended the job; the executor's log has more".to_owned()),
            },
            () = late => {
                tracing::error!(job = %run.key, "the job did not stop in time; something of it may be left");
                Ending::Failed("the job did not stop in time".to_owned())
            }
        }
    }

    /// Tells the server how a job ended, again and again where that may help. It is written down first.
    async fn deliver(&self, run: &Run, job: &Job, outcome: Outcome) {
        run.marking();
        let mark = Mark {
            executor_name: self.queue.executor_name().to_owned(),
            job_id: run.key.id,
            outcome: outcome.clone(),
        };
        if let Err(error) = self.marks.keep(&run.key, &mark) {
            tracing::warn!(%error, job = %run.key, "how the job ended could not be written down");
        }
        let given_up = async {
            self.shutdown.drain.cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(LAST_MARKS) => {}
                () = self.shutdown.abort.cancelled() => tokio::time::sleep(MARK_AGAIN).await,
            }
        };
        tokio::pin!(given_up);
        loop {
            let sent = tokio::select! {
                sent = self.queue.mark(&job.identity, outcome.clone()) => sent,
                () = &mut given_up => break,
            };
            match sent {
                Ok(()) => return self.marks.forget(&run.key),
                Err(error) if error.may_pass() && run.why() != Some(Why::Lost) => {
                    tracing::warn!(%error, job = %run.key, "how the job ended could not be told; it is tried again");
                }
                Err(error) => {
                    tracing::warn!(%error, job = %run.key, "the server does not want to know how the job ended");
                    return self.marks.forget(&run.key);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(MARK_AGAIN) => {}
                () = &mut given_up => break,
            }
        }
        tracing::warn!(job = %run.key, "how the job ended is kept, and told at the next start");
    }

    /// Delivers what earlier executors could not.
    async fn deliver_left(self: Arc<Self>, stop: CancellationToken) {
        loop {
            for left in self.marks.left() {
                let id = left.mark.job_id;
                let sent = tokio::select! {
                    sent = self.queue.mark_of_former(&left.queue, &left.mark) => sent,
                    () = stop.cancelled() => return,
                };
                match sent {
                    Ok(()) => {
                        tracing::info!(job = id, "told how a job of an earlier executor ended");
                        left.forget();
                    }
                    Err(error) if error.may_pass() => {
                        tracing::warn!(%error, job = id, "how a job of an earlier executor ended could not be told");
                    }
                    Err(error) => {
                        tracing::warn!(%error, job = id, "the server does not want to know how a job of an earlier executor ended");
                        left.forget();
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LEFT_AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Tells the server what runs, until `stop`.
    async fn beat(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut failures = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            // Only these may be judged by the answer: others may start meanwhile.
            let asked = self.running.all();
            let keys: Vec<_> = asked.iter().map(|run| run.key.clone()).collect();
            let answer = tokio::select! {
                answer = self.queue.heartbeat(&keys) => answer,
                () = stop.cancelled() => return,
            };
            match answer {
                Ok(beat) => {
                    if failures > 0 {
                        tracing::info!("heartbeats are answered again");
                    }
                    failures = 0;
                    self.status.heard();
                    for run in asked {
                        if beat.unknown.contains(&run.key) {
                            // One that is being marked may be done already.
                            if run.stop(Why::Lost) && !run.is_marking() {
                                tracing::warn!(job = %run.key, "the server does not know the job any more; it is stopped");
                            }
                        } else if beat.cancelled.contains(&run.key) && run.stop(Why::Cancelled) {
                            tracing::info!(job = %run.key, "the job is cancelled");
                        }
                    }
                }
                // Jobs go on: the server, or the way to it, may be back soon.
                Err(error) if failures.is_multiple_of(12) => {
                    failures += 1;
                    let error = explained(&error);
                    tracing::warn!(error, "a heartbeat failed");
                }
                Err(_) => failures += 1,
            }
        }
    }
}

/// Notes in the job's span how it ended.
fn trace(outcome: Option<&Outcome>) {
    let (ending, failure) = match outcome {
        None => ("given up", None),
        Some(Outcome::Complete) => ("complete", None),
        Some(Outcome::Errored(reason)) => ("errored", Some(reason)),
        Some(Outcome::Failed(reason)) => ("failed", Some(reason)),
    };
    let span = tracing::Span::current();
    span.record("job.outcome", ending);
    if let Some(reason) = failure {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", reason.as_str());
    }
}

/// With what to look at, unless the server is there and has trouble of its own: it says which.
fn explained(error: &ClientError) -> String {
    match error.cause {
        Cause::Status(_) => error.to_string(),
        _ => error.explained(),
    }
}

#[cfg(test)]
mod tests;
