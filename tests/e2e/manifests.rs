//! What `examples/deploy` has for Kubernetes: files for kustomize, and a Helm chart. Both are read as Kubernetes would read them, and held to the same rules.

mod chart;
mod documents;
pub(crate) mod helm;
mod kustomization;
mod reach;
mod rules;
mod schema;

use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use chart::chart;
use documents::{Documents, problems};
use kustomization::Kustomization;
use reach::{Labels, labels};
pub(crate) use rules::RIGHTS;
use rules::given_to_executor;

/// What the chart and the files set themselves.
const SET: [&str; 6] = [
    "CAPSTAN_CACHE_DIR",
    "CAPSTAN_STATE_DIR",
    "EXECUTOR_BACKEND",
    "EXECUTOR_FRONTEND_PASSWORD",
    "EXECUTOR_HEALTH_SERVER_ADDR",
    "EXECUTOR_KUBERNETES_NAMESPACE",
];

/// The directory with all of it.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy")
}

/// As the executor labels the pod of a job.
fn job() -> Labels {
    labels([
        ("app.kubernetes.io/name", "capstan-job"),
        ("app.kubernetes.io/managed-by", "capstan"),
        ("capstan.dev/executor", "some-executor"),
    ])
}

pub(crate) fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml")
}

#[test]
fn variables_are_documented() {
    let read = |name: &str| std::fs::read_to_string(deploy().join("../../docs").join(name));
    let known = ["executor.md", "kubernetes.md"].map(|name| read(name).unwrap());
    let kustomization = Kustomization::read();
    let values = helm::values(&json!({}));
    let of_chart = values["env"].as_object().unwrap().keys();
    let given = kustomization.variables().into_keys();
    for name in given.chain(of_chart.map(String::as_str)).chain(SET) {
        let quoted = format!("`{name}`");
        assert!(
            known.iter().any(|it| it.contains(&quoted)),
            "{name} is not documented"
        );
    }
}

#[test]
fn the_chart_and_the_files_say_the_same() {
    let (chart, kustomization) = (chart(&json!({})), Kustomization::read());
    let mut given = given_to_executor(&chart);
    given.retain(|name, _| !SET.contains(name));
    let mut configured = kustomization.variables();
    configured.retain(|_, value| !value.is_empty());
    assert_eq!(given, configured);
    let files = kustomization.documents();
    let plain = |all: &Documents| {
        let mut pod = all.pod().clone();
        let container = &mut pod.containers[0];
        container.env_from = None;
        container.image = None;
        container
            .env
            .as_mut()
            .unwrap()
            .retain(|it| SET.contains(&it.name.as_str()));
        pod.affinity = None;
        pod
    };
    assert_eq!(plain(&chart), plain(&files));
}

#[test]
fn what_kubernetes_would_not_take_is_seen() {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "a" },
        "spec": { "ports": [{ "port": 80 }] },
    });
    assert_eq!(problems::<Service>(&service), [""; 0]);
    let mut unknown = service.clone();
    unknown["spec"]["ports"][0]["prot"] = json!("TCP");
    assert_eq!(
        problems::<Service>(&unknown),
        ["spec.ports.0.prot: is unknown"]
    );
    let mut missing = service;
    missing["spec"]["ports"] = json!([{}]);
    assert_eq!(
        problems::<Service>(&missing),
        ["/spec/ports/0: port is missing"]
    );
    let other = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {} });
    assert!(!problems::<StatefulSet>(&other).is_empty());
}
