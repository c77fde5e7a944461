//! A job in the cluster is seen through: from its making to what its runner tells last, whatever becomes of its pod.

use std::sync::Arc;
use std::time::Duration;

use capstan_engine::pod::WITHOUT_A_WORD;
use capstan_protocol::Job;
use k8s_openapi::api::batch::v1;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use tokio::sync::watch;
use tokio::time::Instant;

use super::access::{ClusterError, once};
use super::follow::follow;
use super::jobs::ClusterJobs;
use super::kept::Remembered;
use super::pods::Seen;
use super::status::{Status, Trouble, deleted, of_failed_job};
use crate::client::Secret;
use crate::job::{Ending, STOPPED, gates};
use crate::log::{Entry, ExecutionLog};
use crate::pod::Replay;

/// How often somebody looks why there is no pod.
const NO_POD: Duration = Duration::from_secs(10);

/// How long the cluster may take to tell why a pod ended.
const REASON: Duration = Duration::from_secs(5);

/// Events about a Job that are looked at.
const MOST_EVENTS: u32 = 20;

/// The reason of a Job whose pod has failed.
const BACKOFF: &str = "BackoffLimitExceeded";

/// How a job ended.
pub(super) struct Heard {
    pub(super) ending: Ending,
    /// Whether its runner has told so: it has ended, too.
    pub(super) by_runner: bool,
}

impl Heard {
    fn of_runner(ending: Ending) -> Self {
        Self {
            ending,
            by_runner: true,
        }
    }

    fn of_us(text: String) -> Self {
        Self {
            ending: Ending::Errored(text),
            by_runner: false,
        }
    }
}

