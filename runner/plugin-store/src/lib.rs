//! Where plugins come from: paths, HTTPS and OCI registries; the lock file that pins them.
//!
//! A [`Source`] says where a component is. [`Store`] keeps components by the digest of their bytes. [`Lock`] (`capstan.lock`) names, for
//! every remote source, the digest that is to be used and what the component may ask for. A [`Resolver`] puts them together: it is what a run asks
//! for the bytes of a plugin or of a step in WebAssembly.

mod lock;
mod resolve;
mod source;
mod store;

pub use self::lock::{Lock, Locked};
pub use self::resolve::{Resolved, Resolver, StoreError};
pub use self::source::Source;
pub use self::store::Store;
