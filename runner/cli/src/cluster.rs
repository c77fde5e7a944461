//! The way to a cluster, as the configuration has it.

use std::path::Path;

use capstan_executor::cluster::{Cluster, ClusterError, Found, PodSettings};

use crate::config::ClusterConfig;
use crate::failure::Failed;

/// A cluster, and what is to be made in it.
pub(crate) struct Reached {
    pub(crate) cluster: Cluster,
    pub(crate) pods: PodSettings,
    /// The name of the pod that this is.
    pub(crate) pod: Option<String>,
}

/// The way to the cluster, and what its pods are. Their runners have the same settings file: it has to be in their image, or on a volume.
pub(crate) async fn reach(
    found: &ClusterConfig,
    config_file: Option<&Path>,
) -> Result<Reached, Failed> {
    let cluster = Cluster::open(&found.access, found.namespace.as_deref()).await?;
    let mut pods = found.pods.clone();
    let config_file = config_file.map(std::path::absolute).transpose();
    let config_file = config_file.map_err(Failed::environment)?;
    pods.config = config_file.map(|file| file.display().to_string());
    let this = this_pod(found, &cluster).await?;
    let image = found.image.clone();
    let image = image.or_else(|| this.as_ref().and_then(|this| this.image.clone()));
    pods.image = image.ok_or_else(|| {
        Failed::environment(format_args!(
            "which image pods need cannot be seen from pod {} of namespace {}",
            host_name(),
            cluster.namespace()
        ))
        .hint("name the image that capstan is in in EXECUTOR_KUBERNETES_RUNNER_IMAGE")
    })?;
    Ok(Reached {
        // By another name nobody would find it, and take its jobs for left.
        pod: this.map(|_| host_name()),
        cluster,
        pods,
    })
}

/// What the cluster says of the pod that this is; `None`: this is none, or none of the namespace.
async fn this_pod(found: &ClusterConfig, cluster: &Cluster) -> Result<Option<Found>, Failed> {
    match found.is_pod {
        true => Ok(cluster.pod(&host_name()).await?),
        false => Ok(None),
    }
}

/// The name of this machine, or of this pod.
pub(crate) fn host_name() -> String {
    let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "capstan".to_owned(),
        host => host.to_owned(),
    }
}

impl From<ClusterError> for Failed {
    fn from(error: ClusterError) -> Self {
        let failed = Self::environment(&error);
        match error.hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}
