//! Recognises native batch jobs (facts/executor-protocol.md 7.1): three containers a step, two of them only to prepare and to look at what
//! the third did.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::exec_input::{self, ExecInput, ExecInputError};
use capstan_core::result::StepResult;
use capstan_protocol::{Content, DockerStep, Job};
use serde::Deserialize;

use super::super::check::{Checked, Variables};
use super::super::paths::Below;

/// The program in the helper image.
const HELPER: &str = "batcheshelper";

/// The name of the execution input among the files.
const INPUT: &str = "input.json";

/// The name of the cached diff among them.
const STATE: &str = "state.diff";

/// The step that applies it.
const APPLY: &str = "apply-diff";

/// A native job, and what it asks for.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(super) input: ExecInput,
    /// The docker steps of each step of the batch spec that may run, by its index.
    pub(super) triples: BTreeMap<usize, Triple>,
    /// The docker step that applies the cached diff.
    pub(super) apply: Option<usize>,
    /// The cached result.
    pub(super) known: Option<StepResult>,
    /// What the server's secrets are called.
    pub(super) environment: Variables,
}

/// Indices of the three docker steps of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triple {
    pub(super) pre: usize,
    pub(super) run: usize,
    pub(super) post: usize,
}

/// Why a job that looks like a native one cannot be run.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum PlanError {
    #[error("{INPUT}: {0}")]
    Input(#[from] ExecInputError),
    #[error("{INPUT} is no text: {0}")]
    Text(#[from] std::str::Utf8Error),
    #[error("step{step}.json: {reason}")]
    Known { step: usize, reason: String },
}

impl Plan {
    /// What a native job asks for; `None` for any other job, which is run to the letter.
    pub(in super::super) fn of(job: &Job, checked: &Checked) -> Option<Result<Self, PlanError>> {
        let input = inline(job, INPUT)?;
        let in_repository = |path: &Below| path.is_in(&checked.repository_directory);
        let has_own_place =
            !checked.repository_directory.is_root() && !checked.files.iter().any(in_repository);
        if !job.cli_steps.is_empty() || job.repository_name.is_empty() || !has_own_place {
            return None;
        }
        let (apply, triples) = shape(&job.docker_steps)?;
        let input = match str::from_utf8(input) {
            Ok(text) => exec_input::parse(text),
            Err(error) => return Some(Err(error.into())),
        };
        let input = match input {
            Ok(input) => input,
            Err(error) => return Some(Err(error.into())),
        };
        let as_in_spec = triples.iter().all(|(index, triple)| {
            let step = input.task.steps.get(*index);
            step.is_some_and(|step| step.container == job.docker_steps[triple.run].image)
        });
        if !as_in_spec {
            return None;
        }
        let first = triples.keys().next().copied();
        let first = first.unwrap_or(input.task.steps.len());
        let known = match known(job, first) {
            Ok(known) => known,
            Err(error) => return Some(Err(error)),
        };
        let environment = triples
            .values()
            .flat_map(|triple| &checked.docker_steps[triple.pre].environment);
        let environment = environment.map(|(name, value)| (name.clone(), value.clone()));
        Some(Ok(Self {
            environment: environment.collect(),
            input,
            triples,
            apply,
            known,
        }))
    }

    /// The steps that the server has decided about: they do not run, and nobody is told.
    pub(super) fn skip(&self) -> BTreeSet<usize> {
        let steps = 0..self.input.task.steps.len();
        steps
            .filter(|step| !self.triples.contains_key(step))
            .collect()
    }
}

/// The docker step that applies a diff, if the first does, and the three steps of each step; `None` if there are any others.
fn shape(steps: &[DockerStep]) -> Option<(Option<usize>, BTreeMap<usize, Triple>)> {
    let apply = steps.first().is_some_and(|step| step.key == APPLY);
    let first = usize::from(apply);
    let mut triples = BTreeMap::new();
    for (number, three) in steps[first..].chunks(3).enumerate() {
        let [pre, run, post] = three else { return None };
        let index: usize = pre
            .key
            .strip_prefix("step.")?
            .strip_suffix(".pre")?
            .parse()
            .ok()?;
        let is_next = triples
            .last_key_value()
            .is_none_or(|(last, _)| *last < index);
        let fits = pre.key == format!("step.{index}.pre")
            && run.key == format!("step.{index}.run")
            && post.key == format!("step.{index}.post")
            && calls_helper(pre, "pre", index)
            && calls_helper(post, "post", index);
        if !fits || !is_next {
            return None;
        }
        let at = first + number * 3;
        let triple = Triple {
            pre: at,
            run: at + 1,
            post: at + 2,
        };
        triples.insert(index, triple);
    }
    Some((apply.then_some(0), triples))
}

/// Whether all that a docker step does is to call the helper in this mode for the step `index`.
fn calls_helper(step: &DockerStep, mode: &str, index: usize) -> bool {
    let lines = step.commands.iter().map(|line| line.trim());
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with("set "));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let mut words = line.split_whitespace();
    if words.next() != Some(HELPER) {
        return false;
    }
    // Options and their values may stand between.
    let index = index.to_string();
    let mut arguments = Vec::new();
    while let Some(word) = words.next() {
        match word.starts_with('-') {
            true => drop(words.next()),
            false => arguments.push(word),
        }
    }
    arguments == [mode, &index]
}

fn inline<'a>(job: &'a Job, name: &str) -> Option<&'a [u8]> {
    match &job.files.get(name)?.content {
        Content::Inline(bytes) => Some(bytes),
        Content::Stored { .. } => None,
    }
}

/// The result of the nearest step before `first` that ran.
fn known(job: &Job, first: usize) -> Result<Option<StepResult>, PlanError> {
    #[derive(Deserialize)]
    struct Skipped {
        skipped: Option<bool>,
    }
    for step in (0..first).rev() {
        let Some(bytes) = inline(job, &format!("step{step}.json")) else {
            continue;
        };
        let failed = |error: serde_json::Error| PlanError::Known {
            step,
            reason: error.to_string(),
        };
        let Skipped { skipped } = serde_json::from_slice(bytes).map_err(failed)?;
        if skipped == Some(true) {
            continue;
        }
        let mut result = StepResult::from_json(bytes).map_err(failed)?;
        result.step_index = step;
        if result.diff.is_empty() {
            result.diff = inline(job, STATE).unwrap_or_default().to_vec();
        }
        if result.changed_files == Default::default() {
            // The original leaves them out (facts 7.6); templates want them.
            let diff = capstan_core::diff::Diff::parse(&result.diff);
            let diff = diff.map_err(|error| PlanError::Known {
                step,
                reason: error.to_string(),
            })?;
            result.changed_files = diff.changed_files();
        }
        return Ok(Some(result));
    }
    Ok(None)
}
