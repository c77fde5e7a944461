//! An executor as `examples/deploy` puts it into a cluster, by kustomize and by Helm. That takes more of a cluster than the stand-in has.

use std::os::unix::fs::symlink;
use std::path::Path;

use capstan_tests::{SECRET, image};
use serde_json::json;

use super::namespace::{EXECUTOR, Namespace};
use super::site::{Site, variable};
use crate::executor::native;
use crate::manifests::{deploy, helm, is_yaml};

/// What a user of the examples writes: where things are, and who is let through.
const OVERLAY: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: NAMESPACE
resources: [kubernetes]
images:
  - {name: registry.example.com/capstan, newName: IMAGE_NAME, newTag: \"IMAGE_TAG\"}
configMapGenerator:
  - name: capstan-executor
    behavior: merge
    literals:
      - EXECUTOR_FRONTEND_URL=SERVER_URL
      - EXECUTOR_QUEUE_POLL_INTERVAL=100ms
      - EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY=64Mi
      - EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY=256Mi
secretGenerator:
  - name: capstan-executor
    literals: [EXECUTOR_FRONTEND_PASSWORD=THE_SECRET]
patches:
  - target: {kind: NetworkPolicy, name: capstan-executor|capstan-job}
    patch: |-
      - op: add
        path: /spec/egress/-
        value: {to: [{ipBlock: {cidr: ADDRESS/32}}]}
";

#[test]
fn the_files_for_kustomize_run_jobs() {
    let site = Site::new();
    let (Some(namespace), true) = (site.namespace(), site.makes_volumes()) else {
        return;
    };
    let (name, tag) = image_and_tag();
    let values = [
        ("NAMESPACE", namespace.name()),
        ("IMAGE_NAME", name),
        ("IMAGE_TAG", tag),
        ("SERVER_URL", site.server.url()),
        ("THE_SECRET", SECRET),
        ("ADDRESS", &address()),
    ];
    let mut text = OVERLAY.to_owned();
    for (name, value) in values {
        text = text.replace(name, value);
    }
    site.world.write("deploy/kustomization.yaml", text);
    let overlay = site.world.work().join("deploy");
    let examples = deploy().join("kubernetes");
    symlink(examples.canonicalize().unwrap(), overlay.join("kubernetes")).unwrap();
    namespace.kubectl(&["apply", "-k", overlay.to_str().unwrap()]);
    assert_runs_jobs(&site, namespace);
}

#[test]
fn the_chart_runs_jobs() {
    let site = Site::new();
    let (Some(namespace), true) = (site.namespace(), site.makes_volumes()) else {
        return;
    };
    let (name, tag) = image_and_tag();
    let address = format!("{}/32", address());
    let egress = json!([{"to": [{"ipBlock": {"cidr": address}}]}]);
    let values = json!({
        "env": {
            "EXECUTOR_FRONTEND_URL": site.server.url(),
            "EXECUTOR_QUEUE_POLL_INTERVAL": "100ms",
            "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY": "64Mi",
            "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY": "256Mi",
        },
        "image": {"repository": name, "tag": tag},
        "networkPolicy": {
            "defaultDeny": true,
            "executor": {"egress": egress},
            "jobs": {"egress": egress},
        },
    });
    let secret = format!("--from-literal=EXECUTOR_FRONTEND_PASSWORD={SECRET}");
    namespace.kubectl(&["create", "secret", "generic", EXECUTOR, &secret]);
    for (name, text) in helm::render(EXECUTOR, namespace.name(), &values) {
        if is_yaml(&name) && !text.trim().is_empty() {
            let file = site.world.write(Path::new("chart").join(name), text);
            namespace.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        }
    }
    assert_runs_jobs(&site, namespace);
}

fn image_and_tag() -> (&'static str, &'static str) {
    image().rsplit_once(':').unwrap_or((image(), "latest"))
}

/// Where the server is.
fn address() -> String {
    variable("CAPSTAN_TEST_ADDRESS").unwrap_or_default()
}

/// The executor becomes ready, is content with the cluster, and sees a job through although it has to leave its node meanwhile.
#[track_caller]
fn assert_runs_jobs(site: &Site, namespace: &Namespace) {
    let set = format!("statefulset/{EXECUTOR}");
    namespace.kubectl(&["rollout", "status", &set, "--timeout=180s"]);
    let pod = format!("{EXECUTOR}-0");
    let validate = ["exec", &pod, "--", "capstan", "executor", "validate"];
    assert_eq!(namespace.kubectl(&validate), "All checks passed!\n");
    let lines = "for i in 1 2 3 4 5 6 7 8; do echo at $i; sleep 2; done";
    let id = site.enqueue(&native(&site.commit, &[lines]));
    site.wait_for_output(id, "stdout: at 2");
    let pods = site.pods();
    let names = pods.iter().map(|pod| pod["metadata"]["name"].as_str());
    let of_job: Vec<&str> = names.flatten().filter(|name| *name != pod).collect();
    let [of_job] = of_job[..] else {
        panic!("{of_job:?}");
    };
    let refused = evict(site, namespace, of_job).unwrap_err();
    assert!(refused.contains("disruption budget"), "{refused}");
    evict(site, namespace, &pod).unwrap();
    site.completed(id);
    site.assert_counted(id, "step.kubernetes.step.0.run", 8);
    site.server.assert_pleased();
}

/// Asks for a pod to leave its node, as draining it does.
fn evict(site: &Site, namespace: &Namespace, pod: &str) -> Result<String, String> {
    let of = namespace.name();
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": of},
    });
    let file = site.world.write("eviction.json", eviction.to_string());
    let path = format!("/api/v1/namespaces/{of}/pods/{pod}/eviction");
    namespace.ask(&["create", "--raw", &path, "-f", file.to_str().unwrap()])
}
