//! The containers of a pod as the step loop wants them.

use std::sync::{Mutex, PoisonError};

use super::container::PodContainer;
use super::volume::{Slot, Volume};
use crate::fault::Fault;
use crate::sandbox::{Engine, Files, Image, Limits, Preparation, Sandbox};

/// The containers of the pod that this process is in.
#[derive(Debug)]
pub struct PodEngine {
    volume: Volume,
    /// Whether each was handed out. A container runs one script.
    taken: Mutex<Vec<bool>>,
}

impl PodEngine {
    /// Of a volume that is laid out. None of its gates has been opened.
    pub fn new(volume: Volume) -> Self {
        Self {
            taken: Mutex::new(vec![false; volume.slots().len()]),
            volume,
        }
    }

    /// The first free container that is what a step needs.
    fn take(&self, preparation: &Preparation) -> Option<usize> {
        // What a pod says of all of its containers, none can have otherwise.
        if preparation.limits != Limits::default() || preparation.network.is_some() {
            return None;
        }
        let wanted = Slot::of(preparation);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = self.volume.slots().iter().zip(taken.iter());
        let index = slots.position(|(slot, taken)| !taken && *slot == wanted)?;
        taken[index] = true;
        Some(index)
    }
}

impl Sandbox for PodEngine {
    type Container = PodContainer;

    async fn prepare(&self, preparation: Preparation) -> Result<PodContainer, Fault> {
        let index = self.take(&preparation).ok_or_else(|| {
            Fault::workspace(format!(
                "{}: the pod has no container of image {} left for it",
                preparation.purpose, preparation.image.name
            ))
            .hint("a pod gets its containers before its first step runs, one for each step: what policies change of a step then comes too late")
        })?;
        PodContainer::at_gate(&self.volume, index, preparation).await
    }
}

impl Engine for PodEngine {
    /// The kubelet has pulled it, or tells why not.
    async fn image(&self, name: &str, _platform: Option<&str>) -> Result<Image, Fault> {
        if self.volume.slots().iter().all(|slot| slot.image != name) {
            return Err(Fault::workspace(format!("the pod has no container of image {name}")).hint(
                "on Kubernetes, the image of a step must be known before the first step runs: it may not depend on what steps do",
            ));
        }
        Ok(Image::in_pod(name))
    }

    async fn digest(&self, _: &str) -> Result<Option<String>, Fault> {
        Ok(None)
    }

    /// Containers have no rights that this process lacks, so if it is not root, nobody is.
    async fn reclaim(&self, _: &Image, _: &Files) -> Result<(), Fault> {
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        Err(
            Fault::workspace("a step has left files of another user, which only root may read")
                .hint("have the pod's containers run as one user, or its runner as root"),
        )
    }
}
