//! One job in a pod of its own, from its making to its deletion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capstan_protocol::{Job, JobKey};
use futures_util::future;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{Cluster, ClusterError, persistently};
use super::kept::{Continued, Memory, Remembered};
use super::manifest::{Maker, PAYLOAD_FILE, VOLUME};
use super::payload::uncompressed;
use super::pods::Pods;
use super::seeing::Heard;
use super::settings::PodSettings;
use super::sweep;
use crate::client::Secret;
use crate::job::{self, Ending};
use crate::log::{ExecutionLog, Sink};
use crate::supervisor::Work;

/// How long a cluster that is away at the start is waited for. The server gives the jobs to others sooner; what it says then counts.
const TAKING_UP: Duration = Duration::from_secs(120);

/// Where an executor is, and who.
#[derive(Debug)]
pub struct Home {
    /// The server, as pods reach it.
    pub frontend: String,
    /// The pod in which the executor runs, if it does.
    pub pod: Option<String>,
    /// What it remembers.
    pub memory: Memory,
}

/// Runs jobs in a cluster.
pub struct ClusterJobs {
    pub(super) cluster: Cluster,
    pub(super) settings: PodSettings,
    pub(super) maker: Maker,
    /// What the runner of a pod does.
    pub(super) inside: job::Settings,
    memory: Memory,
    pub(super) pods: Arc<Pods>,
    known: Mutex<Known>,
    _stop: DropGuard,
}

/// A job as one server has handed it out: when it is handed out again, it has another token.
type Handed = (JobKey, String);

/// The jobs that have to do with this executor.
#[derive(Default)]
struct Known {
    /// All that have not been put away.
    all: Vec<Arc<Remembered>>,
    /// Those that an earlier process had begun, and that nobody has taken up yet.
    left: HashMap<Handed, Arc<Remembered>>,
    /// Those that were begun, the last one if a job was handed out again.
    begun: HashMap<Handed, Arc<Remembered>>,
}

impl std::fmt::Debug for ClusterJobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClusterJobs").field(&self.cluster).finish()
    }
}

impl ClusterJobs {
    /// Begins to watch the pods of this executor, and to sweep what others have left, until this is dropped. `maximum_runtime` is the longest run of a job.
    pub fn new(
        cluster: Cluster,
        settings: PodSettings,
        home: Home,
        maximum_runtime: Option<Duration>,
    ) -> Arc<Self> {
        let stop = CancellationToken::new();
        let pods = Arc::<Pods>::default();
        let name = home.memory.name();
        // The end of it is as good as all of it, and labels are short.
        let label = name.rsplit('-').next().unwrap_or(name).to_owned();
        let watching = Arc::clone(&pods).watch(cluster.pods(), label.clone(), stop.clone());
        tokio::spawn(watching);
        // They are not swept before somebody has looked whether they run.
        let known = Known {
            all: home.memory.left(),
            ..Known::default()
        };
        let jobs = Arc::new(Self {
            maker: Maker {
                executor: name.to_owned(),
                label,
                pod: home.pod,
                frontend: home.frontend,
            },
            inside: job::Settings {
                volume: Some(VOLUME.into()),
                maximum_runtime,
                ..job::Settings::default()
            },
            cluster,
            settings,
            memory: home.memory,
            pods,
            known: Mutex::new(known),
            _stop: stop.clone().drop_guard(),
        });
        tokio::spawn(sweep::keep_clean(Arc::downgrade(&jobs), stop));
        jobs
    }

    /// Whether a Job of this name is one of this executor's.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.known().all.iter().any(|job| job.name() == name)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job, or takes it up. One that was handed out before is another, whatever has become of that.
    fn begin(&self, job: &Job) -> Arc<Remembered> {
        let handed = handed(job);
        let mut known = self.known();
        let remembered = match known.left.remove(&handed) {
            Some(left) => left,
            None => {
                let key = job.identity.key();
                let made = self.memory.job(new_name(&key), key);
                known.all.push(Arc::clone(&made));
                made
            }
        };
        known.begun.insert(handed, Arc::clone(&remembered));
        remembered
    }

    /// A job that was begun.
    fn begun(&self, job: &Job) -> Arc<Remembered> {
        let begun = self.known().begun.get(&handed(job)).map(Arc::clone);
        begun.unwrap_or_else(|| self.begin(job))
    }

