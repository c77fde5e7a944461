//! What a component is, and why something is not one.

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
