//! The Helm chart, under several values.

use serde_json::{Value, json};

use super::documents::Documents;
use super::reach::{Peer, egress, ingress, labels};
use super::rules::{check, given_to_executor, others_are_free, pod_labels, variables};
use super::{helm, is_yaml, job, schema};

/// The chart under the name `capstan-executor`, with a server and what is given.
pub(crate) fn chart(given: &Value) -> Documents {
    let rendered = helm::render("capstan-executor", "batch", &with_server(given));
    let texts = rendered
        .iter()
        .filter(|(name, _)| is_yaml(name))
        .map(|(_, text)| text.as_str());
    Documents::read(texts)
}

fn with_server(given: &Value) -> Value {
    let mut given = given.clone();
    if !given["env"].is_object() {
        given["env"] = json!({});
    }
    given["env"]["EXECUTOR_FRONTEND_URL"] = json!("https://sourcegraph.example.com");
    given
}

#[test]
fn the_chart_as_it_is() {
    let all = chart(&json!({}));
    check(&all);
    assert_eq!(
        (all.roles.len(), all.budgets.len(), all.accounts.len()),
        (1, 2, 1)
    );
    assert!(!all.policies.is_empty() && others_are_free(&all.policies));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(helm::metadata()["appVersion"], version);
    let container = &all.pod().containers[0];
    let image = format!("registry.example.com/capstan:{version}");
    assert_eq!(container.image, Some(image));
    assert_eq!(all.set().metadata.name.as_deref(), Some("capstan-executor"));
}

