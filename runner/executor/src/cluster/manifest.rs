//! What a job becomes in a cluster: a Job with one pod, and a Secret with its payload. Nothing here speaks with anybody.
//!
//! The pod has the runner, and a container for each step, each at its gate (`capstan_engine::pod`). Before them `capstan pod prepare` lays out the volume that
//! they share; each sees its own part of it only. The Job is made suspended: its pod must not start before the Secret, which the Job owns, is there.

use std::collections::BTreeMap;
use std::path::Path;

use capstan_engine::pod::{COMMAND, Slot, Volume};
use capstan_engine::sandbox::{BindMount, User};
use capstan_protocol::{DockerAuthConfig, JobKey};
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::payload::{Payload, pull_config};
use super::settings::{PodSettings, Resources, Storage};

/// Where the volume is in the runner's container.
pub(super) const VOLUME: &str = "/job";

/// The container of the runner.
pub(super) const RUNNER: &str = "runner";

/// The container that lays out the volume.
pub(super) const PREPARE: &str = "prepare";

/// How the names of the containers of steps begin.
pub(super) const STEP: &str = "step-";

/// Which executor has made it; its value is short, as labels are.
pub(super) const EXECUTOR_LABEL: &str = "capstan.dev/executor";

/// What is made here, and what it is for.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "capstan");
const NAME: (&str, &str) = ("app.kubernetes.io/name", "capstan-job");

/// The pod in which the executor runs, if it does.
pub(super) const EXECUTOR_POD: &str = "capstan.dev/executor-pod";

/// The directory of the payload in the runner's container, and the file in it.
const PAYLOAD: &str = "/etc/capstan-job";
pub(super) const PAYLOAD_FILE: &str = "job.json.gz";

/// The file with the URL of the repository, beside it.
const CLONE_FROM: &str = "clone-from";

/// How long what has ended stays if nobody deletes it.
const KEPT_SECONDS: i32 = 3600;

/// Time for the runner to end its steps, and to tell so.
const GRACE_SECONDS: i64 = 10;

/// What a runner that is root may do beside: put the files of one step's user into the hands of the next. Pods that are held to the level "baseline" may.
const RIGHTS: [&str; 3] = ["CHOWN", "DAC_OVERRIDE", "FOWNER"];

/// What no step needs of what containers may do by default.
const NOT_OF_STEPS: [&str; 2] = ["MKNOD", "NET_RAW"];

/// Who makes pods.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    /// Its name as the server knows it.
    pub(super) executor: String,
    /// The same, short.
    pub(super) label: String,
    /// The pod in which it runs, if it does.
    pub(super) pod: Option<String>,
    /// The server, as pods reach it.
    pub(super) frontend: String,
}

/// One job, as it is to be.
pub(super) struct Manifest<'a> {
    /// Of the Job and of its Secret.
    pub(super) name: &'a str,
    pub(super) maker: &'a Maker,
    pub(super) settings: &'a PodSettings,
    pub(super) key: &'a JobKey,
    pub(super) repository: &'a str,
    pub(super) gates: &'a Volume,
    pub(super) payload: &'a Payload,
    pub(super) auths: &'a DockerAuthConfig,
    pub(super) timeout: Option<std::time::Duration>,
}

