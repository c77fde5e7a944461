//! What is known of a job before it runs.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use capstan_core::cache_key::cache_key;
use capstan_core::environment::resolve_environment;
use capstan_core::mounts::MountedFile;
use capstan_core::result::StepResult;
use capstan_core::task::Task;
use capstan_core::template::{StaticCondition, StaticVars, condition};
use capstan_core::wasm_step::{Place, Reference};
use capstan_engine::run::certain_containers;

use super::Ingredients;
use crate::store::{StoreError, step_result};

/// The result of the last step that is known.
pub(super) struct Known {
    /// The name it is kept under.
    pub(super) key: String,
    pub(super) result: StepResult,
}

impl Known {
    /// How many steps need not run.
    pub(super) fn steps(&self) -> i64 {
        i64::try_from(self.result.step_index + 1).unwrap_or(i64::MAX)
    }

    /// Whether no step after it may run.
    pub(super) fn is_last(&self, task: &Task) -> bool {
        (self.result.step_index + 1..task.steps.len()).all(|step| is_skipped(task, step))
    }
}

/// Whether it is certain, before anything ran, that a step will not run.
pub(super) fn is_skipped(task: &Task, step: usize) -> bool {
    let vars = StaticVars {
        repository_name: &task.repository.name,
        batch_change: &task.batch_change,
    };
    task.steps
        .get(step)
        .is_some_and(|step| matches!(condition(&step.if_, &vars), Ok(StaticCondition::Skips)))
}

/// Looks for the latest step whose result is known.
pub(super) fn look_up(
    store: &rusqlite::Connection,
    ingredients: &Ingredients,
) -> Result<Option<Known>, StoreError> {
    let task = &ingredients.task;
    if !ingredients.execution.draft.use_cache {
        return Ok(None);
    }
    let outer = |name: &str| ingredients.secrets.get(name).cloned();
    let environments: Vec<BTreeMap<String, String>> = task
        .steps
        .iter()
        .map(|step| resolve_environment(&step.env, &outer))
        .collect();
    let mounts = mounted(ingredients);
    let (components, steps) = components(ingredients);
    for step in (0..steps).rev() {
        let key = cache_key(task, step, &environments, &mounts, &components);
        let key = key.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let Some(value) = step_result(store, &key)? else {
            continue;
        };
        match StepResult::from_json(&value) {
            Ok(result) if result.step_index == step => return Ok(Some(Known { key, result })),
            // Executors are believed when they say what the result of a step is, but not when that makes no sense.
            _ => {
                tracing::warn!(%key, "a step result that was kept is passed over: it is of another step, or unreadable");
            }
        }
    }
    Ok(None)
}

/// The digests of the components of steps, and how many steps there are before one whose component the hub has not seen: only executors look into
/// registries.
fn components(ingredients: &Ingredients) -> (BTreeMap<usize, String>, usize) {
    let (names, steps) = certain_containers(&ingredients.task);
    let mut digests = BTreeMap::new();
    for (step, name) in names {
        let Some(reference) = Reference::parse(&name) else {
            continue;
        };
        let digest = reference.ok().and_then(|reference| match reference.place {
            Place::File(path) => digest_of(ingredients, &path),
            Place::Address(_) => reference.digest,
            Place::Registry(_) => None,
        });
        match digest {
            Some(digest) => drop(digests.insert(step, digest)),
            None => return (digests, step),
        }
    }
    (digests, steps)
}

/// The digest of a file that was sent along.
fn digest_of(ingredients: &Ingredients, path: &Path) -> Option<String> {
    let wanted: std::path::PathBuf = path
        .components()
        .filter(|component| *component != Component::CurDir)
        .collect();
    let file = ingredients
        .files
        .iter()
        .find(|file| Path::new(&file.path) == wanted)?;
    Some(file.digest.clone())
}

/// The mounted files of all steps, as a walk through their directory would find them.
fn mounted(ingredients: &Ingredients) -> Vec<MountedFile> {
    let mut files: Vec<_> = ingredients.files.iter().collect();
    files.sort_by(|a, b| Path::new(&a.path).cmp(Path::new(&b.path)));
    let mounts = ingredients.task.steps.iter().flat_map(|step| &step.mount);
    let below = mounts.flat_map(|mount| {
        let root: std::path::PathBuf = Path::new(&mount.path).components().collect();
        let root = root.strip_prefix(".").unwrap_or(&root).to_path_buf();
        let files = files.iter();
        files.filter(move |file| Path::new(&file.path).starts_with(&root))
    });
    below
        .map(|file| MountedFile {
            path: file.path.clone(),
            size: file.size,
            modified: file.modified_at,
        })
        .collect()
}
