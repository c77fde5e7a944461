//! What is already known of a task's result.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_core::cache_key::{cache_key, with_plugins};
use capstan_core::diff::{Diff, Encoding};
use capstan_core::result::StepResult;
use capstan_core::slug::slug;
use capstan_core::task::Task;
use capstan_core::wasm_step::is_component;
use serde::de::IgnoredAny;

use super::mounts::{MountsError, metadata};
use super::report::Reported;
use super::{Job, Runner, render};
use crate::cache::{Lookup, StepCache};
use crate::fault::Fault;
use crate::sandbox::{Engine, Image};

/// A known result to go on from: the steps up to its `step_index` need not run.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The result.
    pub result: Arc<StepResult>,
}

/// The cache keys of a job's steps.
#[derive(Debug, Default)]
pub(super) struct Keys {
    keys: Vec<String>,
    /// The digests that are part of them, by step.
    components: BTreeMap<usize, String>,
}

impl Keys {
    /// The key of a step; `None` if it is not to be kept.
    pub(super) fn get(&self, step: usize) -> Option<&String> {
        self.keys.get(step)
    }

    /// Notes which image a step runs in. What comes of a component that its key does not name is not kept, nor is what
    /// is built on it.
    pub(super) fn check(&mut self, step: usize, image: &Image) {
        if is_component(&image.name) && self.components.get(&step) != Some(&image.id) {
            self.keys.truncate(step);
        }
    }
}

/// The cache keys of the steps of `job`, up to the first that runs in a component of which nothing is known yet. What plugins have a
/// hand in has other keys, by their `fingerprint`.
pub(super) async fn keys<E: Engine>(
    engine: &E,
    job: &Job,
    fingerprint: Option<&str>,
) -> Result<Keys, MountsError> {
    let (components, known) = components(engine, &job.task).await;
    keys_with(components, known, job, fingerprint)
}

/// Those of the first `known` steps, of which some run in `components`.
fn keys_with(
    components: BTreeMap<usize, String>,
    known: usize,
    job: &Job,
    fingerprint: Option<&str>,
) -> Result<Keys, MountsError> {
    let task = &job.task;
    let environments: Vec<BTreeMap<String, String>> = task
        .steps
        .iter()
        .map(|step| render::resolve(step, &job.outer_environment))
        .collect();
    let mounts = metadata(&job.mount_directory, &task.steps)?;
    let keys = (0..known).map(|step| {
        let key = cache_key(task, step, &environments, &mounts, &components)?;
        Ok(match fingerprint {
            Some(fingerprint) => with_plugins(&key, step, fingerprint),
            None => key,
        })
    });
    let keys = keys.collect::<Result<_, serde_json::Error>>();
    Ok(Keys {
        keys: keys.map_err(|error| MountsError::Io(error.into()))?,
        components,
    })
}

/// The names of what steps run in, by step, as far as they are certain before any ran, and how many steps there are before one whose component
/// has a name that is not.
pub fn certain_containers(task: &Task) -> (BTreeMap<usize, String>, usize) {
    let context = render::context(task, None);
    let mut names = BTreeMap::new();
    for (index, step) in task.steps.iter().enumerate() {
        if render::is_skipped_early(step, &context) {
            continue;
        }
        match render::early_container(step, index + 1, &context) {
            Some(name) => drop(names.insert(index, name)),
            None if is_component(&step.container) => return (names, index),
            // Should it turn out to be one, its results are not kept.
            None => {}
        }
    }
    (names, task.steps.len())
}

/// The digests of the components of steps, and how many steps there are before one whose component cannot be told.
async fn components<E: Engine>(engine: &E, task: &Task) -> (BTreeMap<usize, String>, usize) {
    let (names, known) = certain_containers(task);
    let mut digests = BTreeMap::new();
    for (index, name) in names {
        match engine.digest(&name).await {
            Ok(Some(digest)) => drop(digests.insert(index, digest)),
            Ok(None) => {}
            // The step, if it is to run, says why.
            Err(_) => return (digests, index),
        }
    }
    (digests, known)
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

/// Keeps a result as [`decode`] reads it. Writing waits for the disk.
///
/// # Errors
/// As [`StepCache::put`].
pub(super) fn keep(
    cache: &StepCache,
    slug: &str,
    key: &str,
    result: &StepResult,
) -> Result<(), Fault> {
    cache.put(slug, key, result.to_json(Encoding::Base64).as_bytes())
}

/// What a cache has of the results of one job's steps, and is given of them.
#[derive(Debug)]
pub struct KnownResults {
    cache: StepCache,
    slug: String,
    keys: Keys,
}

impl KnownResults {
    /// For a job whose steps run at another place. What that has a hand in has other keys, by the name of the `place`; and what comes of components has
    /// none, as it is that place that knows them.
    ///
    /// # Errors
    /// When a mounted path is missing or unreadable: without it there is no key.
    pub fn elsewhere(cache: StepCache, job: &Job, place: &str) -> Result<Self, MountsError> {
        let (names, certain) = certain_containers(&job.task);
        let component = names.iter().find(|(_, name)| is_component(name));
        let known = component.map_or(certain, |(step, _)| *step);
        Ok(Self {
            cache,
            slug: cache_slug(job),
            keys: keys_with(BTreeMap::new(), known, job, Some(place))?,
        })
    }

    /// The latest result there is. What is none has been removed, and is told.
    pub fn latest(&self, mut dropped: impl FnMut(Reported<'_>)) -> Option<Resume> {
        for (step, key) in self.keys.keys.iter().enumerate().rev() {
            match self.cache.get(&self.slug, key, |bytes| decode(bytes, step)) {
                Lookup::Hit(result) => {
                    return Some(Resume {
                        result: Arc::new(result),
                    });
                }
                Lookup::Miss => {}
                Lookup::Corrupt { path, reason } => dropped(Reported::CacheEntryDropped {
                    path: &path,
                    reason: &reason,
                }),
            }
        }
        None
    }

    /// Keeps a result. Writing waits for the disk.
    ///
    /// # Errors
    /// As [`StepCache::put`].
    pub fn keep(&self, result: &StepResult) -> Result<(), Fault> {
        match self.keys.get(result.step_index) {
            Some(key) => keep(&self.cache, &self.slug, key, result),
            None => Ok(()),
        }
    }
}

impl<E: Engine> Runner<E> {
    /// The key under which the result of `step` of `job` may be kept; `None` if it is not to be kept.
    ///
    /// # Errors
    /// When a mounted path is missing or unreadable: without it there is no key.
    pub async fn cache_key(&self, job: &Job, step: usize) -> Result<Option<String>, MountsError> {
        let fingerprint = self.plugins.fingerprint();
        let keys = keys(&*self.engine, job, fingerprint).await?;
        Ok(keys.get(step).cloned())
    }

    /// Looks for the latest step of `job` whose result is in the cache.
    ///
    /// # Errors
    /// When a mounted path is missing or unreadable: without it there is no key.
    pub async fn look_up(&self, index: usize, job: &Job) -> Result<Option<Resume>, MountsError> {
        let Some(cache) = &self.cache else {
            return Ok(None);
        };
        let fingerprint = self.plugins.fingerprint();
        let known = KnownResults {
            cache: cache.clone(),
            slug: cache_slug(job),
            keys: keys(&*self.engine, job, fingerprint).await?,
        };
        Ok(known.latest(|dropped| self.report.report(index, dropped)))
    }
}