    fn forget(&self, remembered: &Arc<Remembered>) {
        self.pods.forget(&remembered.name());
        remembered.forget();
        let mut known = self.known();
        known.all.retain(|job| !Arc::ptr_eq(job, remembered));
        known.begun.retain(|_, job| !Arc::ptr_eq(job, remembered));
    }

    /// A job that an earlier process had, if it runs on. The cluster has its payload.
    async fn take_up(&self, remembered: &Arc<Remembered>) -> Option<Job> {
        let late = Instant::now() + TAKING_UP;
        loop {
            match self.find(remembered).await {
                Ok(Some(job)) => {
                    let mut known = self.known();
                    known.left.insert(handed(&job), Arc::clone(remembered));
                    return Some(job);
                }
                Err(error) if error.may_pass() && Instant::now() < late => {
                    tracing::warn!(
                        error = error.explained(),
                        "a job is taken up again as soon as the cluster answers"
                    );
                }
                Err(error) => {
                    tracing::error!(error = error.explained(), "a job cannot be taken up again");
                    self.forget(remembered);
                    return None;
                }
                Ok(None) => {
                    self.forget(remembered);
                    return None;
                }
            }
        }
    }

    /// The job, if the cluster has it still.
    async fn find(&self, remembered: &Remembered) -> Result<Option<Job>, ClusterError> {
        let name = remembered.name();
        let (jobs, secrets) = (self.cluster.jobs(), self.cluster.secrets());
        let doing = format!("looking for job {name}");
        let Some(found) = persistently(&doing, |_| jobs.get_opt(&name)).await? else {
            return Ok(None);
        };
        let spec = found.spec.unwrap_or_default();
        if spec.suspend == Some(true) {
            return Ok(None);
        }
        let doing = format!("reading secret {name}");
        let secret = persistently(&doing, |_| secrets.get_opt(&name)).await?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let payload = data.into_iter().find(|(name, _)| name == PAYLOAD_FILE);
        let payload = payload.map(|(_, bytes)| uncompressed(bytes.0));
        let Some(Ok(payload)) = payload else {
            return Ok(None);
        };
        let mut job = Job::decode(&payload).ok();
        if let Some(job) = &mut job {
            job.identity.queue = remembered.key().queue;
        }
        Ok(job)
    }

    /// Runs a job whose repository is cloned from a URL, perhaps with credentials, or from the server. What it says goes to `log`. Returns soon after
    /// `cancel` is cancelled.
    pub async fn run_from(
        &self,
        job: &Job,
        clone_from: Option<Secret>,
        log: &Arc<ExecutionLog>,
        cancel: &CancellationToken,
    ) -> Ending {
        let remembered = self.begun(job);
        let heard = tokio::select! {
            biased;
            () = cancel.cancelled() => Heard {
                ending: Ending::Failed("the job was cancelled".to_owned()),
                by_runner: false,
            },
            heard = self.see_through(job, clone_from, &remembered, log) => heard,
        };
        if heard.by_runner
            && let Err(error) = log.flush().await
        {
            // The caller hears of it, too.
            tracing::debug!(%error, "not all of a log was handed over");
        }
        // What it has told is with the server before its pod goes.
        self.put_away(&remembered.name(), heard.by_runner, log)
            .await;
        self.forget(&remembered);
        heard.ending
    }
}

impl Work for ClusterJobs {
    async fn left(&self) -> Vec<Job> {
        let left = self.known().all.clone();
        let taken = left.iter().map(|remembered| self.take_up(remembered));
        let taken = future::join_all(taken).await;
        taken.into_iter().flatten().collect()
    }

    fn sink(&self, job: &Job, server: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Arc::new(Continued::new(self.begin(job), server))
    }

    async fn run(
        self: Arc<Self>,
        job: Job,
        log: Arc<ExecutionLog>,
        cancel: CancellationToken,
    ) -> Ending {
        self.run_from(&job, None, &log, &cancel).await
    }
}

/// What the server has handed out.
fn handed(job: &Job) -> Handed {
    (job.identity.key(), job.identity.token.clone())
}

/// A name that no Job had before.
fn new_name(key: &JobKey) -> String {
    let mut random = [0; 4];
    // Without random numbers the clock has to do.
    if getrandom::fill(&mut random).is_err() {
        let nanoseconds = jiff::Timestamp::now().subsec_nanosecond();
        random = nanoseconds.to_be_bytes();
    }
    let queue: String = key
        .queue
        .chars()
        .filter(char::is_ascii_lowercase)
        .take(20)
        .collect();
    let random = u32::from_be_bytes(random);
    format!("capstan-{queue}-{}-{random:08x}", key.id)
}
