//! Doubles of the host, for testing a plugin's logic with `cargo test`, without WebAssembly. What the real host does with a plugin is
//! tested with `capstan plugin test`.
//!
//! ```
//! use capstan_plugin::{Decision, Job, Policy, Result, Step, refuse, test};
//!
//! struct NoRoot;
//!
//! impl Policy for NoRoot {
//!     fn check_step(_: &Job, step: &Step) -> Result<Decision> {
//!         if step.script().contains("sudo ") {
//!             return Ok(refuse("no-sudo", "the script calls sudo").into());
//!         }
//!         Ok(Decision::Keep)
//!     }
//! }
//!
//! let step = test::Step { script: "sudo make".to_owned(), ..test::Step::default() };
//! let decision = NoRoot::check_step(&test::Job::default().into(), &step.into());
//! assert!(matches!(decision, Ok(Decision::Refuse(_))));
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use crate::double::changes::Edit;
use crate::double::world;
use crate::log::Level;
use crate::output::Chunks;
use crate::{
    Amendment, Changes, Channel, Diff, Edits, Error, Mount, Outcome, Output, Policy, Result,
    Severity, Workspace,
};

/// What the host knows of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Name of the batch change.
    pub batch_change: String,
    /// Full name of the repository.
    pub repository: String,
    /// Branch without `refs/heads/`.
    pub branch: String,
    /// Full id of the commit.
    pub commit: String,
    /// Workspace directory in the repository.
    pub path: String,
    /// Its steps; their numbers are set by their order.
    pub steps: Vec<Step>,
}

/// What the host knows of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// From 1.
    pub number: u32,
    /// Image or `wasm://...`.
    pub image: String,
    /// Script.
    pub script: String,
    /// Whether templates have been replaced.
    pub rendered: bool,
    /// Its `if`.
    pub condition: Option<String>,
    /// Its environment; without a value for a secret.
    pub environment: BTreeMap<String, Option<String>>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Targets of its files.
    pub files: Vec<String>,
    /// Names of the outputs it declares.
    pub outputs: Vec<String>,
    /// Network.
    pub network: Option<String>,
    /// MiB of memory.
    pub memory: Option<u32>,
    /// Thousandths of a processor.
    pub cpus: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Seconds.
    pub timeout: Option<u32>,
}

impl From<Job> for crate::Job {
    fn from(job: Job) -> Self {
        Self(job)
    }
}

impl From<Step> for crate::Step {
    fn from(step: Step) -> Self {
        Self(step)
    }
}

/// Sets the configuration for the rest of this test: the text of a JSON object.
pub fn config(json: impl Into<String>) {
    world(|world| world.config = Some(json.into()));
}

/// What the plugin has logged since the last time.
pub fn messages() -> Vec<(Level, String)> {
    world(|world| std::mem::take(&mut world.messages))
}

/// A diff, as `git diff --no-prefix --binary` prints it.
pub fn changes(text: impl AsRef<[u8]>) -> Changes {
    Changes::new(text.as_ref())
}

/// What a step becomes by an amendment.
pub fn amended(amendment: &Amendment, mut step: Step) -> Step {
    amendment.apply(&mut step);
    step
}

/// What a diff plugin says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Path, after the change.
    pub path: String,
    /// Line after the change.
    pub line: Option<u32>,
    /// How much it matters.
    pub severity: Severity,
    /// The message.
    pub message: String,
}

/// What became of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// How the plugin ended.
    pub outcome: Outcome,
    /// The diff with its edits. Nobody has proved that the plugin's shape allows them: the real host does.
    pub diff: Vec<u8>,
    /// What it said.
    pub annotations: Vec<Annotation>,
}

