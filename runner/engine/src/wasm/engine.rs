//! The engine of steps in WebAssembly.

use std::path::PathBuf;

use capstan_plugin_store::Resolver;

use super::components::{Components, OpenHost};
use super::container::WasmContainer;
use crate::fault::Fault;
use crate::sandbox::{Engine, Files, Image, Preparation, Sandbox};

/// Runs components as steps, in this process.
///
/// User, platform, processors and the number of processes mean nothing to a component and are ignored.
pub struct WasmEngine {
    components: Components,
    scratch: PathBuf,
}

impl WasmEngine {
    /// An engine that finds components through `resolver`; files relative to `directory` and nowhere else. What it
    /// lays out for steps is below `scratch`: a directory that only the runner's user can enter, and that the
    /// caller deletes at the end.
    pub fn new(host: OpenHost, resolver: Resolver, directory: PathBuf, scratch: PathBuf) -> Self {
        Self {
            components: Components::new(host, resolver, directory),
            scratch,
        }
    }
}

impl Sandbox for WasmEngine {
    type Container = WasmContainer;

    async fn prepare(&self, preparation: Preparation) -> Result<WasmContainer, Fault> {
        let loaded = self.components.load(&preparation.image.name).await?;
        let scratch = self.scratch.clone();
        Ok(WasmContainer::new(loaded, preparation, scratch))
    }
}

impl Engine for WasmEngine {
    async fn image(&self, name: &str, _platform: Option<&str>) -> Result<Image, Fault> {
        let loaded = self.components.load(name).await?;
        Ok(Image {
            name: name.to_owned(),
            id: loaded.digest,
            // Its files belong to the runner's own user, which is as good as root to what comes after.
            user: String::new(),
        })
    }

    async fn digest(&self, name: &str) -> Result<Option<String>, Fault> {
        self.components.digest(name).await.map(Some)
    }

    async fn reclaim(&self, _: &Image, _: &Files) -> Result<(), Fault> {
        Err(Fault::workspace(
            "giving files back: a WebAssembly step has no rights to do so",
        ))
    }
}
