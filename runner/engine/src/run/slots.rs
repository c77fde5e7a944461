//! What containers a pod needs for a job, as it has to have them before anything ran.

use std::collections::BTreeMap;
use std::path::Path;

use capstan_core::wasm_step::is_component;

use super::containers::{Order, Site};
use super::shape::Shape;
use super::{Job, Settings, render};
use crate::pod::Slot;
use crate::sandbox::Files;

/// The image of a step is not known before other steps ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the image of step {number}, {container:?}, depends on what steps do, but a pod gets its containers before the first of them runs"
)]
pub struct UnknownImage {
    /// The step, from 1.
    pub number: usize,
    /// What the spec says.
    pub container: String,
}

/// A container for each step of a job that may run in one, whose files are those of the directory `workspace`. Components need none.
///
/// # Errors
/// If an image is not known yet.
pub fn slots(job: &Job, settings: &Settings, workspace: &Path) -> Result<Vec<Slot>, UnknownImage> {
    let task = &job.task;
    let context = render::context(task, None);
    let mut slots = Vec::new();
    for (index, step) in task.steps.iter().enumerate() {
        let runs = render::runs_early(step, &context) != Some(false);
        if job.skip.contains(&index) || !runs {
            continue;
        }
        let number = index + 1;
        let image = render::early_container(step, number, &context);
        let image = image.ok_or_else(|| UnknownImage {
            number,
            container: step.container.clone(),
        })?;
        if is_component(&image) {
            continue;
        }
        let shape = Shape::of(job, settings, index, image.clone(), BTreeMap::new());
        let files = Files::Directory(workspace.to_owned());
        let site = Site::of(task, index, files, Vec::new());
        let order = Order::of(settings, &shape, BTreeMap::new(), site);
        slots.push(Slot::of(&order.in_pod()));
    }
    Ok(slots)
}
