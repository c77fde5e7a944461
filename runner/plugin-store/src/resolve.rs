//! From a source to bytes.

use std::path::{Path, PathBuf};

use crate::lock::Lock;
use crate::source::Source;
use crate::store::Store;

/// Finds the bytes of components for a run: never downloads what the lock, or the configuration, does not name by digest.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// Components on this machine.
    pub store: Store,
    /// What is pinned.
    pub lock: Lock,
    /// Where the lock was read from, for messages.
    pub lock_path: PathBuf,
}

/// A component's bytes.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `sha256:...` of the bytes.
    pub digest: String,
}

/// A component that cannot be had. The text says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Resolver {
    /// The bytes of `source`. `digest`: what the configuration pins; `directory`: what relative paths start from.
    ///
    /// # Errors
    ///
    /// If a remote source is pinned nowhere, if the bytes have another digest, or if they cannot be read or fetched.
    pub async fn resolve(
        &self,
        source: &Source,
        digest: Option<&str>,
        directory: &Path,
    ) -> Result<Resolved, StoreError> {
        todo!("{source:?} {digest:?} {directory:?}")
    }
}
