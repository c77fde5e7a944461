//! What holds of everything that is sent to Kubernetes, from whatever it is made.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EnvVar, Volume};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::Role;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::documents::Documents;
use super::reach::{self, Labels, Peer, egress, ingress, labels, selects};
use super::{SET, job};

/// What the executor needs, and all that it may do.
pub(crate) const RIGHTS: [(&str, &str, &[&str]); 5] = [
    ("", "events", &["list"]),
    ("", "pods", &["get", "list", "watch"]),
    ("", "pods/log", &["get"]),
    ("", "secrets", &["create", "get"]),
    (
        "batch",
        "jobs",
        &["create", "delete", "get", "list", "patch"],
    ),
];

/// What holds of every installation.
pub(crate) fn check(all: &Documents) {
    is_in_one_namespace(all);
    is_hardened(all);
    is_complete(all);
    is_found_by_its_service(all);
    has_its_rights(all);
    is_drained_with_care(all);
    is_in_its_network(all);
}

pub(crate) fn pod_labels(all: &Documents) -> &Labels {
    let template = &all.set().spec.template;
    template.metadata.as_ref().unwrap().labels.as_ref().unwrap()
}

pub(crate) fn variables(all: &Documents) -> &[EnvVar] {
    all.pod().containers[0].env.as_deref().unwrap()
}

/// The values that the chart gives to the executor.
pub(crate) fn given_to_executor(all: &Documents) -> BTreeMap<&str, &str> {
    variables(all)
        .iter()
        .filter_map(|it| Some((it.name.as_str(), it.value.as_deref()?)))
        .collect()
}

fn is_in_one_namespace(all: &Documents) {
    let own = all.set().metadata.namespace.as_ref().unwrap();
    let mut names = BTreeSet::new();
    for (kind, metadata) in &all.metadata {
        let name = metadata.name.as_ref().unwrap();
        match kind.as_str() {
            "Namespace" => assert_eq!(name, own),
            _ => assert_eq!(metadata.namespace.as_ref(), Some(own), "{kind} {name}"),
        }
        assert!(name.len() <= 63, "{name} is too long");
        assert!(names.insert((kind, name)), "there are two of {kind} {name}");
        for value in metadata.labels.iter().flat_map(BTreeMap::values) {
            assert!(value.len() <= 63, "{value} is too long for a label");
        }
    }
}

fn is_hardened(all: &Documents) {
    let pod = all.pod();
    let context = pod.security_context.as_ref().unwrap();
    assert_eq!(context.run_as_non_root, Some(true));
    let seccomp = context.seccomp_profile.as_ref().unwrap();
    assert_eq!(seccomp.type_, "RuntimeDefault");
    assert_eq!(
        (pod.host_network, pod.host_pid, pod.host_ipc),
        (None, None, None)
    );
    assert_eq!(pod.enable_service_links, Some(false));
    let host = |it: &&Volume| it.host_path.is_some();
    assert_eq!(pod.volumes.iter().flatten().find(host), None);
    assert_eq!(pod.init_containers, None);
    for container in &pod.containers {
        let context = container.security_context.as_ref().unwrap();
        assert_eq!(context.allow_privilege_escalation, Some(false));
        assert_eq!(context.read_only_root_filesystem, Some(true));
        assert_eq!(context.privileged, None);
        let capabilities = context.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(capabilities.add, None);
        let resources = container.resources.as_ref().unwrap();
        assert!(resources.limits.as_ref().unwrap().contains_key("memory"));
        let requests = resources.requests.as_ref().unwrap();
        assert!(requests.contains_key("memory") && requests.contains_key("cpu"));
    }
    for account in &all.accounts {
        assert_eq!(account.automount_service_account_token, Some(false));
    }
}

