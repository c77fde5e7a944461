//! Deletes Jobs that nobody follows any more.
//!
//! Those of this executor that it does not know are of a process that was killed before it could remember them. Those of others are left alone as long as the
//! pod in which their executor ran is there; executors outside of the cluster come back to theirs, and whatever happens a Job ends at its deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use tokio_util::sync::CancellationToken;

use super::access::{ClusterError, once};
use super::jobs::ClusterJobs;
use super::manifest::{EXECUTOR_LABEL, EXECUTOR_POD, MANAGED_BY};

/// How often.
const PAUSE: Duration = Duration::from_secs(60);

/// After its executor could have let it begin, a Job that is suspended is left for so long.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// So many looks without an executor's pod say that it does not come back: pods of a StatefulSet are away for moments.
const LOOKS: u32 = 3;

/// Sweeps until `stop`.
pub(super) async fn keep_clean(jobs: Weak<ClusterJobs>, stop: CancellationToken) {
    let mut away = BTreeMap::new();
    loop {
        if let Some(jobs) = jobs.upgrade()
            && let Err(error) = sweep(&jobs, &mut away).await
        {
            tracing::debug!(%error, "jobs that nobody follows cannot be looked for");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Sweeps once. `away`: how often in a row an executor's pod was not there.
pub(super) async fn sweep(
    jobs: &ClusterJobs,
    away: &mut BTreeMap<String, u32>,
) -> Result<(), ClusterError> {
    let (name, value) = MANAGED_BY;
    let selector = format!("{name}={value},{EXECUTOR_LABEL}");
    let params = ListParams::default().labels(&selector);
    let list = once("listing jobs", jobs.cluster.jobs().list(&params)).await?;
    let (own, others): (Vec<&Job>, Vec<&Job>) = list
        .items
        .iter()
        .partition(|job| label(job) == Some(&jobs.maker.label));
    for job in own {
        let Some(name) = job.metadata.name.as_ref().filter(|name| !jobs.knows(name)) else {
            continue;
        };
        // One that was to be kept may have become nobody's meanwhile.
        let found = once("looking at a job", jobs.cluster.jobs().get_opt(name)).await?;
        if found.is_some_and(|job| label(&job) == Some(&jobs.maker.label)) {
            delete(jobs, name).await;
        }
    }
    for job in &others {
        // One that was made and never begun has neither a pod nor a deadline. And what another had made in this very pod is nobody's.
        let is_old = age(job).is_some_and(|age| age > jobs.settings.start_timeout + FORGOTTEN);
        let is_left = is_suspended(job) && is_old || has_this_pod(jobs, job);
        if let Some(name) = job.metadata.name.as_ref().filter(|_| is_left) {
            delete(jobs, name).await;
        }
    }
    let executors: BTreeSet<&str> = others.iter().filter_map(|job| executor_pod(job)).collect();
    away.retain(|pod, _| executors.contains(pod.as_str()));
    for pod in executors {
        let found = once("looking for an executor", jobs.cluster.pods().get_opt(pod)).await?;
        let looks = away.entry(pod.to_owned()).or_default();
        *looks = match found {
            Some(_) => 0,
            None => *looks + 1,
        };
        if *looks < LOOKS {
            continue;
        }
        for job in others.iter().filter(|job| executor_pod(job) == Some(pod)) {
            if let Some(name) = &job.metadata.name {
                delete(jobs, name).await;
            }
        }
    }
    Ok(())
}

fn is_suspended(job: &Job) -> bool {
    job.spec
        .as_ref()
        .is_some_and(|spec| spec.suspend == Some(true))
}

fn has_this_pod(jobs: &ClusterJobs, job: &Job) -> bool {
    let ours = jobs.maker.pod.as_deref();
    ours.is_some() && executor_pod(job) == ours
}

fn age(job: &Job) -> Option<Duration> {
    let created = job.metadata.creation_timestamp.as_ref()?;
    Duration::try_from(jiff::Timestamp::now() - created.0).ok()
}

async fn delete(jobs: &ClusterJobs, name: &str) {
    match jobs.delete(name).await {
        Ok(()) => tracing::info!(name, "a job that nobody follows is deleted"),
        Err(error) => tracing::warn!(
            error = error.explained(),
            "a job that nobody follows is left"
        ),
    }
}

fn label(job: &Job) -> Option<&String> {
    job.metadata.labels.as_ref()?.get(EXECUTOR_LABEL)
}

fn executor_pod(job: &Job) -> Option<&str> {
    let annotations = job.metadata.annotations.as_ref()?;
    annotations.get(EXECUTOR_POD).map(String::as_str)
}
