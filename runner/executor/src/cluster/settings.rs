//! What the operator says of the pods that jobs run in (facts/executor-protocol.md 11.5).

use std::collections::BTreeMap;
use std::time::Duration;

use capstan_protocol::DockerAuthConfig;
use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, PodAffinityTerm, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::de::DeserializeOwned;

/// The pods of an executor.
#[derive(Debug, Clone)]
pub struct PodSettings {
    /// The image that `capstan` is in.
    pub image: String,
    /// The settings file in that image, or on one of its volumes.
    pub config: Option<String>,
    /// Variables of the runner, such as those of proxies.
    pub environment: BTreeMap<String, String>,
    /// What a step may use at most.
    pub limits: Resources,
    /// What the pod asks of its node, as a whole: its containers run one after the other.
    pub requests: Resources,
    /// Where the pod may run.
    pub placement: Placement,
    /// More volumes of the pod.
    pub volumes: Vec<Volume>,
    /// Where its containers have them.
    pub mounts: Vec<VolumeMount>,
    /// Annotations of the Job.
    pub job_annotations: BTreeMap<String, String>,
    /// Annotations of its pod.
    pub pod_annotations: BTreeMap<String, String>,
    /// Names of Secrets with credentials for registries.
    pub pull_secrets: Vec<String>,
    /// Credentials for registries, for jobs that bring none.
    pub auths: DockerAuthConfig,
    /// Who all containers run as; `None`: the runner as root with few rights, steps as their image or job says.
    pub user: Option<i64>,
    /// Their group.
    pub group: Option<i64>,
    /// The group that owns the pod's volumes.
    pub fs_group: Option<i64>,
    /// How long the pod may live.
    pub deadline: Duration,
    /// How long it may take until its containers have started.
    pub start_timeout: Duration,
    /// Whether Jobs stay when they have ended.
    pub keep: bool,
    /// Where the job works.
    pub storage: Storage,
    /// How large that is.
    pub size: Quantity,
    /// A file of certificates in the runner's container that the server's is checked with.
    pub authorities: Option<String>,
    /// Whether the pod has the network of its node.
    pub host_network: bool,
    /// Whether the pod tries to reach the server before anything else, which shows what keeps it from there.
    pub tries_server: bool,
}

/// Processors and memory; `None`: nothing is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Processors.
    pub cpu: Option<Quantity>,
    /// Bytes of memory.
    pub memory: Option<Quantity>,
}

/// Where a pod may run.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// The name of the node.
    pub node_name: Option<String>,
    /// Labels that the node must have.
    pub node_selector: BTreeMap<String, String>,
    /// What its labels must be.
    pub node_expressions: Vec<NodeSelectorRequirement>,
    /// What its fields must be.
    pub node_fields: Vec<NodeSelectorRequirement>,
    /// Pods that must be near.
    pub pod_affinity: Vec<PodAffinityTerm>,
    /// Pods that must not be near.
    pub pod_anti_affinity: Vec<PodAffinityTerm>,
    /// Taints of nodes that do not matter.
    pub tolerations: Vec<Toleration>,
}

/// Where a job works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// On the node's disk.
    EmptyDir,
    /// On a volume of its own, which the cluster makes for the pod, and removes with it.
    Claim,
}

impl PodSettings {
    /// With the defaults that work on a plain cluster.
    pub fn new(image: String) -> Self {
        Self {
            image,
            config: None,
            environment: BTreeMap::new(),
            limits: Resources::default(),
            requests: Resources::default(),
            placement: Placement::default(),
            volumes: Vec::new(),
            mounts: Vec::new(),
            job_annotations: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            pull_secrets: Vec::new(),
            auths: DockerAuthConfig::default(),
            user: None,
            group: None,
            fs_group: None,
            deadline: Duration::from_secs(1200),
            start_timeout: Duration::from_secs(600),
            keep: false,
            storage: Storage::EmptyDir,
            size: Quantity("5Gi".to_owned()),
            authorities: None,
            host_network: false,
            tries_server: false,
        }
    }
}

/// Reads a setting that is JSON, such as a list of tolerations. What the type does not have is an error: a misspelt field would be ignored by the cluster.
///
/// # Errors
/// A text for the user.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut unknown = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_ignored::deserialize(&mut reader, |path| unknown.push(path.to_string()));
    let value = value.and_then(|value| reader.end().map(|()| value));
    match (value, unknown.as_slice()) {
        (Err(error), _) => Err(format!("failed to parse: {error}")),
        (Ok(value), []) => Ok(value),
        (Ok(_), unknown) => Err(format!("there is no {}", unknown.join(", "))),
    }
}

/// Terms of affinity, each of which says between what it is.
///
/// # Errors
/// A text for the user.
pub fn affinity(text: &str) -> Result<Vec<PodAffinityTerm>, String> {
    let terms: Vec<PodAffinityTerm> = json(text)?;
    match terms.iter().position(|term| term.topology_key.is_empty()) {
        Some(index) => Err(format!("element {index} has no topologyKey")),
        None => Ok(terms),
    }
}

/// A quantity as Kubernetes writes it: `500m`, `4`, `12Gi`, `1e3`.
///
/// # Errors
/// A text for the user.
pub fn quantity(text: &str) -> Result<Quantity, String> {
    const SUFFIXES: [&str; 16] = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let wrong = || "expected a quantity such as 500m, 4 or 12Gi".to_owned();
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_of_number(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let exponent = suffix.strip_prefix(['e', 'E']).map(str::parse::<i8>);
    match (SUFFIXES.contains(&suffix), exponent) {
        (true, _) | (_, Some(Ok(_))) if number.is_finite() => Ok(Quantity(text.to_owned())),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_settings_are_read_to_the_letter() {
        let tolerations: Vec<Toleration> =
            json(r#"[{"key":"batch","operator":"Exists","effect":"NoSchedule"}]"#).unwrap();
        assert_eq!(tolerations[0].key.as_deref(), Some("batch"));
        for (text, reason) in [
            ("[{\"kee\":\"batch\"}]", "there is no 0.kee"),
            ("{}", "failed to parse: invalid type: map"),
            ("[] []", "failed to parse: trailing characters"),
        ] {
            let error = json::<Vec<Toleration>>(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn affinity_says_between_what() {
        let term =
            r#"{"labelSelector":{"matchLabels":{"a":"b"}},"topologyKey":"kubernetes.io/hostname"}"#;
        assert_eq!(affinity(&format!("[{term}]")).unwrap().len(), 1);
        let error = affinity(&format!("[{term},{{}}]")).unwrap_err();
        assert_eq!(error, "element 1 has no topologyKey");
    }

    #[test]
    fn quantities() {
        for text in [
            "0",
            "4",
            "500m",
            "1.5",
            "12Gi",
            "128974848",
            "1e3",
            "100k",
            "2E",
        ] {
            assert_eq!(quantity(text), Ok(Quantity(text.to_owned())), "{text}");
        }
        for text in [
            "", "Gi", "12GiB", "1.2.3", "-1", "4 Gi", "12g", "1e", "1e999",
        ] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }
}
