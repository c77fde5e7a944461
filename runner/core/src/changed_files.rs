//! Which files differ from the base commit, as templates and step results name them.

/// The files that differ between the base commit and the working tree, cumulative over all steps
/// so far, in the order of the diff (facts/batch-spec.md 3.6).
///
/// Names are UTF-8; bytes that are not are replaced, as the JSON form demands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedFiles {
    /// Same name on both sides.
    pub modified: Vec<String>,
    /// Only on the new side.
    pub added: Vec<String>,
    /// Only on the old side.
    pub deleted: Vec<String>,
    /// Different names; the new one is listed.
    pub renamed: Vec<String>,
}