#[test]
fn variables_of_the_chart() {
    let all = chart(&json!({ "env": {
        "KUBERNETES_RUN_AS_USER": 1_000_650_000,
        "EXECUTOR_JOB_NUM_CPUS": 0,
        "EXECUTOR_KEEP_WORKSPACES": false,
        "EXECUTOR_KUBERNETES_NODE_TOLERATIONS": r#"[{"key":"jobs","operator":"Exists"}]"#,
        "EXECUTOR_QUEUE_NAME": null,
        "EXECUTOR_QUEUE_NAMES": "batches,codeintel",
        "EXECUTOR_MAXIMUM_NUM_JOBS": "",
        "SRC_LOG_FORMAT": null,
    }}));
    check(&all);
    let given = given_to_executor(&all);
    assert_eq!(given["KUBERNETES_RUN_AS_USER"], "1000650000");
    assert_eq!(given["EXECUTOR_JOB_NUM_CPUS"], "0");
    assert_eq!(given["EXECUTOR_KEEP_WORKSPACES"], "false");
    let tolerations = given["EXECUTOR_KUBERNETES_NODE_TOLERATIONS"];
    assert_eq!(tolerations, r#"[{"key":"jobs","operator":"Exists"}]"#);
    assert_eq!(given["EXECUTOR_QUEUE_NAMES"], "batches,codeintel");
    let unset = [
        "EXECUTOR_QUEUE_NAME",
        "EXECUTOR_MAXIMUM_NUM_JOBS",
        "SRC_LOG_FORMAT",
    ];
    assert!(
        !unset.iter().any(|name| given.contains_key(name)),
        "{given:?}"
    );
}

#[test]
fn a_chart_with_everything() {
    let values = json!({
        "extraEnv": [{
            "name": "EXECUTOR_DOCKER_AUTH_CONFIG",
            "valueFrom": { "secretKeyRef": { "name": "registries", "key": "config" } },
        }],
        "existingSecret": "other-secret",
        "existingSecretKey": "password",
        "image": {
            "repository": "ghcr.io/acme/capstan",
            "tag": "unused",
            "digest": format!("sha256:{}", "0123456789abcdef".repeat(4)),
            "pullPolicy": "Always",
        },
        "imagePullSecrets": [{ "name": "registry" }],
        "replicas": 3,
        "fullnameOverride": "other",
        "persistence": { "storageClassName": "fast", "size": "2Gi" },
        "terminationGracePeriodSeconds": 60,
        "serviceAccount": { "name": "other-account", "annotations": { "some": "annotation" } },
        "networkPolicy": {
            "defaultDeny": true,
            "executor": {
                "ingress": [{ "from": [{ "namespaceSelector": {
                    "matchLabels": { "kubernetes.io/metadata.name": "monitoring" },
                }}]}],
                "egress": [{ "to": [{ "ipBlock": { "cidr": "10.1.2.3/32" } }] }],
            },
            "jobs": { "egress": [{ "to": [{ "ipBlock": { "cidr": "10.3.2.1/32" } }] }] },
        },
        "podAnnotations": { "prometheus.io/scrape": "true" },
        "podLabels": { "team": "dev" },
        "priorityClassName": "important",
        "nodeSelector": { "kubernetes.io/arch": "amd64" },
        "tolerations": [{ "key": "jobs", "operator": "Exists", "effect": "NoSchedule" }],
        "affinity": { "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [{
                "matchExpressions": [{ "key": "jobs", "operator": "Exists" }],
            }]},
        }},
        "extraVolumes": [{ "name": "authorities", "configMap": { "name": "authorities" } }],
        "extraVolumeMounts": [{ "name": "authorities", "mountPath": "/etc/authorities" }],
    });
    assert_eq!(chart_values_problems(&values), [""; 0]);
    let all = chart(&values);
    check(&all);
    let set = &all.set().spec;
    assert_eq!(
        (set.replicas, set.service_name.as_deref()),
        (Some(3), Some("other"))
    );
    let claim = set.volume_claim_templates.as_ref().unwrap()[0]
        .spec
        .as_ref();
    assert_eq!(claim.unwrap().storage_class_name.as_deref(), Some("fast"));
    let pod = all.pod();
    assert_eq!(pod.service_account_name.as_deref(), Some("other-account"));
    let image = pod.containers[0].image.as_deref().unwrap();
    assert!(image.starts_with("ghcr.io/acme/capstan@sha256:"), "{image}");
    assert_eq!(pod.image_pull_secrets.as_ref().unwrap()[0].name, "registry");
    assert_eq!(pod.priority_class_name.as_deref(), Some("important"));
    assert_eq!(pod.termination_grace_period_seconds, Some(60));
    assert_eq!(pod.tolerations.as_ref().unwrap().len(), 1);
    assert_eq!(
        pod.node_selector.as_ref().unwrap()["kubernetes.io/arch"],
        "amd64"
    );
    let affinity = pod.affinity.as_ref().unwrap();
    assert!(affinity.node_affinity.is_some() && affinity.pod_anti_affinity.is_none());
    let template = set.template.metadata.as_ref().unwrap();
    assert_eq!(
        template.annotations.as_ref().unwrap()["prometheus.io/scrape"],
        "true"
    );
    assert_eq!(pod_labels(&all)["team"], "dev");
    let password = variables(&all)
        .iter()
        .find(|it| it.name == "EXECUTOR_FRONTEND_PASSWORD");
    let from = password
        .unwrap()
        .value_from
        .as_ref()
        .unwrap()
        .secret_key_ref
        .as_ref();
    assert_eq!(
        from.map(|it| (it.name.as_str(), it.key.as_str())),
        Some(("other-secret", "password"))
    );
    let last = variables(&all).last().unwrap();
    assert_eq!(last.name, "EXECUTOR_DOCKER_AUTH_CONFIG");
    assert!(!others_are_free(&all.policies));
    let (of_executor, of_jobs) = (Peer::Address("10.1.2.3"), Peer::Address("10.3.2.1"));
    for (from, to, may) in [
        (pod_labels(&all), &of_executor, true),
        (pod_labels(&all), &of_jobs, false),
        (&job(), &of_executor, false),
        (&job(), &of_jobs, true),
    ] {
        assert_eq!(egress(&all.policies, from, to, ("TCP", 5000)), may);
    }
    let monitoring = Peer::Pod("monitoring", labels([]));
    assert!(ingress(
        &all.policies,
        &monitoring,
        pod_labels(&all),
        ("TCP", 8080)
    ));
}

#[test]
fn a_chart_with_nothing() {
    let values = json!({
        "persistence": { "enabled": false },
        "serviceAccount": { "create": false, "name": "of-others" },
        "rbac": { "create": false },
        "networkPolicy": { "enabled": false },
        "podDisruptionBudget": { "enabled": false },
        "podSecurityContext": { "runAsUser": null, "runAsGroup": null, "fsGroup": null },
    });
    let all = chart(&values);
    check(&all);
    assert_eq!(all.metadata.len(), 2, "{:?}", all.metadata);
    assert_eq!(all.set().spec.volume_claim_templates, None);
    let pod = all.pod();
    assert_eq!(pod.service_account_name.as_deref(), Some("of-others"));
    let context = pod.security_context.as_ref().unwrap();
    assert_eq!(
        (context.run_as_user, context.run_as_group, context.fs_group),
        (None, None, None)
    );
}

