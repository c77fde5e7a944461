//! The variables of jobs that run as pods (facts/executor-protocol.md 11.5).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use capstan_executor::cluster::{
    Access, Placement, PodSettings, Resources, Storage, affinity, json, quantity,
};

use super::{Environment, Problems, Reader, values};

/// Variables of the executor's own that its pods' runners get, too.
const HANDED_ON: [&str; 7] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "CAPSTAN_LOG",
];

/// How long a pod may live if jobs may run for ever.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Time to clone, and to end.
const SPARE: Duration = Duration::from_secs(300);

/// Where jobs run as pods.
#[derive(Debug)]
pub(crate) struct ClusterConfig {
    pub(crate) access: Access,
    /// Whether the executor is a pod of it.
    pub(crate) is_pod: bool,
    /// `None`: the one of the kubeconfig's context, or of the executor's pod.
    pub(crate) namespace: Option<String>,
    /// The image that `capstan` is in; `None`: the one of the executor's pod.
    pub(crate) image: Option<String>,
    /// All about pods but the image.
    pub(crate) pods: PodSettings,
}

impl ClusterConfig {
    /// What the variables of pods say, whatever those of executors do.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut reader = Reader {
            environment,
            problems: Vec::new(),
        };
        let found = reader.cluster();
        match reader.problems.is_empty() {
            true => Ok(found),
            false => Err(Problems(reader.problems)),
        }
    }
}

