//! The way to a cluster, as the configuration has it.

use std::path::Path;

use capstan_executor::cluster::{Cluster, ClusterError, PodSettings};

use crate::config::ClusterConfig;
use crate::failure::Failed;

/// The way to the cluster, and what its pods are. Their runners have the same settings file: it has to be in their image, or on a volume.
pub(crate) async fn reach(
    found: &ClusterConfig,
    config_file: Option<&Path>,
) -> Result<(Cluster, PodSettings), Failed> {
    let cluster = Cluster::open(&found.access, found.namespace.as_deref()).await?;
    let mut pods = found.pods.clone();
    let config_file = config_file.map(std::path::absolute).transpose();
    let config_file = config_file.map_err(Failed::environment)?;
    pods.config = config_file.map(|file| file.display().to_string());
    pods.image = match &found.image {
        Some(image) => image.clone(),
        None => own_image(&cluster).await?,
    };
    Ok((cluster, pods))
}

/// The image of the pod that this is.
async fn own_image(cluster: &Cluster) -> Result<String, Failed> {
    let pod = host_name();
    match cluster.image_of(&pod).await? {
        Some(image) => Ok(image),
        None => Err(Failed::environment(format_args!(
            "there is no pod {pod} in namespace {}, whose image pods would have",
            cluster.namespace()
        ))
        .hint("name the image that capstan is in in EXECUTOR_KUBERNETES_RUNNER_IMAGE")),
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
