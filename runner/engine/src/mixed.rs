//! Containers and components side by side: each step runs where its image belongs.

use std::future::Future;

use capstan_core::wasm_step::is_component;
use tokio::sync::{OnceCell, mpsc};

use crate::fault::Fault;
use crate::sandbox::{
    Chunk, Engine, Exit, Files, Gated, Image, Inputs, NetworkOrder, Preparation, Sandbox,
    SharedNetwork,
};
use crate::wasm::{WasmContainer, WasmEngine};

/// Finds the engine of containers, when one is needed.
pub trait Connect: Send + Sync + 'static {
    /// The engine.
    type Engine: Engine;

    /// Connects to it. Not called again once it has succeeded.
    fn connect(&self) -> impl Future<Output = Result<Self::Engine, Fault>> + Send;
}

/// Runs `wasm://` images as components and all others as containers. As long as there are only components, no engine
/// of containers is looked for.
pub struct MixedEngine<C: Connect> {
    connector: C,
    containers: OnceCell<C::Engine>,
    components: WasmEngine,
}

impl<C: Connect> MixedEngine<C> {
    /// Of an engine that `connector` finds, and one of components.
    pub fn new(connector: C, components: WasmEngine) -> Self {
        Self {
            connector,
            containers: OnceCell::new(),
            components,
        }
    }

    /// The engine of containers; connects to it if that was not needed before.
    ///
    /// # Errors
    /// Those of [`Connect::connect`]; the next call tries again.
    pub async fn containers(&self) -> Result<&C::Engine, Fault> {
        self.containers
            .get_or_try_init(|| self.connector.connect())
            .await
    }

    /// The engine of containers, if it was needed.
    pub fn connected(&self) -> Option<&C::Engine> {
        self.containers.get()
    }
}

impl<C: Connect> Sandbox for MixedEngine<C> {
    type Container = MixedContainer<<C::Engine as Sandbox>::Container>;

    async fn prepare(&self, preparation: Preparation) -> Result<Self::Container, Fault> {
        if is_component(&preparation.image.name) {
            let made = self.components.prepare(preparation).await?;
            return Ok(MixedContainer::Component(Box::new(made)));
        }
        let made = self.containers().await?.prepare(preparation).await?;
        Ok(MixedContainer::Container(made))
    }
}

impl<C: Connect> Engine for MixedEngine<C> {
    async fn image(&self, name: &str, platform: Option<&str>) -> Result<Image, Fault> {
        if is_component(name) {
            return self.components.image(name, platform).await;
        }
        self.containers().await?.image(name, platform).await
    }

    async fn digest(&self, name: &str) -> Result<Option<String>, Fault> {
        if is_component(name) {
            return self.components.digest(name).await;
        }
        Ok(None)
    }

    async fn forget(&self, workspace: &Files) {
        if let Some(containers) = self.connected() {
            containers.forget(workspace).await;
        }
    }

    async fn reclaim(&self, image: &Image, files: &Files) -> Result<(), Fault> {
        if is_component(&image.name) {
            return self.components.reclaim(image, files).await;
        }
        self.containers().await?.reclaim(image, files).await
    }

    async fn share_network(&self, order: NetworkOrder) -> Result<SharedNetwork, Fault> {
        self.containers().await?.share_network(order).await
    }

    fn memory(&self) -> Option<u64> {
        self.connected()?.memory()
    }
}

/// What a step runs in.
pub enum MixedContainer<C> {
    /// A container.
    Container(C),
    /// A component.
    Component(Box<WasmContainer>),
}

impl<C: Gated> Gated for MixedContainer<C> {
    async fn open(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        match self {
            Self::Container(container) => container.open(inputs, output).await,
            Self::Component(component) => component.open(inputs, output).await,
        }
    }

    fn has_left_all(&self) -> bool {
        match self {
            Self::Container(container) => container.has_left_all(),
            Self::Component(component) => component.has_left_all(),
        }
    }

    async fn discard(self) {
        match self {
            Self::Container(container) => container.discard().await,
            Self::Component(component) => component.discard().await,
        }
    }
}
