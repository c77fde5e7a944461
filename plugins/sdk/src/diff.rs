//! The `diff` hook.

use crate::{Changes, Edits, Job, Outcome, Result};

/// The most a diff plugin does to a diff. The host proves every answer against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Drops files and hunks; what is left is byte for byte what was there.
    RemoveOnly,
    /// Changes white space at line ends, line endings, blank lines at the end, and the final newline.
    NormalizeOnly,
    /// Nothing but annotations.
    Annotate,
    /// Drops and replaces; what the diff says of the content before stays true.
    Rewrite,
}

/// Post-processes the diff of a job.
pub trait Diff {
    /// What this plugin may do.
    const SHAPE: Shape;

    /// Walks the cumulative diff after a step and says in `edits` what should be different.
    fn process(job: &Job, changes: &Changes, edits: &Edits) -> Result<Outcome>;
}
