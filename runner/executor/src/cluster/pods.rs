//! The pods of an executor, watched all together: one connection, however many jobs run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::{ClusterError, once};
use super::manifest::EXECUTOR_LABEL;
use super::status::Status;

/// What the cluster ends a watch after, in seconds.
const WATCH_SECONDS: u32 = 290;

/// A watch that says nothing for longer is dead, and so is its connection.
const SILENCE: Duration = Duration::from_secs(300);

/// A watch that ends sooner was worth little. It is also the longest wait after one that ended in good order.
const BRIEF: Duration = Duration::from_secs(1);

/// Longest wait before the cluster is asked anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The labels by which a Job's controller names the Job to its pods; the older one last.
const JOB_NAMES: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// What is known of the pod of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Seen {
    /// It was not there yet.
    #[default]
    NotYet,
    /// It is there.
    There(Arc<Status>),
    /// It was there.
    Gone,
}

/// The pods of an executor.
#[derive(Debug, Default)]
pub(super) struct Pods {
    of_jobs: Mutex<HashMap<String, watch::Sender<Seen>>>,
}

impl Pods {
    /// The pod of a Job of this name, from now on.
    pub(super) fn of(&self, job: &str) -> watch::Receiver<Seen> {
        let mut all = self.of_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(job.to_owned()).or_default().subscribe()
    }

    /// Nobody wants to know any more.
    pub(super) fn forget(&self, job: &str) {
        let mut all = self.of_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(job);
    }

    fn see(&self, job: &str, seen: Seen) {
        let mut all = self.of_jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // Pods of jobs that nobody has asked for yet are kept: somebody may take them up.
        let sender = all.entry(job.to_owned()).or_default();
        if seen == Seen::Gone && sender.receiver_count() == 0 {
            all.remove(job);
            return;
        }
        sender.send_if_modified(|before| {
            let is_new = *before != seen;
            *before = seen;
            is_new
        });
    }

    /// What is there now, as a whole.
    fn see_all(&self, pods: &[Pod]) {
        let there: HashSet<&str> = pods.iter().filter_map(job_of).collect();
        let missing: Vec<String> = {
            let all = self.of_jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let known = all.iter().filter(|(job, seen)| {
                !there.contains(job.as_str()) && matches!(*seen.borrow(), Seen::There(_))
            });
            known.map(|(job, _)| job.clone()).collect()
        };
        for job in missing {
            self.see(&job, Seen::Gone);
        }
        for pod in pods {
            self.see_one(pod);
        }
    }

    fn see_one(&self, pod: &Pod) {
        if let Some(job) = job_of(pod) {
            self.see(job, Seen::There(Arc::new(Status::of(pod))));
        }
    }

    /// Watches until `stop`, whatever happens to connections and versions.
    pub(super) async fn watch(
        self: Arc<Self>,
        api: Api<Pod>,
        label: String,
        stop: CancellationToken,
    ) {
        let selector = format!("{EXECUTOR_LABEL}={label}");
        let mut failures = 0_u32;
        loop {
            let begun = Instant::now();
            let watched = tokio::select! {
                watched = self.watch_once(&api, &selector) => watched,
                () = stop.cancelled() => return,
            };
            // Something on the way may end each watch at once.
            failures = match begun.elapsed() > BRIEF {
                true => 0,
                false => (failures + 1).min(8),
            };
            let longest = match watched {
                Ok(()) => BRIEF,
                Err(error) => {
                    if failures <= 1 {
                        let error = error.explained();
                        tracing::warn!(error, "pods cannot be watched; it is tried again");
                    }
                    LONGEST_PAUSE
                }
            };
            let pause = Duration::from_millis(25).saturating_mul(1 << failures);
            tokio::select! {
                () = tokio::time::sleep(pause.min(longest)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Lists, then watches from there, until the watch ends.
    async fn watch_once(&self, api: &Api<Pod>, selector: &str) -> Result<(), ClusterError> {
        let params = ListParams::default().labels(selector);
        let list = once("listing pods", api.list(&params)).await?;
        self.see_all(&list.items);
        let version = list.metadata.resource_version.unwrap_or_default();
        let params = WatchParams::default()
            .labels(selector)
            .timeout(WATCH_SECONDS);
        let events = once("watching pods", api.watch(&params, &version)).await?;
        pin_mut!(events);
        while let Ok(Some(event)) = tokio::time::timeout(SILENCE, events.next()).await {
            match event {
                Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => self.see_one(&pod),
                Ok(WatchEvent::Deleted(pod)) => {
                    if let Some(job) = job_of(&pod) {
                        self.see(job, Seen::Gone);
                    }
                }
                Ok(WatchEvent::Bookmark(_)) => {}
                // Most often the version is too old.
                Ok(WatchEvent::Error(status)) => {
                    tracing::debug!(reason = status.reason, "a watch of pods has expired");
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "a watch of pods was cut");
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The name of the Job that a pod is of.
fn job_of(pod: &Pod) -> Option<&str> {
    let labels = pod.metadata.labels.as_ref()?;
    let mut names = JOB_NAMES.iter();
    names.find_map(|name| labels.get(*name)).map(String::as_str)
}
