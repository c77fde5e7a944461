//! The `workspace` hook.

use std::path::Path;

use crate::{Job, Result};

/// Prepares the workspace after checkout, before the first step.
pub trait Workspace {
    /// `root` is the workspace, to be read and written with `std::fs`; git's own files are not in it. What this leaves there
    /// belongs to the first step's diff. Where it fails, everything it did is undone.
    ///
    /// The operator has to grant it: `grants = { workspace = "write" }`.
    fn prepare(job: &Job, root: &Path) -> Result<()>;
}