impl Reader<'_> {
    /// Whether jobs run as pods: if somebody says so, or if the executor is a pod that has no container engine.
    pub(super) fn uses_cluster(&mut self) -> bool {
        let backend = self.parsed("EXECUTOR_BACKEND", |text| match text {
            "kubernetes" => Ok(true),
            "docker" => Ok(false),
            _ => Err("expected docker or kubernetes".to_owned()),
        });
        let use_kubernetes = self.parsed("EXECUTOR_USE_KUBERNETES", values::boolean);
        let is_pod = self.environment.get("KUBERNETES_SERVICE_HOST").is_some();
        let has_engine = self.environment.get("DOCKER_HOST").is_some();
        backend.or(use_kubernetes).unwrap_or(is_pod && !has_engine)
    }

    pub(super) fn cluster(&mut self) -> ClusterConfig {
        let user = self.above_zero("KUBERNETES_RUN_AS_USER");
        let deadline = self.parsed("KUBERNETES_JOB_DEADLINE", |text| values::number(text, 1));
        let deadline = deadline.map(|seconds| Duration::from_secs(seconds.into()));
        let start_timeout = self.limit("EXECUTOR_KUBERNETES_START_TIMEOUT");
        let maximum_runtime = self.limit("EXECUTOR_MAXIMUM_RUNTIME_PER_JOB");
        let mut pods = PodSettings::new(String::new());
        pods.environment = self.handed_on();
        pods.limits = Resources {
            cpu: self.parsed("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU", quantity),
            memory: self.parsed("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", quantity),
        };
        pods.requests = Resources {
            cpu: self.parsed("EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU", quantity),
            memory: self.parsed("EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY", quantity),
        };
        let is_set = |name| self.set(name).1.is_some();
        // The default may be more than such a limit, which no cluster takes.
        if is_set("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY")
            && !is_set("EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY")
        {
            pods.requests.memory = None;
        }
        pods.placement = self.placement();
        pods.volumes = self.list("KUBERNETES_ADDITIONAL_JOB_VOLUMES", json);
        pods.mounts = self.list("KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", json);
        pods.job_annotations = self.list("KUBERNETES_JOB_ANNOTATIONS", json);
        pods.pod_annotations = self.list("KUBERNETES_JOB_POD_ANNOTATIONS", json);
        pods.pull_secrets = self.list("KUBERNETES_IMAGE_PULL_SECRETS", |text| {
            let names = text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            Ok(names.map(str::to_owned).collect())
        });
        pods.auths = self
            .parsed("EXECUTOR_DOCKER_AUTH_CONFIG", values::docker_auth)
            .unwrap_or_default();
        pods.user = user;
        pods.group = self.above_zero("KUBERNETES_RUN_AS_GROUP");
        // Root needs no group to write to its volume.
        pods.fs_group = self
            .above_zero("KUBERNETES_FS_GROUP")
            .or(user.map(|_| 1000));
        // What the executor itself limits ends well before.
        pods.deadline = deadline.unwrap_or_else(|| {
            let longest = maximum_runtime.unwrap_or(NO_LIMIT);
            longest + start_timeout.unwrap_or_default() + SPARE
        });
        pods.start_timeout = start_timeout.unwrap_or(pods.deadline);
        pods.keep = self.flag("KUBERNETES_KEEP_JOBS");
        let storage = self.parsed("KUBERNETES_JOB_VOLUME_TYPE", |text| match text {
            "emptyDir" => Ok(Storage::EmptyDir),
            "pvc" => Ok(Storage::Claim),
            _ => Err("expected emptyDir or pvc".to_owned()),
        });
        pods.storage = storage.unwrap_or(pods.storage);
        let size = self.parsed("KUBERNETES_JOB_VOLUME_SIZE", quantity);
        pods.size = size.unwrap_or(pods.size);
        pods.authorities = self.text("KUBERNETES_GIT_CA_CERT").map(str::to_owned);
        pods.host_network = self.flag("KUBERNETES_JOB_HOST_NETWORK");
        let access = self.access();
        let is_pod = access == Access::InPod;
        let image = self.text("EXECUTOR_KUBERNETES_RUNNER_IMAGE");
        if image.is_none() && !is_pod {
            self.problems.push(
                "no value supplied for EXECUTOR_KUBERNETES_RUNNER_IMAGE: outside of a cluster it has to be said in which image capstan is"
                    .to_owned(),
            );
        }
        ClusterConfig {
            is_pod,
            access,
            namespace: self
                .text("EXECUTOR_KUBERNETES_NAMESPACE")
                .map(str::to_owned),
            image: image.map(str::to_owned),
            pods,
        }
    }

    /// The file that is named, else the user's own if there is one, else this pod.
    fn access(&self) -> Access {
        let named = self.text("EXECUTOR_KUBERNETES_CONFIG_PATH");
        let named = named.map(|path| vec![PathBuf::from(path)]);
        // It may name several.
        let several = self.environment.get("KUBECONFIG");
        let several = || Some(std::env::split_paths(several?).collect());
        let home = || {
            let home = PathBuf::from(self.environment.get("HOME")?);
            let file = home.join(".kube/config");
            file.is_file().then(|| vec![file])
        };
        let files = named.or_else(several).or_else(home);
        files.map_or(Access::InPod, Access::Kubeconfig)
    }

    fn placement(&mut self) -> Placement {
        Placement {
            node_name: self
                .text("EXECUTOR_KUBERNETES_NODE_NAME")
                .map(str::to_owned),
            node_selector: self.list("EXECUTOR_KUBERNETES_NODE_SELECTOR", labels),
            node_expressions: self.list(
                "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS",
                json,
            ),
            node_fields: self.list(
                "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS",
                json,
            ),
            pod_affinity: self.list("EXECUTOR_KUBERNETES_POD_AFFINITY", affinity),
            pod_anti_affinity: self.list("EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", affinity),
            tolerations: self.list("EXECUTOR_KUBERNETES_NODE_TOLERATIONS", json),
        }
    }

    fn list<T: Default>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.parsed(name, parse).unwrap_or_default()
    }

    /// A number of a user or a group; up to 0 it is none.
    fn above_zero(&mut self, name: &'static str) -> Option<i64> {
        let number = self.parsed(name, |text| {
            let number: Result<i64, _> = text.parse();
            number.map_err(|_| "expected a whole number".to_owned())
        });
        number.filter(|number| *number > 0)
    }

    fn handed_on(&self) -> BTreeMap<String, String> {
        let given = HANDED_ON.into_iter();
        given
            .filter_map(|name| Some((name.to_owned(), self.environment.get(name)?.to_owned())))
            .collect()
    }
}

/// `NAME=VALUE,...`
fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("{pair:?}: expected NAME=VALUE")),
    });
    pairs.collect()
}
