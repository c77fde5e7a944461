//! The sandbox and the images of one engine, as the step loop wants them.

use super::{Container, DockerSandbox, Images};
use crate::fault::Fault;
use crate::sandbox::{Engine, Files, Image, NetworkOrder, Preparation, Sandbox, SharedNetwork};

/// A Docker engine with its images.
pub struct DockerEngine {
    /// Makes containers.
    pub sandbox: DockerSandbox,
    /// Finds and pulls images.
    pub images: Images,
}

impl Sandbox for DockerEngine {
    type Container = Container;

    async fn prepare(&self, preparation: Preparation) -> Result<Container, Fault> {
        self.sandbox.prepare(preparation).await
    }
}

impl Engine for DockerEngine {
    async fn image(&self, name: &str, platform: Option<&str>) -> Result<Image, Fault> {
        self.images.ensure(name, platform).await
    }

    async fn digest(&self, _: &str) -> Result<Option<String>, Fault> {
        Ok(None)
    }

    async fn forget(&self, workspace: &Files) {
        if let Files::Overlay(overlay) = workspace {
            self.sandbox.remove_volume(overlay.name.clone());
        }
    }

    async fn reclaim(&self, image: &Image, files: &Files) -> Result<(), Fault> {
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        match files {
            Files::Directory(directory) => self.sandbox.chown(image, directory, user, group).await,
            Files::Overlay(_) => self.sandbox.open_up(image, files).await,
        }
    }

    async fn share_network(&self, order: NetworkOrder) -> Result<SharedNetwork, Fault> {
        self.sandbox.share_network(order).await
    }

    fn memory(&self) -> Option<u64> {
        Some(self.sandbox.info().memory).filter(|memory| *memory > 0)
    }
}