/// Calls a diff plugin, and makes its edits.
///
/// # Errors
///
/// The plugin's own.
pub fn process<P: Diff>(job: Job, diff: impl AsRef<[u8]>) -> Result<Processed> {
    let changes = changes(diff);
    let edits = Edits::default();
    let outcome = P::process(&job.into(), &changes, &edits)?;

    let mut sections: Vec<_> = changes.sections.iter().cloned().map(Some).collect();
    let mut dropped = Vec::new();
    let mut annotations = Vec::new();
    for edit in edits.0.into_inner() {
        match edit {
            Edit::DropFile(file) => sections[file] = None,
            Edit::DropHunk(file, hunk) => dropped.push((file, hunk)),
            Edit::ReplaceHunk(file, hunk, body) => {
                if let Some(section) = &mut sections[file] {
                    section.hunks[hunk].body = body;
                }
            }
            Edit::Annotate(annotation) => annotations.push(annotation),
        }
    }
    let mut diff = Vec::new();
    for (at, section) in sections.into_iter().enumerate() {
        let Some(mut section) = section else {
            continue;
        };
        let had_hunks = !section.hunks.is_empty();
        let mut shift = 0;
        let mut hunk_at = 0;
        section.hunks.retain_mut(|hunk| {
            hunk_at += 1;
            let lost = i64::from(hunk.old_lines) - i64::from(hunk.new_lines);
            let count = |signs: [u8; 2]| {
                let lines = hunk.lines().filter(|line| signs.contains(&line[0]));
                u32::try_from(lines.count()).unwrap_or(u32::MAX)
            };
            let (old_lines, new_lines) = (count([b' ', b'-']), count([b' ', b'+']));
            let changes = hunk.lines().any(|line| matches!(line[0], b'+' | b'-'));
            hunk.new_start = u32::try_from(i64::from(hunk.new_start) + shift).unwrap_or(0);
            if !changes || dropped.contains(&(at, hunk_at - 1)) {
                shift += lost;
                return false;
            }
            shift += lost + i64::from(new_lines) - i64::from(old_lines);
            (hunk.old_lines, hunk.new_lines) = (old_lines, new_lines);
            true
        });
        if !had_hunks || !section.hunks.is_empty() {
            diff.extend_from_slice(&section.text());
        }
    }
    Ok(Processed {
        outcome,
        diff,
        annotations,
    })
}

/// Sends chunks through the filter of an output plugin, cut as it wants them.
///
/// # Errors
///
/// The plugin's own.
pub fn filter<P: Output>(
    step: Step,
    channel: Channel,
    chunks: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Vec<u8>> {
    let mut filter = P::filter(&step.into(), channel)?;
    let mut into = Vec::new();
    let mut waiting = Vec::new();
    for chunk in chunks {
        let Some(transform) = &mut filter.transform else {
            into.extend_from_slice(chunk.as_ref());
            continue;
        };
        waiting.extend_from_slice(chunk.as_ref());
        let ready = match filter.chunks {
            Chunks::Lines => waiting
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |at| at + 1),
            Chunks::Any | Chunks::None => waiting.len(),
        };
        let rest = waiting.split_off(ready);
        transform.push(&waiting, &mut into)?;
        waiting = rest;
    }
    if let Some(transform) = &mut filter.transform {
        transform.push(&waiting, &mut into)?;
        transform.finish(&mut into)?;
    }
    Ok(into)
}

/// Prepares a directory with a workspace plugin.
///
/// # Errors
///
/// The plugin's own.
pub fn prepare<P: Workspace>(job: Job, root: &Path) -> Result<()> {
    let root = root.canonicalize().map_err(Error::from)?;
    world(|world| world.workspace = Some(root.clone()));
    let result = P::prepare(&job.into(), &root);
    world(|world| world.workspace = None);
    result
}

/// Compiles if it is one.
#[doc(hidden)]
pub const fn is_policy<P: Policy>() {}

/// Compiles if it is one.
#[doc(hidden)]
pub const fn is_workspace<P: Workspace>() {}

/// Compiles if it is one.
#[doc(hidden)]
pub const fn is_output<P: Output>() {}

/// Compiles if it is one.
#[doc(hidden)]
pub const fn is_diff<P: Diff>() {}

#[cfg(test)]
mod tests;
