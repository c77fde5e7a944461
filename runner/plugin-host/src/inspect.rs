//! What a component is, and why something is not one.

use std::collections::BTreeSet;

use capstan_core::plugin::{Hook, Inspection};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::hex;

/// The namespace of the plugin contract, up to the interface's name.
const CONTRACT: &str = "capstan:plugin/";

/// Largest component, in bytes (facts/wasm-plugin-hosts.md 3.2).
pub(crate) const LARGEST: u64 = 64 * 1024 * 1024;

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
    if let Some(reason) = not_a_component(bytes) {
        return Err(LoadError::NotAComponent(reason));
    }
    let actual = format!("sha256:{}", hex(&Sha256::digest(bytes)));
    match expected {
        Some(expected) if expected != actual => Err(LoadError::Digest {
            actual,
            expected: expected.to_owned(),
        }),
        _ => Ok(actual),
    }
}

/// What every WebAssembly file begins with; then come the version of the format, and whether it is a module or a component.
const MAGIC: &[u8] = b"\0asm";
const MODULE: [u8; 4] = [1, 0, 0, 0];
const COMPONENT_LAYER: [u8; 2] = [1, 0];

/// Why bytes are no component, as far as their beginning tells.
fn not_a_component(bytes: &[u8]) -> Option<String> {
    if Engine::detect_precompiled(bytes).is_some() {
        return Some(
            "it is code that wasmtime has compiled already, which could do anything: give the component (.wasm) that it was made from"
                .to_owned(),
        );
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let text = bytes.trim_ascii_start();
        return Some(if text.starts_with(b"(") || text.starts_with(b";;") {
            "it is WebAssembly as text: make it binary with `wasm-tools parse`".to_owned()
        } else if bytes.is_empty() {
            "it is empty".to_owned()
        } else if MAGIC.starts_with(bytes) {
            CUT_SHORT.to_owned()
        } else {
            "it is not WebAssembly".to_owned()
        });
    };
    match rest.first_chunk::<4>() {
        None => Some(CUT_SHORT.to_owned()),
        Some(&MODULE) => Some(
            "it is a core module and not a component: build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
                .to_owned(),
        ),
        Some(version) if version[2..] == COMPONENT_LAYER => None,
        Some(_) => Some(
            "it is of a version of WebAssembly that this host does not know".to_owned(),
        ),
    }
}

const CUT_SHORT: &str = "it is cut short: get it again";

impl LoadError {
    /// What the compiler says of bytes that begin like a component.
    pub(crate) fn of_compiler(complaint: &str) -> Self {
        // The compiler has no codes, only these words.
        if complaint.contains("unexpected end") || complaint.contains("is out of bounds (bound") {
            Self::NotAComponent(format!("{CUT_SHORT} ({complaint})"))
        } else {
            Self::Compile(complaint.to_owned())
        }
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
