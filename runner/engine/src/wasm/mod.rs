//! Steps in WebAssembly: `container: wasm://...` runs a component on the workspace, in this process.
//!
//! [`WasmEngine`] keeps the [`Sandbox`](crate::sandbox::Sandbox) contract: an image is a loaded component, found by
//! `components`; a container is one run of it, over the directories that `stage` lays out. There is nothing to start
//! before the gate opens and nothing left when it is over.

mod components;
mod container;
mod engine;
mod stage;

pub use self::components::OpenHost;
pub use self::container::WasmContainer;
pub use self::engine::WasmEngine;
