//! A Job comes into the cluster, and goes.

use std::time::Duration;

use capstan_engine::pod::Volume;
use capstan_protocol::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::json;
use tokio::time::Instant;

use super::access::{ClusterError, persistently};
use super::jobs::ClusterJobs;
use super::manifest::{EXECUTOR_LABEL, Manifest};
use super::payload::Payload;
use crate::client::Secret;
use crate::log::{Entry, ExecutionLog};

/// The wait before a job is made again that the cluster did not take.
const MAKE_AGAIN: Duration = Duration::from_secs(5);

impl ClusterJobs {
    /// Makes the Job, its Secrets, and lets it begin.
    ///
    /// A cluster that is away, or full, is waited for until `late`.
    pub(super) async fn make(
        &self,
        name: &str,
        job: &Job,
        clone_from: Option<Secret>,
        gates: &Volume,
        entry: &Entry,
        late: Instant,
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
            auths: match job.docker_auth_config.auths.is_empty() {
                true => &self.settings.auths,
                false => &job.docker_auth_config,
            },
            timeout: self.inside.maximum_runtime,
        };
        let mut told = String::new();
        loop {
            match self.make_of(name, &manifest).await {
                Ok(()) => return Ok(()),
                Err(error) if error.may_pass() && Instant::now() < late => {
                    let text = format!("{}; it is tried again\n", error.explained());
                    if text != told {
                        entry.text(&text);
                        told = text;
                    }
                    tokio::time::sleep(MAKE_AGAIN).await;
                }
                Err(error) => return Err(error.explained()),
            }
        }
    }

    async fn make_of(&self, name: &str, manifest: &Manifest<'_>) -> Result<(), ClusterError> {
        let (jobs, secrets) = (self.cluster.jobs(), self.cluster.secrets());
        let params = PostParams::default();
        let wanted = manifest.job();
        let doing = format!("creating job {name}");
        let made = persistently(&doing, |_| {
            let (jobs, wanted, params) = (&jobs, &wanted, &params);
            async move {
                match jobs.create(params, wanted).await {
                    // Nobody else has such a name: the answer to an attempt before was lost.
                    Err(kube::Error::Api(status)) if status.code == 409 => jobs.get(name).await,
                    made => made,
                }
            }
        });
        let made = made.await?;
        for secret in manifest.secrets(&made) {
            let doing = format!("creating the secret of job {name}");
            persistently(&doing, |_| {
                let (secrets, secret, params) = (&secrets, &secret, &params);
                async move {
                    match secrets.create(params, secret).await {
                        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
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

    /// Deletes a Job and what belongs to it, or lets it be kept.
    pub(super) async fn put_away(&self, name: &str, has_ended: bool, log: &ExecutionLog) {
        let entry = log.begin("teardown.kubernetes.job", None);
        // What may still run is not kept: nobody would stop it.
        let (done, text) = match self.settings.keep && has_ended {
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
