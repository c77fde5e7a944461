//! Jobs in a Kubernetes cluster, a pod for each.
//!
//! `manifest` says what a job becomes there, `status` what a pod's status means; neither speaks with anybody. `access` does, `pods` watches all pods of an
//! executor, `follow` reads what their runners tell ([`crate::pod`]), and [`ClusterJobs`] puts it together: a Job is made (`making`), seen
//! through to its end (`seeing`) and deleted. What has to outlive this process is in its [`Memory`]; whose executor is gone, `sweep` deletes.

mod access;
mod check;
mod follow;
mod jobs;
mod kept;
mod making;
mod manifest;
mod payload;
mod pods;
mod seeing;
mod settings;
mod status;
mod sweep;

pub use self::access::{Access, Cluster, ClusterError, Found};
pub use self::check::check;
pub use self::jobs::{ClusterJobs, Home};
pub use self::kept::Memory;
pub use self::payload::uncompressed;
pub use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

pub use self::settings::{Placement, PodSettings, Resources, Storage, affinity, json, quantity};

#[cfg(test)]
mod tests;
