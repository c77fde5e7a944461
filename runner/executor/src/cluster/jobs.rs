//! One job in a pod of its own, from its making to its deletion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capstan_engine::pod::{Volume, WITHOUT_A_WORD};
use capstan_protocol::{Job, JobKey};
use k8s_openapi::api::batch::v1;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{Cluster, ClusterError, once, persistently};
use super::follow::follow;
use super::kept::{Continued, Memory, Remembered};
use super::manifest::{EXECUTOR_LABEL, Maker, Manifest, PAYLOAD_FILE, VOLUME};
use super::payload::{Payload, uncompressed};
use super::pods::{Pods, Seen};
use super::settings::PodSettings;
use super::status::{Status, Trouble, deleted, of_failed_job};
use super::sweep;
use crate::client::Secret;
use crate::job::{self, Ending, STOPPED, gates};
use crate::log::{Entry, ExecutionLog, Sink};
use crate::pod::Replay;
use crate::supervisor::Work;

/// How often somebody looks why there is no pod.
const NO_POD: Duration = Duration::from_secs(10);

/// How long the cluster may take to tell why a pod ended.
const REASON: Duration = Duration::from_secs(5);

/// The reason of a Job whose pod has failed.
const BACKOFF: &str = "BackoffLimitExceeded";

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
    inside: job::Settings,
    memory: Memory,
    pods: Arc<Pods>,
    /// Those that run, by what the server calls them.
    running: Mutex<HashMap<JobKey, Arc<Remembered>>>,
    _stop: DropGuard,
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
        let left = home.memory.left().into_iter();
        let running = left.map(|job| (job.key(), job)).collect();
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
            running: Mutex::new(running),
            _stop: stop.clone().drop_guard(),
        });
        tokio::spawn(sweep::keep_clean(Arc::downgrade(&jobs), stop));
        jobs
    }

    /// Whether a Job of this name is one that runs.
    pub(super) fn knows(&self, name: &str) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().any(|job| job.name() == name)
    }

    fn remembered(&self, job: &Job) -> Arc<Remembered> {
        let key = job.identity.key();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || self.memory.job(new_name(&key), key.clone());
        Arc::clone(running.entry(key.clone()).or_insert_with(make))
    }

    fn forget(&self, key: &JobKey, job: &Remembered) {
        self.pods.forget(&job.name());
        job.forget();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(key);
    }

    /// A job that an earlier process had, if it runs on. The cluster has its payload.
    async fn take_up(&self, remembered: &Remembered) -> Result<Option<Job>, ClusterError> {
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

    /// Makes the Job, its Secrets, and lets it begin.
    async fn make(
        &self,
        name: &str,
        job: &Job,
        clone_from: Option<Secret>,
        gates: &Volume,
    ) -> Result<(), String> {
        let payload = Payload::of(job, clone_from).map_err(|error| error.to_string())?;
        let manifest = Manifest {
            name,
            maker: &self.maker,
            settings: &self.settings,
            key: &job.identity.key(),
            repository: &job.repository_name,
            gates,
            payload: &payload,
            auths: &job.docker_auth_config,
            timeout: self.inside.maximum_runtime,
        };
        self.make_of(name, &manifest)
            .await
            .map_err(|error| error.explained())
    }

    async fn make_of(&self, name: &str, manifest: &Manifest<'_>) -> Result<(), ClusterError> {
        let (jobs, secrets) = (self.cluster.jobs(), self.cluster.secrets());
        let params = PostParams::default();
        let wanted = manifest.job();
        let doing = format!("creating job {name}");
        let made = persistently(&doing, |attempt| {
            let (jobs, wanted, params) = (&jobs, &wanted, &params);
            async move {
                match jobs.create(params, wanted).await {
                    // The answer to an attempt before was lost.
                    Err(kube::Error::Api(status)) if status.code == 409 && attempt > 0 => {
                        jobs.get(name).await
                    }
                    made => made,
                }
            }
        });
        let made = made.await?;
        for secret in manifest.secrets(&made) {
            let doing = format!("creating the secret of job {name}");
            persistently(&doing, |attempt| {
                let (secrets, secret, params) = (&secrets, &secret, &params);
                async move {
                    match secrets.create(params, secret).await {
                        Err(kube::Error::Api(status)) if status.code == 409 && attempt > 0 => {
                            Ok(())
                        }
                        made => made.map(drop),
                    }
                }
            })
            .await?;
        }
        let doing = format!("letting job {name} begin");
        let patch = json!({ "spec": { "suspend": false } });
        persistently(&doing, |_| {
            let (jobs, patch) = (&jobs, Patch::Merge(&patch));
            async move { jobs.patch(name, &PatchParams::default(), &patch).await }
        })
        .await
        .map(drop)
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
        let remembered = self.remembered(job);
        let ending = tokio::select! {
            biased;
            () = cancel.cancelled() => Ending::Failed("the job was cancelled".to_owned()),
            ending = self.see_through(job, clone_from, &remembered, log) => ending,
        };
        self.put_away(&remembered.name(), log).await;
        self.forget(&job.identity.key(), &remembered);
        ending
    }

    /// Sees a job through that is made, or makes it first.
    async fn see_through(
        &self,
        job: &Job,
        clone_from: Option<Secret>,
        remembered: &Remembered,
        log: &Arc<ExecutionLog>,
    ) -> Ending {
        let name = remembered.name();
        let mut seen = self.pods.of(&name);
        let entry = log.begin("setup.kubernetes.job", None);
        let fail = |entry: Entry, text: String| {
            entry.text(&format!("{text}\n"));
            entry.close(1);
            Ending::Errored(text)
        };
        let gates = match gates(job, &self.inside) {
            Ok(gates) => gates,
            Err(text) => return fail(entry, text),
        };
        if !remembered.is_made() {
            let steps = gates.slots().len();
            entry.text(&format!("Job {name}, a pod with {steps} step containers\n"));
            if let Err(text) = self.make(&name, job, clone_from, &gates).await {
                return fail(entry, text);
            }
            remembered.made();
        }
        let late = Instant::now() + self.settings.start_timeout;
        let pod = match self.until_begun(&name, &mut seen, &entry, late).await {
            Ok(status) => status,
            Err(trouble) => return fail(entry, trouble.to_string()),
        };
        let node = pod.node.as_deref().unwrap_or("a node");
        entry.text(&format!("Pod {} runs on {node}\n", pod.name));
        entry.close(0);
        let mut replay = Replay::new(Arc::clone(log));
        let (api, watched) = (self.cluster.pods(), seen.clone());
        let told = tokio::select! {
            biased;
            told = follow(&api, &pod.name, &watched, &mut replay) => told,
            trouble = self.until_trouble(&name, &mut seen, late) => {
                return Ending::Errored(trouble.to_string());
            }
        };
        match told {
            Some(Ending::Errored(text)) if text == STOPPED => {
                let reason = self.reason(&name, &mut seen, late).await;
                Ending::Errored(reason.map_or(text, |trouble| trouble.to_string()))
            }
            // Some clusters kill the gate along with the step.
            Some(Ending::Errored(text)) if text.contains(WITHOUT_A_WORD) => {
                match killed(&mut seen).await {
                    Some(killed) => Ending::Errored(format!("{text}: {killed}")),
                    None => Ending::Errored(text),
                }
            }
            Some(ending) => ending,
            None => {
                let reason = self.reason(&name, &mut seen, late).await;
                Ending::Errored(match reason {
                    Some(trouble) => trouble.to_string(),
                    None => "the pod's runner ended without telling how the job did".to_owned(),
                })
            }
        }
    }

    /// Waits until the pod's runner has begun, and tells what the pod waits for meanwhile.
    async fn until_begun(
        &self,
        name: &str,
        seen: &mut watch::Receiver<Seen>,
        entry: &Entry,
        late: Instant,
    ) -> Result<Arc<Status>, Trouble> {
        let mut told = String::new();
        let mut tell = |trouble: &Trouble| {
            let text = format!("{trouble}\n");
            if text != told {
                entry.text(&text);
                told = text;
            }
        };
        loop {
            let now = seen.borrow_and_update().clone();
            let mut waits = None;
            match now {
                Seen::There(status) => {
                    waits = status.trouble();
                    match &waits {
                        Some(trouble) if trouble.is_final => return Err(trouble.clone()),
                        _ if status.is_going() => return Err(self.why_gone(name).await),
                        _ if status.has_begun() => return Ok(status),
                        Some(trouble) => tell(trouble),
                        None => {}
                    }
                }
                Seen::Gone => return Err(self.why_gone(name).await),
                Seen::NotYet => {}
            }
            let no_pod = matches!(*seen.borrow(), Seen::NotYet);
            tokio::select! {
                changed = seen.changed() => if changed.is_err() {
                    return Err(deleted("the pod"));
                },
                () = tokio::time::sleep_until(late) => return Err(self.too_late(waits)),
                () = tokio::time::sleep(NO_POD), if no_pod => {
                    match self.no_pod(name).await {
                        Some(trouble) if trouble.is_final => return Err(trouble),
                        Some(trouble) => tell(&trouble),
                        None => {}
                    }
                }
            }
        }
    }

    /// Waits until something is wrong with a pod whose runner has begun; for ever if nothing is.
    async fn until_trouble(
        &self,
        name: &str,
        seen: &mut watch::Receiver<Seen>,
        late: Instant,
    ) -> Trouble {
        loop {
            let now = seen.borrow_and_update().clone();
            let mut waits = None;
            if let Seen::There(status) = &now {
                waits = status.trouble();
                if let Some(trouble) = &waits
                    && trouble.is_final
                {
                    // What its runner said last is worth more.
                    tokio::time::sleep(REASON / 5).await;
                    return trouble.clone();
                }
            }
            let is_going = match &now {
                Seen::There(status) => status.is_going(),
                Seen::Gone => true,
                Seen::NotYet => false,
            };
            if is_going {
                return self.why_gone(name).await;
            }
            let may_wait = match &now {
                Seen::There(status) => !status.is_complete() && !status.has_ended(),
                _ => false,
            };
            tokio::select! {
                changed = seen.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                () = tokio::time::sleep_until(late), if may_wait => return self.too_late(waits),
            }
        }
    }

    /// Why a runner has ended, as far as the cluster tells soon.
    async fn reason(
        &self,
        name: &str,
        seen: &mut watch::Receiver<Seen>,
        late: Instant,
    ) -> Option<Trouble> {
        seen.mark_changed();
        let trouble = self.until_trouble(name, seen, late);
        tokio::time::timeout(REASON, trouble).await.ok()
    }

    /// Why a pod is being deleted: its Job knows, if that is there.
    async fn why_gone(&self, name: &str) -> Trouble {
        let late = Instant::now() + REASON;
        loop {
            match once("looking at the job", self.cluster.jobs().get_opt(name)).await {
                Ok(Some(job)) => match failed(&job) {
                    // That it has no pod any more.
                    Some((BACKOFF, _)) => return deleted(&format!("the pod of job {name}")),
                    Some((reason, message)) => return of_failed_job(reason, message),
                    None => {}
                },
                Ok(None) => return deleted(&format!("job {name}")),
                Err(error) => tracing::debug!(%error, "a job cannot be looked at"),
            }
            if Instant::now() >= late {
                return deleted(&format!("the pod of job {name}"));
            }
            tokio::time::sleep(REASON / 10).await;
        }
    }

    /// Why a Job has no pod.
    async fn no_pod(&self, name: &str) -> Option<Trouble> {
        match once("looking at the job", self.cluster.jobs().get_opt(name)).await {
            Ok(Some(job)) => {
                if let Some((reason, message)) = failed(&job) {
                    return Some(of_failed_job(reason, message));
                }
            }
            Ok(None) => return Some(deleted(&format!("job {name}"))),
            Err(error) => {
                tracing::debug!(%error, "a job cannot be looked at");
                return None;
            }
        }
        let params = kube::api::ListParams::default()
            .fields(&format!("involvedObject.name={name}"))
            .limit(20);
        let events = once("reading events", self.cluster.events().list(&params)).await;
        let events = events.ok()?.items;
        let last = events
            .iter()
            .rev()
            .find(|event| event.type_.as_deref() == Some("Warning"))?;
        Some(Trouble {
            what: format!(
                "job {name} gets no pod: {}",
                last.message.as_deref().unwrap_or("no reason is told")
            ),
            hint: Some("the namespace's quota, its pod security level, or a webhook may refuse it"),
            is_final: false,
        })
    }

    fn too_late(&self, waits: Option<Trouble>) -> Trouble {
        let limit = capstan_engine::run::go_duration(self.settings.start_timeout);
        let why = waits.as_ref().map_or_else(
            || "the cluster tells no reason".to_owned(),
            |trouble| trouble.what.clone(),
        );
        Trouble {
            what: format!("the pod has not started within {limit}: {why}"),
            hint: waits
                .and_then(|trouble| trouble.hint)
                .or(Some("see EXECUTOR_KUBERNETES_START_TIMEOUT")),
            is_final: true,
        }
    }

    /// Deletes a Job and what belongs to it, or lets it be kept.
    async fn put_away(&self, name: &str, log: &ExecutionLog) {
        let entry = log.begin("teardown.kubernetes.job", None);
        let (done, text) = match self.settings.keep {
            true => (
                self.hand_over(name).await,
                format!("Job {name} is kept, as KUBERNETES_KEEP_JOBS says\n"),
            ),
            false => (self.delete(name).await, format!("Job {name} is deleted\n")),
        };
        match done {
            Ok(()) => {
                entry.text(&text);
                entry.close(0);
            }
            Err(error) => {
                tracing::warn!(error = error.explained(), "a job could not be put away");
                entry.text(&format!("{}\n", error.explained()));
                entry.close(1);
            }
        }
    }

    /// Deletes a Job; its pod and its Secrets go with it.
    pub(super) async fn delete(&self, name: &str) -> Result<(), ClusterError> {
        let jobs = self.cluster.jobs();
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let doing = format!("deleting job {name}");
        persistently(&doing, |_| {
            let (jobs, params) = (&jobs, &params);
            async move {
                match jobs.delete(name, params).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                    deleted => deleted.map(drop),
                }
            }
        })
        .await
    }

    /// Lets a Job be somebody else's.
    async fn hand_over(&self, name: &str) -> Result<(), ClusterError> {
        let jobs = self.cluster.jobs();
        let labels = json!({ EXECUTOR_LABEL: null, "capstan.dev/kept": "true" });
        let patch = json!({ "metadata": { "labels": labels } });
        let doing = format!("keeping job {name}");
        persistently(&doing, |_| {
            let (jobs, patch) = (&jobs, Patch::Merge(&patch));
            async move {
                match jobs.patch(name, &PatchParams::default(), &patch).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                    patched => patched.map(drop),
                }
            }
        })
        .await
    }
}

