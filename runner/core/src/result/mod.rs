//! What is known after a step ran.

mod json;
mod outputs;

pub use json::StepResultJson;
pub use outputs::{OutputsJson, outputs_from_json};

use serde::Deserialize;

use crate::changed_files::ChangedFiles;
use crate::value::Outputs;

/// The state of a workspace after one executed step; also the content of a cache entry
/// (facts/batch-spec.md 3.7).
///
/// It is read from either version of its JSON; see [`StepResult::as_json`] for how it is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "json::Fields")]
pub struct StepResult {
    /// Index of the step, from 0.
    pub step_index: usize,
    /// Cumulative diff against the base commit, exactly as git printed it.
    pub diff: Vec<u8>,
    /// What the diff says, by file.
    pub changed_files: ChangedFiles,
    /// Standard output, untrimmed.
    pub stdout: String,
    /// Standard error, untrimmed.
    pub stderr: String,
    /// All outputs set so far.
    pub outputs: Outputs,
}
