//! The table of the executor's variables, from which reading, warnings and the documentation come.

/// One variable.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// Other names, which count if the name itself is not set.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) effect: Effect,
}

/// What a variable does here.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It has a meaning.
    Means {
        /// Default, as text; empty: none.
        default: &'static str,
        /// What it is.
        #[cfg_attr(
            not(test),
            expect(dead_code, reason = "the documentation is checked against it")
        )]
        about: &'static str,
    },
    /// It has a meaning where jobs run as pods.
    OfPods {
        /// Default, as text; empty: none.
        default: &'static str,
        /// What it is.
        #[cfg_attr(
            not(test),
            expect(dead_code, reason = "the documentation is checked against it")
        )]
        about: &'static str,
    },
    /// It is accepted; there is nothing that it would change.
    Accepted(
        #[cfg_attr(
            not(test),
            expect(dead_code, reason = "the documentation is checked against it")
        )]
        &'static str,
    ),
    /// It is not supported. Who sets it to something that is not in `harmless` is told why.
    Unsupported {
        harmless: &'static [&'static str],
        reason: &'static str,
    },
}

const fn means(name: &'static str, default: &'static str, about: &'static str) -> Variable {
    Variable {
        name,
        aliases: &[],
        effect: Effect::Means { default, about },
    }
}

const fn of_pods(name: &'static str, default: &'static str, about: &'static str) -> Variable {
    Variable {
        name,
        aliases: &[],
        effect: Effect::OfPods { default, about },
    }
}

const fn also(mut variable: Variable, aliases: &'static [&'static str]) -> Variable {
    variable.aliases = aliases;
    variable
}

const fn accepted(name: &'static str, why: &'static str) -> Variable {
    Variable {
        name,
        aliases: &[],
        effect: Effect::Accepted(why),
    }
}

const fn unsupported(
    name: &'static str,
    harmless: &'static [&'static str],
    reason: &'static str,
) -> Variable {
    Variable {
        name,
        aliases: &[],
        effect: Effect::Unsupported { harmless, reason },
    }
}

const NO_VM: &str = "jobs run in containers, not in virtual machines";
/// Why variables of pods have no effect.
pub(super) const NO_CLUSTER: &str =
    "jobs run on a container engine; EXECUTOR_BACKEND=kubernetes has them run as pods";
const FALSE: &[&str] = &["false", "FALSE", "False", "f", "F", "0"];

