//! What is already known of a task's result.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_core::cache_key::{cache_key, with_plugins};
use capstan_core::diff::Diff;
use capstan_core::result::StepResult;
use capstan_core::slug::slug;
use serde::de::IgnoredAny;

use super::mounts::{MountsError, metadata};
use super::report::Reported;
use super::{Job, Runner, render};
use crate::cache::Lookup;
use crate::sandbox::Engine;

/// A known result to go on from: the steps up to its `step_index` need not run.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The result.
    pub result: Arc<StepResult>,
}

/// The cache key of every step of `job`; what plugins have a hand in has other keys, by their `fingerprint`.
pub(super) fn keys(job: &Job, fingerprint: Option<&str>) -> Result<Vec<String>, MountsError> {
    let task = &job.task;
    let environments: Vec<BTreeMap<String, String>> = task
        .steps
        .iter()
        .map(|step| render::resolve(step, &job.outer_environment))
        .collect();
    let mounts = metadata(&job.mount_directory, &task.steps)?;
    let keys = (0..task.steps.len()).map(|step| {
        let key = cache_key(task, step, &environments, &mounts)?;
        Ok(match fingerprint {
            Some(fingerprint) => with_plugins(&key, step, fingerprint),
            None => key,
        })
    });
    keys.collect::<Result<_, serde_json::Error>>()
        .map_err(|error| MountsError::Io(error.into()))
}

/// The directory of the cache in which `job`'s results are.
pub(super) fn cache_slug(job: &Job) -> String {
    let task = &job.task;
    slug(&task.repository.name, &task.repository.rev, &task.path)
}

/// Reads a cache entry more strictly than JSON from a server, where absent fields are empty ones: believing a damaged
/// entry would lose changes without a word.
fn decode(bytes: &[u8], step: usize) -> Result<StepResult, String> {
    let fields: BTreeMap<String, IgnoredAny> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    for needed in ["diff", "stepIndex"] {
        if !fields.contains_key(needed) {
            return Err(format!("it has no {needed}"));
        }
    }
    let result = StepResult::from_json(bytes).map_err(|error| error.to_string())?;
    if result.step_index != step {
        return Err(format!("it is of another step, {}", result.step_index + 1));
    }
    Diff::parse(&result.diff).map_err(|error| error.to_string())?;
    Ok(result)
}

impl<E: Engine> Runner<E> {
    /// Looks for the latest step of `job` whose result is in the cache.
    ///
    /// # Errors
    /// When a mounted path is missing or unreadable: without it there is no key.
    pub fn look_up(&self, index: usize, job: &Job) -> Result<Option<Resume>, MountsError> {
        let Some(cache) = &self.cache else {
            return Ok(None);
        };
        let slug = cache_slug(job);
        for (step, key) in keys(job, self.plugins.fingerprint())?
            .iter()
            .enumerate()
            .rev()
        {
            match cache.get(&slug, key, |bytes| decode(bytes, step)) {
                Lookup::Hit(result) => {
                    return Ok(Some(Resume {
                        result: Arc::new(result),
                    }));
                }
                Lookup::Miss => {}
                Lookup::Corrupt { path, reason } => {
                    let what = Reported::CacheEntryDropped {
                        path: &path,
                        reason: &reason,
                    };
                    self.report.report(index, what);
                }
            }
        }
        Ok(None)
    }
}
