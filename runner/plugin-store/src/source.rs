//! Where a component is.

use std::path::PathBuf;

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file; relative to a directory that the context gives.
    Path(PathBuf),
    /// `https://...`; `http://` for the loopback interface only.
    Https(String),
    /// A reference in an OCI registry, without `oci://`: `registry.example/policies/image:1.2`, perhaps with `@sha256:...`.
    Oci(String),
}