impl Manifest<'_> {
    /// The Job.
    pub(super) fn job(&self) -> Job {
        let settings = self.settings;
        Job {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                labels: Some(self.labels()),
                annotations: Some(self.annotations(&settings.job_annotations)),
                ..ObjectMeta::default()
            },
            spec: Some(JobSpec {
                suspend: Some(true),
                backoff_limit: Some(0),
                active_deadline_seconds: Some(whole_seconds(settings.deadline)),
                ttl_seconds_after_finished: (!settings.keep).then_some(KEPT_SECONDS),
                template: core::PodTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(self.labels()),
                        annotations: Some(self.annotations(&settings.pod_annotations)),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.pod()),
                },
                ..JobSpec::default()
            }),
            status: None,
        }
    }

    /// The Secret with the payload, and the one with credentials for registries if there are any. `owner` is the Job.
    pub(super) fn secrets(&self, owner: &Job) -> Vec<core::Secret> {
        let secret = |name: String, kind: &str, data: Vec<(&str, Vec<u8>)>| core::Secret {
            metadata: ObjectMeta {
                name: Some(name),
                labels: Some(self.labels()),
                owner_references: owner_reference(owner).map(|reference| vec![reference]),
                ..ObjectMeta::default()
            },
            immutable: Some(true),
            type_: Some(kind.to_owned()),
            data: Some(
                data.into_iter()
                    .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
                    .collect(),
            ),
            ..core::Secret::default()
        };
        let mut payload = vec![(PAYLOAD_FILE, self.payload.compressed.clone())];
        if let Some(url) = &self.payload.clone_from {
            payload.push((CLONE_FROM, url.reveal().as_bytes().to_vec()));
        }
        for (name, value) in &self.settings.environment {
            if has_credentials(value) {
                payload.push((name, value.as_bytes().to_vec()));
            }
        }
        let mut secrets = vec![secret(self.name.to_owned(), "Opaque", payload)];
        if let Some(config) = pull_config(self.auths) {
            let kind = "kubernetes.io/dockerconfigjson";
            let data = vec![(".dockerconfigjson", config)];
            secrets.push(secret(self.pull_secret(), kind, data));
        }
        secrets
    }

    fn pull_secret(&self) -> String {
        format!("{}-pull", self.name)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [
            NAME,
            MANAGED_BY,
            (EXECUTOR_LABEL, &self.maker.label),
            ("capstan.dev/queue", &label(&self.key.queue)),
            ("capstan.dev/job-id", &self.key.id.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn annotations(&self, of_operator: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = of_operator.clone();
        all.insert(
            "capstan.dev/executor-name".to_owned(),
            self.maker.executor.clone(),
        );
        all.insert(
            "capstan.dev/repository".to_owned(),
            self.repository.to_owned(),
        );
        if let Some(pod) = &self.maker.pod {
            all.insert(EXECUTOR_POD.to_owned(), pod.clone());
        }
        all
    }

    fn pod(&self) -> core::PodSpec {
        let settings = self.settings;
        let placement = &settings.placement;
        let mut node_selector = placement.node_selector.clone();
        node_selector
            .entry("kubernetes.io/os".to_owned())
            .or_insert_with(|| "linux".to_owned());
        let mut pull_secrets = settings.pull_secrets.clone();
        pull_secrets.extend((!self.auths.auths.is_empty()).then(|| self.pull_secret()));
        let runner = self.runner(RUNNER, "run", &settings.requests);
        let steps = self.gates.slots().iter().enumerate();
        let steps = steps.map(|(index, slot)| self.step(index, slot));
        core::PodSpec {
            init_containers: Some(vec![self.runner(PREPARE, "prepare", &Resources::default())]),
            containers: [runner].into_iter().chain(steps).collect(),
            volumes: Some(self.volumes()),
            restart_policy: Some("Never".to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            host_network: settings.host_network.then_some(true),
            // Names of the cluster's services count all the same.
            dns_policy: settings
                .host_network
                .then(|| "ClusterFirstWithHostNet".to_owned()),
            security_context: Some(core::PodSecurityContext {
                run_as_user: settings.user,
                run_as_group: settings.group,
                run_as_non_root: settings.user.map(|user| user != 0),
                fs_group: settings.fs_group,
                seccomp_profile: Some(core::SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..core::SeccompProfile::default()
                }),
                ..core::PodSecurityContext::default()
            }),
            image_pull_secrets: (!pull_secrets.is_empty()).then(|| {
                let secrets = pull_secrets.into_iter();
                secrets
                    .map(|name| core::LocalObjectReference { name })
                    .collect()
            }),
            node_selector: Some(node_selector),
            affinity: self.affinity(),
            tolerations: some(&placement.tolerations),
            ..core::PodSpec::default()
        }
    }

    /// A container in which `capstan pod <command>` runs.
    fn runner(&self, name: &str, command: &str, requests: &Resources) -> core::Container {
        let settings = self.settings;
        let mut words: Vec<String> = vec!["capstan".to_owned()];
        if let Some(config) = &settings.config {
            words.extend(["--config".to_owned(), config.clone()]);
        }
        words.extend(["pod".to_owned(), command.to_owned()]);
        let job = format!("{PAYLOAD}/{PAYLOAD_FILE}");
        for (flag, value) in [
            ("--job", job.as_str()),
            ("--volume", VOLUME),
            ("--frontend", &self.maker.frontend),
            ("--executor", &self.maker.executor),
        ] {
            words.extend([flag.to_owned(), value.to_owned()]);
        }
        if settings.tries_server && name == PREPARE {
            words.push("--try-server".to_owned());
        }
        if self.payload.clone_from.is_some() {
            let file = format!("{PAYLOAD}/{CLONE_FROM}");
            words.extend(["--clone-from".to_owned(), file]);
        }
        if let Some(timeout) = self.timeout {
            words.extend([
                "--timeout".to_owned(),
                format!("{}s", timeout.as_secs().max(1)),
            ]);
        }
        let mut mounts = vec![
            core::VolumeMount {
                name: "job".to_owned(),
                mount_path: VOLUME.to_owned(),
                ..core::VolumeMount::default()
            },
            core::VolumeMount {
                name: "payload".to_owned(),
                mount_path: PAYLOAD.to_owned(),
                read_only: Some(true),
                ..core::VolumeMount::default()
            },
        ];
        mounts.extend(settings.mounts.iter().cloned());
        let is_root = settings.user.is_none_or(|user| user == 0);
        core::Container {
            name: name.to_owned(),
            image: Some(settings.image.clone()),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            command: Some(words),
            env: Some(self.environment()),
            volume_mounts: Some(mounts),
            resources: Some(resources(&settings.limits, requests)),
            // What it says at its end is in the pod's status, too.
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            security_context: Some(core::SecurityContext {
                run_as_user: settings.user.is_none().then_some(0),
                run_as_group: settings.user.is_none().then_some(0),
                read_only_root_filesystem: Some(true),
                allow_privilege_escalation: Some(false),
                capabilities: Some(core::Capabilities {
                    drop: Some(vec!["ALL".to_owned()]),
                    add: is_root.then(|| RIGHTS.map(str::to_owned).into()),
                }),
                ..core::SecurityContext::default()
            }),
            ..core::Container::default()
        }
    }

    /// Everything that the runner writes is on the volume.
    fn environment(&self) -> Vec<core::EnvVar> {
        let plain = |name: &str, value: String| core::EnvVar {
            name: name.to_owned(),
            value: Some(value),
            value_from: None,
        };
        // More may look at pods than at Secrets.
        let secret = |name: &str| core::EnvVar {
            name: name.to_owned(),
            value: None,
            value_from: Some(core::EnvVarSource {
                secret_key_ref: Some(core::SecretKeySelector {
                    name: self.name.to_owned(),
                    key: name.to_owned(),
                    optional: None,
                }),
                ..core::EnvVarSource::default()
            }),
        };
        let given = self.settings.environment.iter();
        let given = given.map(|(name, value)| match has_credentials(value) {
            true => (name.as_str(), secret(name)),
            false => (name.as_str(), plain(name, value.clone())),
        });
        let mut all: BTreeMap<&str, core::EnvVar> = given.collect();
        for (name, directory) in [
            ("HOME", ""),
            ("TMPDIR", "/tmp"),
            ("CAPSTAN_STATE_DIR", "/state"),
            ("CAPSTAN_CACHE_DIR", "/cache"),
        ] {
            all.insert(name, plain(name, format!("{VOLUME}{directory}")));
        }
        if let Some(file) = &self.settings.authorities {
            let name = "SSL_CERT_FILE";
            all.insert(name, plain(name, file.clone()));
        }
        all.into_values().collect()
    }

    fn step(&self, index: usize, slot: &Slot) -> core::Container {
        let settings = self.settings;
        let mounts = self.gates.mounts(index).into_iter().map(part_of_volume);
        let runs_as_root = settings.user.is_none() && slot.user == User::Root;
        let dropped = match settings.user {
            Some(user) if user != 0 => vec!["ALL".to_owned()],
            _ => NOT_OF_STEPS.map(str::to_owned).into(),
        };
        core::Container {
            name: format!("{STEP}{index}"),
            image: Some(slot.image.clone()),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            command: Some(COMMAND.map(str::to_owned).into()),
            // The image's own may be closed to the user; the gate goes to the step's.
            working_dir: Some("/".to_owned()),
            volume_mounts: Some(mounts.chain(settings.mounts.iter().cloned()).collect()),
            // They do not add up: one runs at a time, and what the pod asks for is with the runner.
            resources: Some(resources(&settings.limits, &Resources::default())),
            security_context: Some(core::SecurityContext {
                run_as_user: runs_as_root.then_some(0),
                run_as_group: runs_as_root.then_some(0),
                allow_privilege_escalation: Some(false),
                capabilities: Some(core::Capabilities {
                    drop: Some(dropped),
                    add: None,
                }),
                ..core::SecurityContext::default()
            }),
            ..core::Container::default()
        }
    }

    fn volumes(&self) -> Vec<core::Volume> {
        let settings = self.settings;
        let mut job = core::Volume {
            name: "job".to_owned(),
            ..core::Volume::default()
        };
        match settings.storage {
            Storage::EmptyDir => {
                job.empty_dir = Some(core::EmptyDirVolumeSource {
                    size_limit: Some(settings.size.clone()),
                    ..core::EmptyDirVolumeSource::default()
                });
            }
            Storage::Claim => job.ephemeral = Some(self.claim()),
        }
        let payload = core::Volume {
            name: "payload".to_owned(),
            secret: Some(core::SecretVolumeSource {
                secret_name: Some(self.name.to_owned()),
                default_mode: Some(0o440),
                ..core::SecretVolumeSource::default()
            }),
            ..core::Volume::default()
        };
        let more = settings.volumes.iter().cloned();
        [job, payload].into_iter().chain(more).collect()
    }

    /// A claim that the cluster makes for the pod, and removes with it.
    fn claim(&self) -> core::EphemeralVolumeSource {
        let size = self.settings.size.clone();
        core::EphemeralVolumeSource {
            volume_claim_template: Some(core::PersistentVolumeClaimTemplate {
                metadata: Some(ObjectMeta {
                    labels: Some(self.labels()),
                    ..ObjectMeta::default()
                }),
                spec: core::PersistentVolumeClaimSpec {
                    access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                    resources: Some(core::VolumeResourceRequirements {
                        requests: Some([("storage".to_owned(), size)].into()),
                        limits: None,
                    }),
                    ..core::PersistentVolumeClaimSpec::default()
                },
            }),
        }
    }

    fn affinity(&self) -> Option<core::Affinity> {
        let placement = &self.settings.placement;
        let mut fields = placement.node_fields.clone();
        // Not as the pod's `nodeName`, which goes past the scheduler: it looks at room, taints and volumes.
        if let Some(name) = &placement.node_name {
            fields.push(core::NodeSelectorRequirement {
                key: "metadata.name".to_owned(),
                operator: "In".to_owned(),
                values: Some(vec![name.clone()]),
            });
        }
        let terms = core::NodeSelectorTerm {
            match_expressions: some(&placement.node_expressions),
            match_fields: some(&fields),
        };
        let asks_of_nodes = terms.match_expressions.is_some() || terms.match_fields.is_some();
        let affinity = core::Affinity {
            node_affinity: asks_of_nodes.then(|| core::NodeAffinity {
                required_during_scheduling_ignored_during_execution: Some(core::NodeSelector {
                    node_selector_terms: vec![terms],
                }),
                ..core::NodeAffinity::default()
            }),
            pod_affinity: some(&placement.pod_affinity).map(|terms| core::PodAffinity {
                required_during_scheduling_ignored_during_execution: Some(terms),
                ..core::PodAffinity::default()
            }),
            pod_anti_affinity: some(&placement.pod_anti_affinity).map(|terms| {
                core::PodAntiAffinity {
                    required_during_scheduling_ignored_during_execution: Some(terms),
                    ..core::PodAntiAffinity::default()
                }
            }),
        };
        (affinity != core::Affinity::default()).then_some(affinity)
    }
}

/// Whether a value may have a password in it, as URLs of proxies have.
fn has_credentials(value: &str) -> bool {
    value.contains('@')
}

/// What a container sees of the volume.
fn part_of_volume(mount: BindMount) -> core::VolumeMount {
    // Everything that a pod's containers see was laid out below it.
    let below = mount.source.strip_prefix(VOLUME);
    let below = below.unwrap_or(Path::new("")).to_string_lossy();
    core::VolumeMount {
        name: "job".to_owned(),
        mount_path: mount.target,
        sub_path: Some(below.into_owned()).filter(|below| !below.is_empty()),
        read_only: mount.read_only.then_some(true),
        ..core::VolumeMount::default()
    }
}

/// Limits, and what is asked for. What is not asked for is none: without a word it would be as much as the limit.
fn resources(limits: &Resources, requests: &Resources) -> core::ResourceRequirements {
    let named = |resources: &Resources| -> BTreeMap<String, Quantity> {
        let both = [("cpu", &resources.cpu), ("memory", &resources.memory)];
        let both = both.into_iter();
        both.filter_map(|(name, quantity)| Some((name.to_owned(), quantity.clone()?)))
            .collect()
    };
    let limits = named(limits);
    let mut requests = named(requests);
    for name in limits.keys() {
        let none = || Quantity("0".to_owned());
        requests.entry(name.clone()).or_insert_with(none);
    }
    core::ResourceRequirements {
        limits: (!limits.is_empty()).then_some(limits),
        requests: (!requests.is_empty()).then_some(requests),
        claims: None,
    }
}

fn owner_reference(job: &Job) -> Option<OwnerReference> {
    Some(OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: job.metadata.name.clone()?,
        uid: job.metadata.uid.clone()?,
        controller: Some(true),
        block_owner_deletion: None,
    })
}

/// A value that labels may have.
fn label(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text: String = text.chars().filter(|&c| allowed(c)).take(63).collect();
    text.trim_matches(['-', '_', '.']).to_owned()
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn whole_seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
