//! Where plugins come from: paths, HTTPS and OCI registries; the lock file that pins them.
//!
//! A [`Source`] says where a component is. A [`Store`] keeps components by the digest of their bytes, and a [`Fetcher`] fills it.
//! [`Lock`] (`capstan.lock`) names, for every source, the digest that is to be used and what the component may ask for. A
//! [`Resolver`] puts them together: it is what a run asks for the bytes of a plugin or of a step in WebAssembly. [`registry`] holds
//! what all clients of registries need: references and credentials.

mod digest;
mod failure;
mod fetch;
mod http;
mod lock;
pub mod net;
pub mod registry;
mod resolve;
mod source;
mod store;
#[cfg(test)]
mod tests;

pub use self::digest::{Digest, NotADigest};
pub use self::failure::{Class, StoreError};
pub use self::fetch::{Fetched, Fetcher, Progress};
pub use self::lock::{Lock, LockError, Locked, Widened};
pub use self::registry::publish::{Publication, Published};
pub use self::resolve::{Resolved, Resolver};
pub use self::source::{Source, SourceError};
pub use self::store::{Store, Stored};

/// Most bytes a component may have (facts/wasm-plugin-hosts.md 3.2).
pub const COMPONENT_LIMIT: u64 = 64 << 20;
