//! The engine that everything runs on: made once per process.

use std::path::PathBuf;
use std::sync::Arc;

use crate::compile::Compiler;
use crate::component::Component;
use crate::inspect::LoadError;

/// How a host is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of compiled code, made if it is missing; nobody else may write to it. `None`: nothing is kept.
    pub cache: Option<PathBuf>,
    /// File of the key that authenticates compiled code, made if it is missing; outside of `cache`.
    pub key: Option<PathBuf>,
    /// Most bytes of compiled code that are kept.
    pub cache_limit: u64,
    /// What compiles.
    pub compiler: Compiler,
}

/// A host that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct HostError {
    /// What was being done.
    pub what: String,
    /// Why it failed.
    pub reason: String,
}

/// Runs components. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    _inner: Arc<()>,
}

impl Host {
    /// Makes a host and its clock.
    ///
    /// # Errors
    ///
    /// If the cache directory cannot be made private, or the machine lacks what wasmtime needs.
    pub fn new(options: Options) -> Result<Self, HostError> {
        todo!("{options:?}")
    }

    /// Loads a component from its bytes: from the cache of compiled code if it is there, else compiled. Two loads of the same bytes at once
    /// compile once. `digest`: what the bytes must have, `sha256:...`.
    ///
    /// # Errors
    ///
    /// [`LoadError`], whose text says what the component needs and what this host offers.
    pub async fn load(
        &self,
        bytes: &[u8],
        digest: Option<&str>,
    ) -> Result<Arc<Component>, LoadError> {
        todo!("{} {digest:?}", bytes.len())
    }
}
