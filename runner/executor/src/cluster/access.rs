//! The way to a cluster, and what goes wrong on it.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The waits between several attempts at the same call.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// How a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// As these files say, together.
    Kubeconfig(Vec<PathBuf>),
    /// As every pod of it may.
    InPod,
}

/// What the cluster has not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct ClusterError {
    /// What was asked of it.
    pub doing: String,
    /// Why not.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
    /// The status of its answer; `None`: there was none.
    pub code: Option<u16>,
}

impl ClusterError {
    fn of(doing: &str, error: &kube::Error) -> Self {
        let (message, code) = match error {
            kube::Error::Api(status) => (status.message.clone(), Some(status.code)),
            other => (chain(other), None),
        };
        Self {
            hint: hint(code, &message),
            doing: doing.to_owned(),
            message,
            code,
        }
    }

    /// Whether the same call may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        let is_full = self.message.contains("exceeded quota");
        is_full || self.code.is_none_or(|code| code == 429 || code >= 500)
    }

    /// With what to do about it.
    pub fn explained(&self) -> String {
        match self.hint {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }
}

/// All that an error says, and what is behind it.
fn chain(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

fn hint(code: Option<u16>, message: &str) -> Option<&'static str> {
    Some(match code {
        None => "check that the cluster's API server can be reached",
        Some(401) => {
            "the cluster does not know the executor: look at its service account, or at the kubeconfig"
        }
        Some(403) if message.contains("exceeded quota") => {
            "the namespace's quota is used up: lower the variables of resources, or raise the quota"
        }
        Some(403) => {
            "give the executor's service account this right in the namespace of EXECUTOR_KUBERNETES_NAMESPACE: examples/deploy/kubernetes has all of them"
        }
        Some(404) if message.contains("namespaces") => "see EXECUTOR_KUBERNETES_NAMESPACE",
        Some(422) => "one of the variables of pods has a value that this cluster does not take",
        _ => return None,
    })
}

/// A namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cluster").field(&self.namespace).finish()
    }
}

impl Cluster {
    /// Opens the way; nothing is asked yet. Without a `namespace` it is the one of the file's context, or of this pod.
    ///
    /// # Errors
    /// If the file cannot be read, or this is no pod.
    pub async fn open(access: &Access, namespace: Option<&str>) -> Result<Self, ClusterError> {
        let doing = match access {
            Access::Kubeconfig(paths) => {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                format!("reading {}", paths.join(" and "))
            }
            Access::InPod => "looking for the cluster around this pod".to_owned(),
        };
        let failed = |message: String, hint| ClusterError {
            doing: doing.clone(),
            message,
            hint: Some(hint),
            code: None,
        };
        let config = match access {
            Access::Kubeconfig(paths) => {
                let hint = "see EXECUTOR_KUBERNETES_CONFIG_PATH";
                let files = paths.iter().map(Kubeconfig::read_from);
                let merged = files
                    .reduce(|merged, file| merged?.merge(file?))
                    .unwrap_or_else(|| Ok(Kubeconfig::default()));
                let file = merged.map_err(|error| failed(error.to_string(), hint))?;
                let options = KubeConfigOptions::default();
                let config = Config::from_custom_kubeconfig(file, &options).await;
                config.map_err(|error| failed(error.to_string(), hint))
            }
            Access::InPod => Config::incluster().map_err(|error| {
                failed(
                    error.to_string(),
                    "outside of a cluster, name a kubeconfig in EXECUTOR_KUBERNETES_CONFIG_PATH; inside, the executor's pod needs its service account's token",
                )
            }),
        };
        let mut config = config?;
        config.connect_timeout = Some(CONNECT);
        // How often something is asked again is decided here.
        config.default_retry = false;
        // Whoever waits knows how long.
        config.read_timeout = None;
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        let client = Client::try_from(config).map_err(|error| {
            failed(
                chain(&error),
                "look at the cluster's address and certificates",
            )
        })?;
        Ok(Self { client, namespace })
    }

    /// By a client that is there already.
    pub fn of(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A pod of the namespace, such as the executor's own; `None`: there is no such pod.
    ///
    /// # Errors
    /// If the cluster does not say.
    pub async fn pod(&self, name: &str) -> Result<Option<Found>, ClusterError> {
        let pods = self.pods();
        let doing = format!("looking at pod {name}");
        let pod = persistently(&doing, |_| pods.get_opt(name)).await?;
        Ok(pod.map(|pod| Found::of(&pod)))
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn events(&self) -> Api<Event> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// A pod that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The image of its main container; `None`: it has several, and none is said to be it.
    pub image: Option<String>,
}

impl Found {
    fn of(pod: &Pod) -> Self {
        let annotations = pod.metadata.annotations.as_ref();
        let main = annotations.and_then(|all| all.get("kubectl.kubernetes.io/default-container"));
        let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice());
        let containers = containers.unwrap_or_default();
        let named = |name: &str| containers.iter().find(|container| container.name == name);
        // Others may have put theirs first.
        let main = main
            .and_then(|name| named(name))
            .or_else(|| named("executor"))
            .or_else(|| containers.first().filter(|_| containers.len() == 1));
        Self {
            image: main.and_then(|container| container.image.clone()),
        }
    }
}

/// Makes a call once. `doing` says which, for errors.
pub(super) async fn once<T>(
    doing: &str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(answer) => answer.map_err(|error| ClusterError::of(doing, &error)),
        Err(_) => Err(ClusterError {
            doing: doing.to_owned(),
            message: format!("no answer within {} s", ANSWER.as_secs()),
            hint: hint(None, ""),
            code: None,
        }),
    }
}

/// Makes a call, several times if need be. It must do no harm when it is made again; `attempt` counts from 0.
pub(super) async fn persistently<T, F: Future<Output = kube::Result<T>>>(
    doing: &str,
    call: impl Fn(usize) -> F,
) -> Result<T, ClusterError> {
    for (attempt, pause) in PAUSES.iter().enumerate() {
        match once(doing, call(attempt)).await {
            Err(error) if error.may_pass() => {
                tracing::debug!(%error, "the cluster is asked again");
                tokio::time::sleep(*pause).await;
            }
            answer => return answer,
        }
    }
    once(doing, call(PAUSES.len())).await
}