/// Its volumes, ports and variables are all there.
fn is_complete(all: &Documents) {
    let (pod, set) = (all.pod(), &all.set().spec);
    assert_eq!(pod.automount_service_account_token, Some(true));
    assert_eq!(set.pod_management_policy.as_deref(), Some("Parallel"));
    let [container] = pod.containers.as_slice() else {
        panic!("there is one container");
    };
    assert_eq!(
        container.args,
        Some(vec!["executor".to_owned(), "run".to_owned()])
    );
    let claims = set.volume_claim_templates.iter().flatten();
    let claims = claims.map(|it| it.metadata.name.clone().unwrap());
    let volumes = pod.volumes.iter().flatten().map(|it| it.name.clone());
    let volumes: Vec<String> = volumes.chain(claims).collect();
    let mounts = container.volume_mounts.as_deref().unwrap();
    let mounted: Vec<_> = mounts.iter().map(|it| it.name.clone()).collect();
    assert_eq!(sorted(&volumes), sorted(&mounted));
    let written: Vec<_> = mounts.iter().map(|it| it.mount_path.as_str()).collect();
    for path in ["/var/lib/capstan", "/var/cache/capstan", "/tmp"] {
        assert!(written.contains(&path), "{path} cannot be written");
    }
    let probes = [
        (container.liveness_probe.as_ref(), "/healthz"),
        (container.readiness_probe.as_ref(), "/readyz"),
    ];
    for (probe, path) in probes {
        let get = probe.unwrap().http_get.as_ref().unwrap();
        assert_eq!(get.path.as_deref(), Some(path));
        assert_eq!(port(all, &get.port), 8080);
    }
    let variables = variables(all);
    let names: BTreeSet<_> = variables.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), variables.len(), "a variable is there twice");
    assert!(SET.iter().all(|name| names.contains(name)), "{names:?}");
    for variable in variables {
        let given = variable.value.as_ref().is_some_and(|it| !it.is_empty());
        assert!(given != variable.value_from.is_some(), "{variable:?}");
    }
    let given = given_to_executor(all);
    assert_eq!(given["EXECUTOR_BACKEND"], "kubernetes");
    assert_eq!(given["EXECUTOR_HEALTH_SERVER_ADDR"], ":8080");
    assert_eq!(given["CAPSTAN_STATE_DIR"], "/var/lib/capstan");
    assert_eq!(given["CAPSTAN_CACHE_DIR"], "/var/cache/capstan");
}

fn sorted(names: &[String]) -> Vec<&str> {
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The number of a port of the container.
fn port(all: &Documents, named: &IntOrString) -> i32 {
    let ports = all.pod().containers[0].ports.as_deref().unwrap();
    match named {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let found = ports.iter().find(|it| it.name.as_ref() == Some(name));
            found.unwrap().container_port
        }
    }
}

fn is_found_by_its_service(all: &Documents) {
    let set = &all.set().spec;
    assert!(selects(&set.selector, pod_labels(all)));
    let [service] = all.services.as_slice() else {
        panic!("there is one service");
    };
    assert_eq!(set.service_name, service.metadata.name);
    let service = service.spec.as_ref().unwrap();
    assert_eq!(service.cluster_ip.as_deref(), Some("None"));
    let own = pod_labels(all);
    for (name, value) in service.selector.as_ref().unwrap() {
        assert_eq!(own.get(name), Some(value));
    }
    let ports = service.ports.as_deref().unwrap();
    assert_eq!(port(all, ports[0].target_port.as_ref().unwrap()), 8080);
}

fn has_its_rights(all: &Documents) {
    let account = all.pod().service_account_name.clone().unwrap();
    for own in &all.accounts {
        assert_eq!(own.metadata.name.as_ref(), Some(&account));
    }
    assert_eq!(all.roles.len(), all.bindings.len());
    for (role, binding) in all.roles.iter().zip(&all.bindings) {
        assert_eq!(rights(role), RIGHTS.into_iter().flat_map(each).collect());
        assert_eq!(binding.role_ref.kind, "Role");
        assert_eq!(Some(&binding.role_ref.name), role.metadata.name.as_ref());
        let [subject] = binding.subjects.as_deref().unwrap() else {
            panic!("one account has the role");
        };
        assert_eq!(
            (subject.kind.as_str(), &subject.name),
            ("ServiceAccount", &account)
        );
        assert_eq!(subject.namespace, role.metadata.namespace);
    }
}

fn each((group, resource, verbs): (&str, &str, &[&str])) -> Vec<[String; 3]> {
    let verbs = verbs.iter();
    verbs
        .map(|verb| [group, resource, verb].map(str::to_owned))
        .collect()
}

fn rights(role: &Role) -> BTreeSet<[String; 3]> {
    let mut rights = BTreeSet::new();
    for rule in role.rules.iter().flatten() {
        assert_eq!(
            (&rule.non_resource_urls, &rule.resource_names),
            (&None, &None)
        );
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let verbs: Vec<_> = rule.verbs.iter().map(String::as_str).collect();
                rights.extend(each((group, resource, &verbs)));
            }
        }
    }
    rights
}

