//! Components on this machine, by digest.

use std::path::PathBuf;

/// A directory of components: `sha256/<hex>.wasm`.
#[derive(Debug, Clone)]
pub struct Store {
    _directory: PathBuf,
}
