//! What a component is, and why something is not one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use capstan_core::plugin::{Hook, Inspection};
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// The namespace of the plugin contract, up to the interface's name.
const CONTRACT: &str = "capstan:plugin/";

/// Largest component, in bytes (facts/wasm-plugin-hosts.md 3.2).
const LARGEST: u64 = 64 * 1024 * 1024;

/// Bytes that cannot be loaded as a plugin or a step.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Larger than 64 MiB.
    #[error("it has {size} bytes; a plugin may have {limit}")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The most.
        limit: u64,
    },
    /// Not a component: a core module, compiled code, text, something else, cut short.
    #[error("{0}")]
    NotAComponent(String),
    /// Its digest is not the one that was asked for.
    #[error("its digest is {actual}, but {expected} was asked for")]
    Digest {
        /// What its bytes have.
        actual: String,
        /// What was asked for.
        expected: String,
    },
    /// It needs what this host does not offer.
    #[error("{0}")]
    Link(String),
    /// It could not be compiled.
    #[error("it could not be compiled: {0}")]
    Compile(String),
    /// Reading it, or the cache of compiled code, failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The error.
        source: std::io::Error,
    },
}

/// The digest of `bytes`, if they can be a component, and have the digest that was asked for.
pub(crate) fn check(bytes: &[u8], expected: Option<&str>) -> Result<String, LoadError> {
    let size = bytes.len() as u64;
    if size > LARGEST {
        return Err(LoadError::TooLarge {
            size,
            limit: LARGEST,
        });
    }
    let mut actual = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(actual, "{byte:02x}");
    }
    match expected {
        Some(expected) if expected != actual => Err(LoadError::Digest {
            actual,
            expected: expected.to_owned(),
        }),
        _ => Ok(actual),
    }
}

/// What a component is.
pub(crate) fn inspect(component: &Component, digest: String, size: u64) -> Inspection {
    let engine = component.engine();
    let ty = component.component_type();
    let mut imports: Vec<String> = ty
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut exports: Vec<String> = ty
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    imports.sort();
    exports.sort();
    let hooks: BTreeSet<Hook> = exports
        .iter()
        .filter_map(|name| Hook::from_name(interface(name.strip_prefix(CONTRACT)?).0))
        .collect();
    let api = exports
        .iter()
        .chain(&imports)
        .filter_map(|name| interface(name.strip_prefix(CONTRACT)?).1)
        .next()
        .map(str::to_owned);
    Inspection {
        digest,
        size,
        hooks,
        command: exports
            .iter()
            .any(|name| interface(name).0 == "wasi:cli/run"),
        api,
        imports,
        exports,
    }
}

/// The name and the version of `name@version`.
fn interface(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    }
}