impl ClusterJobs {
    /// Sees a job through that is made, or makes it first.
    pub(super) async fn see_through(
        &self,
        job: &Job,
        clone_from: Option<Secret>,
        remembered: &Remembered,
        log: &Arc<ExecutionLog>,
    ) -> Heard {
        let name = remembered.name();
        let mut seen = self.pods.of(&name);
        let entry = log.begin("setup.kubernetes.job", None);
        let fail = |entry: Entry, text: String| {
            entry.text(&format!("{text}\n"));
            entry.close(1);
            Heard::of_us(text)
        };
        let gates = match gates(job, &self.inside) {
            Ok(gates) => gates,
            Err(text) => return fail(entry, text),
        };
        let steps = gates.slots().len();
        entry.text(&format!("Job {name}, with {steps} containers for steps\n"));
        let late = Instant::now() + self.settings.start_timeout;
        if !remembered.is_made() {
            let made = self.make(&name, job, clone_from, &gates, &entry, late);
            if let Err(text) = made.await {
                return fail(entry, text);
            }
            remembered.made();
        }
        let pod = match self.until_begun(&name, &mut seen, &entry, late).await {
            Ok(status) => status,
            Err(trouble) => return fail(entry, trouble.to_string()),
        };
        let node = pod.node.as_deref().unwrap_or("a node");
        entry.text(&format!("Pod {} runs on {node}\n", pod.name));
        entry.close(0);
        let mut replay = Replay::new(Arc::clone(log));
        let (api, mut watched) = (self.cluster.pods(), seen.clone());
        let told = tokio::select! {
            biased;
            told = follow(&api, &pod.name, &mut watched, &mut replay) => told,
            trouble = self.until_trouble(&name, &mut seen) => {
                return Heard::of_us(trouble.to_string());
            }
        };
        match told {
            Ok(Ending::Errored(text)) if text == STOPPED => {
                let reason = self.reason(&name, &mut seen).await;
                Heard::of_us(reason.map_or(text, |trouble| trouble.to_string()))
            }
            // The gate was killed along with its step: for lack of memory, or because the pod goes.
            Ok(Ending::Errored(text)) if text.contains(WITHOUT_A_WORD) => {
                let mut killed_in = seen.clone();
                tokio::select! {
                    Some(trouble) = self.reason(&name, &mut seen) => {
                        Heard::of_us(trouble.to_string())
                    }
                    Some(killed) = killed(&mut killed_in) => {
                        Heard::of_runner(Ending::Errored(format!("{text}: {killed}")))
                    }
                    else => Heard::of_runner(Ending::Errored(text)),
                }
            }
            Ok(ending) => Heard::of_runner(ending),
            Err(why) => {
                let reason = self.reason(&name, &mut seen).await;
                let why = why.map(|why| format!(", and its log cannot be read: {why}"));
                Heard::of_us(match reason {
                    Some(trouble) => trouble.to_string(),
                    None => format!(
                        "the pod's runner ended without telling how the job did{}",
                        why.unwrap_or_default()
                    ),
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
        let mut waits: Option<Trouble> = None;
        loop {
            let now = seen.borrow_and_update().clone();
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
                () = tokio::time::sleep_until(late) => {
                    let seen = seen.borrow().clone();
                    return Err(self.too_late(waits, &seen));
                }
                () = tokio::time::sleep(NO_POD), if no_pod => {
                    match self.no_pod(name).await {
                        Some(trouble) if trouble.is_final => return Err(trouble),
                        Some(trouble) => {
                            tell(&trouble);
                            waits = Some(trouble);
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Waits until something is wrong with a pod whose runner has begun; for ever if nothing is. Containers may start as late as they are needed, but not
    /// be in trouble for long.
    async fn until_trouble(&self, name: &str, seen: &mut watch::Receiver<Seen>) -> Trouble {
        let mut since = None;
        loop {
            let now = seen.borrow_and_update().clone();
            let status = match &now {
                Seen::There(status) => status,
                Seen::Gone => return self.why_gone(name).await,
                // It was there before.
                Seen::NotYet => return deleted("the pod"),
            };
            let waits = match status.trouble() {
                Some(trouble) if trouble.is_final => {
                    // What its runner said last is worth more.
                    tokio::time::sleep(REASON / 5).await;
                    return trouble;
                }
                waits => waits,
            };
            if status.is_going() {
                return self.why_gone(name).await;
            }
            since = waits.as_ref().map(|_| since.unwrap_or_else(Instant::now));
            let late = since.map(|since| since + self.settings.start_timeout);
            tokio::select! {
                changed = seen.changed() => if changed.is_err() {
                    return deleted("the pod");
                },
                () = until(late) => return self.too_late(waits, &now),
            }
        }
    }

    /// Why a runner has ended, as far as the cluster tells soon.
    async fn reason(&self, name: &str, seen: &mut watch::Receiver<Seen>) -> Option<Trouble> {
        let trouble = self.until_trouble(name, seen);
        tokio::time::timeout(REASON, trouble).await.ok()
    }

    /// Why a pod is being deleted: its Job knows, if that is there.
    async fn why_gone(&self, name: &str) -> Trouble {
        let late = Instant::now() + REASON;
        loop {
            if let Ok(Some(trouble)) = self.of_job(name).await {
                return trouble;
            }
            if Instant::now() >= late {
                return deleted(&format!("the pod of job {name}"));
            }
            tokio::time::sleep(REASON / 10).await;
        }
    }

    /// What is wrong with a Job, if anything is.
    async fn of_job(&self, name: &str) -> Result<Option<Trouble>, ClusterError> {
        let job = once("looking at the job", self.cluster.jobs().get_opt(name)).await?;
        Ok(match job.as_ref().map(failed) {
            None => Some(deleted(&format!("job {name}"))),
            // It had a pod.
            Some(Some((BACKOFF, _))) => Some(deleted(&format!("the pod of job {name}"))),
            Some(Some((reason, message))) => Some(of_failed_job(reason, message)),
            Some(None) => None,
        })
    }

    /// Why a Job has no pod.
    async fn no_pod(&self, name: &str) -> Option<Trouble> {
        match self.of_job(name).await {
            Ok(None) => {}
            Ok(trouble) => return trouble,
            Err(error) => {
                tracing::debug!(%error, "a job cannot be looked at");
                return None;
            }
        }
        let params = ListParams::default()
            .fields(&format!("involvedObject.name={name}"))
            .limit(MOST_EVENTS);
        let events = once("reading events", self.cluster.events().list(&params)).await;
        let events = events.ok()?.items;
        let is_warning = |event: &&Event| event.type_.as_deref() == Some("Warning");
        let last = events.iter().rev().find(is_warning)?;
        let why = last.message.as_deref().unwrap_or("no reason is told");
        Some(Trouble {
            what: format!("job {name} gets no pod: {why}"),
            hint: Some("the namespace's quota, its pod security level, or a webhook may refuse it"),
            is_final: false,
        })
    }

    fn too_late(&self, waits: Option<Trouble>, seen: &Seen) -> Trouble {
        let limit = capstan_engine::run::go_duration(self.settings.start_timeout);
        let missing = match seen {
            Seen::There(status) => status.not_started(),
            _ => Vec::new(),
        };
        let why = match (&waits, missing.as_slice()) {
            (Some(trouble), _) => trouble.what.clone(),
            (None, []) => "the cluster tells no reason".to_owned(),
            // The images of a pod are got one after the other.
            (None, missing) => format!("these containers have not: {}", missing.join(", ")),
        };
        let hint = waits.and_then(|trouble| trouble.hint);
        Trouble {
            what: format!("the pod has not started within {limit}: {why}"),
            hint: hint.or(Some("see EXECUTOR_KUBERNETES_START_TIMEOUT")),
            is_final: true,
        }
    }
}

/// Waits until then; for ever without.
async fn until(late: Option<Instant>) {
    match late {
        Some(late) => tokio::time::sleep_until(late).await,
        None => std::future::pending().await,
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