impl Work for ClusterJobs {
    async fn left(&self) -> Vec<Job> {
        let left: Vec<Arc<Remembered>> = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.values().map(Arc::clone).collect()
        };
        let mut jobs = Vec::new();
        for remembered in left {
            let job = self.take_up(&remembered).await.unwrap_or_else(|error| {
                tracing::warn!(error = error.explained(), "a job cannot be taken up again");
                None
            });
            match job {
                Some(job) => jobs.push(job),
                None => self.forget(&remembered.key(), &remembered),
            }
        }
        jobs
    }

    fn sink(&self, job: &Job, server: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Arc::new(Continued::new(self.remembered(job), server))
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

/// Why a Job has failed, if it has.
fn failed(job: &v1::Job) -> Option<(&str, &str)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions.iter().find(|condition| {
        matches!(condition.type_.as_str(), "Failed" | "FailureTarget") && condition.status == "True"
    })?;
    let (reason, message) = (failed.reason.as_deref(), failed.message.as_deref());
    Some((reason.unwrap_or_default(), message.unwrap_or_default()))
}

/// Waits for the word that a step's container was killed for lack of memory.
async fn killed(seen: &mut watch::Receiver<Seen>) -> Option<String> {
    let found = seen.wait_for(|seen| match seen {
        Seen::There(status) => status.killed_step().is_some(),
        _ => false,
    });
    match tokio::time::timeout(REASON, found).await {
        Ok(Ok(seen)) => match &*seen {
            Seen::There(status) => status.killed_step(),
            _ => None,
        },
        _ => None,
    }
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
