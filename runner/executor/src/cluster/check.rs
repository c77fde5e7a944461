//! Whether an executor can do its work in a cluster: what it may do there, and one small job that shows all the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use capstan_protocol::{DockerStep, Identity, Job, LogEntry};
use futures_util::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use tokio_util::sync::CancellationToken;

use super::access::{Cluster, once};
use super::jobs::{ClusterJobs, Home};
use super::settings::PodSettings;
use crate::client::ClientError;
use crate::job::Ending;
use crate::log::{ExecutionLog, Redaction, Sink};
use crate::metrics::Metrics;
use crate::supervisor::Work as _;

/// What an executor has to be allowed: group, resource, its part, verb.
const RIGHTS: [(&str, &str, &str, &str); 12] = [
    ("batch", "jobs", "", "create"),
    ("batch", "jobs", "", "get"),
    ("batch", "jobs", "", "list"),
    ("batch", "jobs", "", "patch"),
    ("batch", "jobs", "", "delete"),
    ("", "pods", "", "get"),
    ("", "pods", "", "list"),
    ("", "pods", "", "watch"),
    ("", "pods", "log", "get"),
    ("", "secrets", "", "create"),
    ("", "secrets", "", "get"),
    ("", "events", "", "list"),
];

/// Looks at what the executor may do, then has a job run whose one step does nothing, in the runner's image: it shows whether pods are admitted, placed, get
/// their images and their volume, and reach the server. What is wrong, in words for the user.
pub async fn check(cluster: &Cluster, settings: &PodSettings, home: Home) -> Vec<String> {
    let problems = rights(cluster).await;
    match problems.is_empty() {
        true => probe(cluster, settings, home)
            .await
            .err()
            .into_iter()
            .collect(),
        false => problems,
    }
}

async fn rights(cluster: &Cluster) -> Vec<String> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    let namespace = cluster.namespace();
    let mut refused = Vec::new();
    for (group, resource, part, verb) in RIGHTS {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: some(group),
                    resource: some(resource),
                    subresource: some(part),
                    verb: some(verb),
                    namespace: some(namespace),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let params = PostParams::default();
        let asked = once(
            "asking the cluster what the executor may do",
            reviews.create(&params, &review),
        );
        match asked.await {
            Err(error) => return vec![error.explained()],
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) if part.is_empty() => refused.push(format!("{verb} {resource}")),
            Ok(_) => refused.push(format!("{verb} {resource}/{part}")),
        }
    }
    match refused.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "in namespace {namespace} the executor may not: {} (examples/deploy/kubernetes/role.yaml has all that it needs)",
            refused.join(", ")
        )],
    }
}

async fn probe(cluster: &Cluster, settings: &PodSettings, home: Home) -> Result<(), String> {
    let job = Job {
        identity: Identity {
            id: 0,
            queue: "validate".to_owned(),
            token: String::new(),
        },
        docker_steps: vec![DockerStep {
            key: "check".to_owned(),
            image: settings.image.clone(),
            commands: vec!["true".to_owned()],
            ..DockerStep::default()
        }],
        ..Job::default()
    };
    let settings = PodSettings {
        tries_server: true,
        ..settings.clone()
    };
    let jobs = ClusterJobs::new(cluster.clone(), settings, home, None);
    let sink = jobs.sink(&job, Arc::new(Nowhere::default()));
    let metrics = Metrics::new(std::slice::from_ref(&job.identity.queue));
    let log = Arc::new(ExecutionLog::new(sink, Redaction::default(), metrics));
    match jobs.run(job, log, CancellationToken::new()).await {
        Ending::Complete => Ok(()),
        Ending::Errored(text) | Ending::Failed(text) => {
            Err(format!("a job that does nothing has failed: {text}"))
        }
    }
}

/// Where a log goes that nobody reads.
#[derive(Default)]
struct Nowhere(AtomicI64);

impl Sink for Nowhere {
    fn add<'a>(&'a self, _: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(number)))
    }

    fn update<'a>(&'a self, _: i64, _: &LogEntry) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