fn is_drained_with_care(all: &Documents) {
    for (pod, unavailable, available) in [
        (pod_labels(all), Some(IntOrString::Int(1)), None),
        // Only a whole number of those that have to be there works for pods of a Job.
        (&job(), None, Some(IntOrString::Int(1_000_000))),
    ] {
        let budgets = all.budgets.iter().map(|it| it.spec.as_ref().unwrap());
        let of_pod: Vec<_> = budgets
            .filter(|it| selects(it.selector.as_ref().unwrap(), pod))
            .collect();
        if all.budgets.is_empty() {
            continue;
        }
        let [budget] = of_pod.as_slice() else {
            panic!("{} budgets are about {pod:?}", of_pod.len());
        };
        assert_eq!(budget.max_unavailable, unavailable);
        assert_eq!(budget.min_available, available);
    }
}

fn is_in_its_network(all: &Documents) {
    let policies = all.policies.as_slice();
    if policies.is_empty() {
        return;
    }
    assert_eq!(reach::misplaced_exceptions(policies), [""; 0]);
    for policy in policies {
        let types = policy.spec.as_ref().unwrap().policy_types.as_deref();
        assert_eq!(types.unwrap(), ["Ingress", "Egress"]);
    }
    let (executor, job) = (pod_labels(all), job());
    let dns = Peer::Pod("kube-system", labels([("k8s-app", "kube-dns")]));
    for (from, to, port, may) in [
        (executor, &dns, ("UDP", 53), true),
        (executor, &Peer::Address("10.96.0.1"), ("TCP", 443), true),
        (executor, &Peer::Address("10.0.0.7"), ("TCP", 6443), true),
        (executor, &Peer::Address("203.0.113.7"), ("TCP", 443), true),
        (executor, &Peer::Address("10.96.0.9"), ("TCP", 80), true),
        (executor, &Peer::Address("203.0.113.7"), ("TCP", 22), false),
        (&job, &dns, ("UDP", 53), true),
        (&job, &dns, ("TCP", 53), true),
        (&job, &dns, ("TCP", 443), false),
        (&job, &Peer::Address("169.254.20.10"), ("UDP", 53), true),
        (&job, &Peer::Address("203.0.113.7"), ("TCP", 443), true),
        (&job, &Peer::Address("203.0.113.7"), ("TCP", 22), true),
        (&job, &Peer::Address("2001:db8::7"), ("TCP", 443), true),
        (&job, &Peer::Address("169.254.169.254"), ("TCP", 80), false),
        (&job, &Peer::Address("169.254.169.254"), ("UDP", 53), false),
        (&job, &Peer::Address("168.63.129.16"), ("TCP", 80), false),
        (&job, &Peer::Address("100.100.100.200"), ("TCP", 80), false),
        (&job, &Peer::Address("fd00:ec2::254"), ("TCP", 80), false),
        (&job, &Peer::Address("fe80::1"), ("TCP", 80), false),
        (&job, &Peer::Address("10.96.0.1"), ("TCP", 443), false),
        (&job, &Peer::Address("172.31.255.1"), ("TCP", 443), false),
        (&job, &Peer::Address("192.168.1.1"), ("TCP", 443), false),
        (&job, &Peer::Beside(executor.clone()), ("TCP", 8080), false),
        (&job, &Peer::Beside(job.clone()), ("TCP", 80), false),
    ] {
        assert_eq!(
            egress(policies, from, to, port),
            may,
            "{from:?} to {port:?}"
        );
    }
    let neighbour = labels([("app", "prometheus")]);
    for (from, to, port, may) in [
        (Peer::Beside(neighbour.clone()), executor, 8080, true),
        (Peer::Beside(neighbour.clone()), executor, 22, false),
        (Peer::Beside(job.clone()), executor, 8080, false),
        (Peer::Pod("elsewhere", neighbour), executor, 8080, false),
        (Peer::Address("203.0.113.7"), executor, 8080, false),
        (Peer::Beside(executor.clone()), &job, 80, false),
        (Peer::Beside(job.clone()), &job, 80, false),
        (Peer::Address("203.0.113.7"), &job, 80, false),
    ] {
        let reached = ingress(policies, &from, to, ("TCP", port));
        assert_eq!(reached, may, "{to:?} at {port}");
    }
}

/// Whether a pod that is neither has a network.
pub(crate) fn others_are_free(policies: &[NetworkPolicy]) -> bool {
    let other = labels([("app", "other")]);
    let out = Peer::Address("203.0.113.7");
    egress(policies, &other, &out, ("TCP", 443))
}