#[test]
fn names_of_the_chart() {
    let long = "a-name-that-is-so-long-that-it-has-fifty-two-letters-and-some-more";
    for (release, given, name) in [
        ("capstan-executor", "", "capstan-executor"),
        ("blue", "", "blue-capstan-executor"),
        ("capstan-executor-blue", "", "capstan-executor-blue"),
        ("blue", "green", "green"),
        (
            &long[..53],
            "",
            "a-name-that-is-so-long-that-it-has-fifty-two-letters",
        ),
        (
            "blue",
            long,
            "a-name-that-is-so-long-that-it-has-fifty-two-letters",
        ),
    ] {
        let given = with_server(&json!({ "fullnameOverride": given }));
        let rendered = helm::render(release, "batch", &given);
        let texts = rendered.iter().filter(|(name, _)| is_yaml(name));
        let all = Documents::read(texts.map(|(_, text)| text.as_str()));
        check(&all);
        assert_eq!(all.set().metadata.name.as_deref(), Some(name));
    }
}

#[test]
fn notes_of_the_chart() {
    let rendered = helm::render("blue", "batch", &with_server(&json!({ "replicas": 2 })));
    let notes = &rendered["NOTES.txt"];
    for line in [
        "blue-capstan-executor: 2 of Capstan's executor, for https://sourcegraph.example.com.",
        "  kubectl -n batch create secret generic capstan-executor --from-file=EXECUTOR_FRONTEND_PASSWORD=FILE",
        "  kubectl -n batch logs blue-capstan-executor-0",
        "A network policy keeps jobs from private addresses.",
    ] {
        assert!(notes.contains(line), "{line}\n{notes}");
    }
    let open = json!({ "networkPolicy": { "enabled": false } });
    let rendered = helm::render("blue", "batch", &with_server(&open));
    assert!(!rendered["NOTES.txt"].contains("network policy"));
}

fn chart_values_problems(given: &Value) -> Vec<String> {
    let values = helm::values(&with_server(given));
    schema::violations(&helm::schema(), &values)
}

#[test]
fn values_of_the_chart_are_checked() {
    assert_eq!(chart_values_problems(&json!({})), [""; 0]);
    let values = helm::values(&json!({}));
    let unset = schema::violations(&helm::schema(), &values);
    let wrong = [r#"/env/EXECUTOR_FRONTEND_URL: "" does not match "^https?://.""#];
    assert_eq!(unset, wrong);
    for (given, wrong) in [
        (json!({ "replica": 2 }), "/replica: nothing may be here"),
        (
            json!({ "replicas": "2" }),
            r#"/replicas: "2" is not of type "integer""#,
        ),
        (
            json!({ "env": { "A-B": "" } }),
            r#"/env/A-B: "A-B" does not match "^[A-Za-z_][A-Za-z0-9_]*$""#,
        ),
        (
            json!({ "env": { "EXECUTOR_FRONTEND_PASSWORD": "s3cret" } }),
            r#"/env/EXECUTOR_FRONTEND_PASSWORD: "EXECUTOR_FRONTEND_PASSWORD" may not be here"#,
        ),
        (
            json!({ "env": { "KUBERNETES_JOB_ANNOTATIONS": { "a": "b" } } }),
            r#"/env/KUBERNETES_JOB_ANNOTATIONS: {"a":"b"} is not of type ["string","number","boolean","null"]"#,
        ),
        (
            json!({ "existingSecret": "" }),
            r#"/existingSecret: "" is too short"#,
        ),
        (json!({ "extraEnv": [{}] }), "/extraEnv/0: name is missing"),
        (
            json!({ "podLabels": { "a": true } }),
            r#"/podLabels/a: true is not of type "string""#,
        ),
        (
            json!({ "image": { "digest": "latest" } }),
            r#"/image/digest: "latest" does not match "^(sha256:[0-9a-f]{64})?$""#,
        ),
    ] {
        assert_eq!(chart_values_problems(&given), [wrong]);
    }
}
