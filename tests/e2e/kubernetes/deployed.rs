//! An executor as `examples/deploy/kubernetes` puts it into a cluster. That takes more of a cluster than the stand-in has.

use std::os::unix::fs::symlink;
use std::path::Path;

use capstan_tests::{SECRET, image};

use super::namespace::Namespace;
use super::site::{Site, variable};
use crate::executor::native;

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
fn the_examples_run_jobs_and_restarts() {
    let site = Site::new();
    let (Some(namespace), true) = (site.namespace(), site.makes_volumes()) else {
        return;
    };
    let overlay = site.world.work().join("deploy");
    let (name, tag) = image().rsplit_once(':').unwrap_or((image(), "latest"));
    let address = variable("CAPSTAN_TEST_ADDRESS").unwrap_or_default();
    let values = [
        ("NAMESPACE", namespace.name()),
        ("IMAGE_NAME", name),
        ("IMAGE_TAG", tag),
        ("SERVER_URL", site.server.url()),
        ("THE_SECRET", SECRET),
        ("ADDRESS", &address),
    ];
    let text = values
        .iter()
        .fold(OVERLAY.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        });
    site.world.write("deploy/kustomization.yaml", text);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy/kubernetes");
    symlink(examples.canonicalize().unwrap(), overlay.join("kubernetes")).unwrap();
    namespace.kubectl(&["apply", "-k", overlay.to_str().unwrap()]);
    let rollout = ["rollout", "status", "statefulset/capstan-executor"];
    namespace.kubectl(&[&rollout[..], &["--timeout=180s"]].concat());

    let pod = "capstan-executor-0";
    let validate = ["exec", pod, "--", "capstan", "executor", "validate"];
    assert_eq!(namespace.kubectl(&validate), "All checks passed!\n");

    let lines = "for i in 1 2 3 4 5 6 7 8; do echo at $i; sleep 2; done";
    let id = site.enqueue(&native(&site.commit, &[lines]));
    site.wait_for_output(id, "stdout: at 2");
    let pods = site.pods();
    let names = pods
        .iter()
        .filter_map(|pod| pod["metadata"]["name"].as_str());
    let of_job: Vec<&str> = names.filter(|name| *name != pod).collect();
    assert_eq!(of_job.len(), 1, "{of_job:?}");
    let refused = evict(&site, namespace, of_job[0]).unwrap_err();
    assert!(refused.contains("disruption budget"), "{refused}");
    evict(&site, namespace, pod).unwrap();
    site.completed(id);
    let said = site.entry(id, "step.kubernetes.step.0.run").out;
    let told: Vec<&str> = said.lines().filter(|line| line.contains("at ")).collect();
    let expected: Vec<String> = (1..=8).map(|at| format!("stdout: at {at}")).collect();
    assert_eq!(told, expected);
    site.server.assert_pleased();
}

/// Asks for a pod to leave its node, as draining it does.
fn evict(site: &Site, namespace: &Namespace, pod: &str) -> Result<String, String> {
    let of = namespace.name();
    let eviction = serde_json::json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": of},
    });
    let file = site.world.write("eviction.json", eviction.to_string());
    let path = format!("/api/v1/namespaces/{of}/pods/{pod}/eviction");
    namespace.ask(&["create", "--raw", &path, "-f", file.to_str().unwrap()])
}