/// All variables, in the order of the documentation.
pub(crate) const VARIABLES: &[Variable] = &[
    means(
        "EXECUTOR_FRONTEND_URL",
        "required",
        "Where Sourcegraph, or a hub, is: scheme and host, perhaps a path.",
    ),
    also(
        means(
            "EXECUTOR_FRONTEND_PASSWORD",
            "required",
            "The shared secret: `executors.accessToken` of the site configuration.",
        ),
        &["EXECUTOR_REGISTRATION_TOKEN"],
    ),
    means(
        "EXECUTOR_QUEUE_NAME",
        "",
        "The queue to take jobs from: `batches` or `codeintel`. Exactly one of this and the next has to be set.",
    ),
    means(
        "EXECUTOR_QUEUE_NAMES",
        "",
        "Several queues, separated by commas.",
    ),
    means(
        "EXECUTOR_QUEUE_POLL_INTERVAL",
        "1s",
        "The wait after there was no job.",
    ),
    also(
        means("EXECUTOR_MAXIMUM_NUM_JOBS", "1", "Jobs at a time."),
        &["EXECUTOR_MAX_NUM_JOBS"],
    ),
    means(
        "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB",
        "30m",
        "Longest run of one job.",
    ),
    means(
        "EXECUTOR_NUM_TOTAL_JOBS",
        "0",
        "After so many jobs no more are taken, and the executor ends; 0: no limit.",
    ),
    means(
        "EXECUTOR_MAX_ACTIVE_TIME",
        "0",
        "After so long no more jobs are taken, and the executor ends; 0: no limit.",
    ),
    also(
        means(
            "EXECUTOR_JOB_NUM_CPUS",
            "4",
            "Processors that a step may use; 0: no limit.",
        ),
        &["EXECUTOR_FIRECRACKER_NUM_CPUS"],
    ),
    also(
        means(
            "EXECUTOR_JOB_MEMORY",
            "12G",
            "Memory that a step may use; 0: no limit.",
        ),
        &["EXECUTOR_FIRECRACKER_MEMORY"],
    ),
    means(
        "EXECUTOR_FIRECRACKER_DISK_SPACE",
        "20G",
        "Disk that a job may count on. The server is told; nothing is limited.",
    ),
    means(
        "EXECUTOR_KEEP_WORKSPACES",
        "false",
        "Whether workspaces are kept after the job, to look at them.",
    ),
    means(
        "EXECUTOR_DOCKER_AUTH_CONFIG",
        "",
        "Credentials for registries as `{\"auths\":{\"HOST\":{\"auth\":\"BASE64\"}}}`, for jobs that bring none.",
    ),
    means(
        "EXECUTOR_DOCKER_ADD_HOST_GATEWAY",
        "false",
        "Whether steps reach the host as `host.docker.internal`.",
    ),
    means(
        "EXECUTOR_DOCKER_ADDITIONAL_MOUNTS",
        "",
        "More mounts for every step, as `docker run --mount` takes them, separated by `;`. Bind mounts only.",
    ),
    means(
        "EXECUTOR_DOCKER_HOST_MOUNT_PATH",
        "",
        "Where the container engine sees the directory that `TMPDIR` names (unset: `/tmp`); unset: under the same path.",
    ),
    means(
        "EXECUTOR_DOCKER_REGISTRY_MIRROR_URL",
        "",
        "Registries with copies of Docker Hub's images, separated by commas, which are asked first: `https://HOST[:PORT]`.",
    ),
    means(
        "DOCKER_HOST",
        "",
        "Socket of the container engine; unset: Docker's current context, then the usual places.",
    ),
    means(
        "TMPDIR",
        "",
        "Directory below which workspaces are made; unset: `CAPSTAN_STATE_DIR`.",
    ),
    means(
        "EXECUTOR_HEALTH_SERVER_ADDR",
        "",
        "Address for `/healthz`, `/readyz`, `/metrics` and `/status`, such as `:8080`; unset: none.",
    ),
    means(
        "NODE_EXPORTER_URL",
        "",
        "Figures of this machine, sent along with heartbeats; without `/metrics`.",
    ),
    means(
        "DOCKER_REGISTRY_NODE_EXPORTER_URL",
        "",
        "Figures of a registry mirror's machine, sent along with heartbeats.",
    ),
    means(
        "SRC_HTTP_CLI_MAX_RETRIES",
        "20",
        "How often a call to the server is made at most.",
    ),
    means(
        "SRC_LOG_LEVEL",
        "warn",
        "What is logged: `dbug`, `info`, `warn`, `error` or `crit`.",
    ),
    means(
        "SRC_LOG_FORMAT",
        "logfmt",
        "How: `json`, or `logfmt` and `condensed`, which are the same here.",
    ),
    means(
        "EXECUTOR_BACKEND",
        "",
        "Where jobs run: `docker`, on a container engine, or `kubernetes`, as pods; unset: as pods if the executor is one itself and has no `DOCKER_HOST`.",
    ),
    means(
        "EXECUTOR_USE_KUBERNETES",
        "",
        "The same as a flag, if `EXECUTOR_BACKEND` is not set.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_CONFIG_PATH",
        "",
        "A kubeconfig; unset: `KUBECONFIG`, then `~/.kube/config`, then the service account of the executor's own pod.",
    ),
    also(
        of_pods(
            "EXECUTOR_KUBERNETES_NAMESPACE",
            "",
            "The namespace of the pods; unset: the one of the kubeconfig's context, or of the executor's pod.",
        ),
        &["EXECUTOR_KUBE_NAMESPACE"],
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_RUNNER_IMAGE",
        "",
        "The image that `capstan` and git are in, for the runner of each pod; unset: the image of the executor's pod.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_START_TIMEOUT",
        "10m",
        "How long a pod may wait for a node and for its images; 0: as long as it may live.",
    ),
    of_pods(
        "KUBERNETES_JOB_DEADLINE",
        "",
        "How long a pod may live, in seconds. The cluster ends it then. Unset: as long as `EXECUTOR_MAXIMUM_RUNTIME_PER_JOB` and `EXECUTOR_KUBERNETES_START_TIMEOUT` together, and five minutes.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU",
        "",
        "Processors that a step may use, such as `4` or `500m`.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY",
        "12Gi",
        "Memory that a step may use.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU",
        "",
        "Processors that a pod asks of its node, for all of its steps together: one runs at a time.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY",
        "1Gi",
        "Memory that a pod asks of its node, for all of its steps together; unset, with a limit of your own: none.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_NODE_NAME",
        "",
        "The node that pods run on.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_NODE_SELECTOR",
        "",
        "Labels that their node must have: `NAME=VALUE,...`. `kubernetes.io/os=linux` is always among them.",
    ),
    also(
        of_pods(
            "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS",
            "",
            "What its labels must be: a JSON list of `{\"key\",\"operator\",\"values\"}`.",
        ),
        &["EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSION"],
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS",
        "",
        "What its fields must be: a list of the same kind.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_POD_AFFINITY",
        "",
        "Pods that must be near: a JSON list of terms, each with a `topologyKey`.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY",
        "",
        "Pods that must not be near: a list of the same kind.",
    ),
    of_pods(
        "EXECUTOR_KUBERNETES_NODE_TOLERATIONS",
        "",
        "Taints of nodes that do not matter: a JSON list.",
    ),
    of_pods(
        "KUBERNETES_RUN_AS_USER",
        "",
        "The user that all containers of a pod run as; unset or up to 0: the runner as root with few rights, steps as the job says.",
    ),
    of_pods("KUBERNETES_RUN_AS_GROUP", "", "Their group."),
    of_pods(
        "KUBERNETES_FS_GROUP",
        "",
        "The group that a pod's volumes belong to; unset: 1000 with `KUBERNETES_RUN_AS_USER`, else none.",
    ),
    of_pods(
        "KUBERNETES_JOB_VOLUME_TYPE",
        "emptyDir",
        "Where a job works: `emptyDir`, on its node's disk, or `pvc`, on a volume that the cluster makes for the pod.",
    ),
    of_pods("KUBERNETES_JOB_VOLUME_SIZE", "5Gi", "How large that is."),
    of_pods(
        "KUBERNETES_ADDITIONAL_JOB_VOLUMES",
        "",
        "More volumes of each pod: a JSON list.",
    ),
    of_pods(
        "KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS",
        "",
        "Where all of its containers have them: a JSON list.",
    ),
    of_pods(
        "KUBERNETES_GIT_CA_CERT",
        "",
        "A file of certificates in the runner's container that the server's is checked with; it is on one of those volumes, or in the image.",
    ),
    of_pods(
        "KUBERNETES_JOB_ANNOTATIONS",
        "",
        "Annotations of each Job: a JSON object.",
    ),
    of_pods(
        "KUBERNETES_JOB_POD_ANNOTATIONS",
        "",
        "Annotations of its pod: a JSON object.",
    ),
    of_pods(
        "KUBERNETES_IMAGE_PULL_SECRETS",
        "",
        "Names of Secrets with credentials for registries, separated by commas. Those that a job brings are used, too.",
    ),
    of_pods(
        "KUBERNETES_KEEP_JOBS",
        "false",
        "Whether Jobs stay in the cluster when they have ended, to look at them.",
    ),
    of_pods(
        "KUBERNETES_JOB_HOST_NETWORK",
        "false",
        "Whether pods have the network of their node.",
    ),
    accepted("EXECUTOR_FRONTEND_USERNAME", "the secret is enough"),
    accepted(
        "EXECUTOR_CLEANUP_TASK_INTERVAL",
        "every job cleans up after itself, and every start after what was killed",
    ),
    accepted(
        "EXECUTOR_DISABLE_HEALTHSERVER",
        "without an address nothing listens",
    ),
    accepted("SRC_TRACE_LOG", "there are no traces in the log"),
    unsupported(
        "EXECUTOR_HEALTH_SERVER_PORT",
        &[],
        "set EXECUTOR_HEALTH_SERVER_ADDR, for example to `:3192`",
    ),
    unsupported("EXECUTOR_USE_FIRECRACKER", FALSE, NO_VM),
    unsupported("EXECUTOR_FIRECRACKER_IMAGE", &[], NO_VM),
    unsupported("EXECUTOR_FIRECRACKER_KERNEL_IMAGE", &[], NO_VM),
    unsupported("EXECUTOR_FIRECRACKER_SANDBOX_IMAGE", &[], NO_VM),
    unsupported("EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS", &[], NO_VM),
    unsupported("EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS", &[], NO_VM),
    unsupported("EXECUTOR_VM_PREFIX", &[], NO_VM),
    unsupported("EXECUTOR_VM_STARTUP_SCRIPT_PATH", &[], NO_VM),
    unsupported(
        "EXECUTOR_IMAGE_ARCHIVE_PATH",
        &[],
        "images are pulled when a step needs them",
    ),
    unsupported("EXECUTOR_QUEUE_URL", &[], "set EXECUTOR_FRONTEND_URL"),
    unsupported(
        "EXECUTOR_KUBERNETES_PERSISTENCE_VOLUME_NAME",
        &["sg-executor-pvc"],
        "each job has a volume of its own: see KUBERNETES_JOB_VOLUME_TYPE",
    ),
    unsupported(
        "KUBERNETES_SINGLE_JOB_STEP_IMAGE",
        &[],
        "pods need no helper image; their runner is in EXECUTOR_KUBERNETES_RUNNER_IMAGE",
    ),
    accepted("KUBERNETES_SINGLE_JOB_POD", "a job has one pod, always"),
];

impl Variable {
    /// Its row in `docs/executor.md`.
    #[cfg(test)]
    pub(super) fn row(&self) -> String {
        let names = [self.name].into_iter().chain(self.aliases.iter().copied());
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        match self.effect {
            Effect::Means { default: "", about } | Effect::OfPods { default: "", about } => {
                format!("| {names} |  | {about} |")
            }
            Effect::Means {
                default: "required",
                about,
            } => format!("| {names} | required | {about} |"),
            Effect::Means { default, about } | Effect::OfPods { default, about } => {
                format!("| {names} | `{default}` | {about} |")
            }
            Effect::Accepted(why) => format!("| {names} | accepted: {why} |"),
            Effect::Unsupported { reason, .. } => format!("| {names} | {reason} |"),
        }
    }
}
