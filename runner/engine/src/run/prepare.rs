//! From a step to what its container is made of.

use std::collections::BTreeMap;

use capstan_core::template::StepContext;

use super::containers::{Order, Site};
use super::render;
use super::shape::Shape;
use super::task::Progress;
use crate::fault::Fault;
use crate::sandbox::Engine;

/// Begins to get the images of the steps from `index` on that are certain to run, and the network that their containers share. It needs no
/// workspace, so it is called before there is one. Where there are policies, it is for them to agree first.
pub(super) fn begin<E: Engine>(progress: &Progress<'_, E>, index: usize, context: &StepContext) {
    if progress.hooks.have_policies() {
        return;
    }
    let steps = &progress.job.task.steps;
    let first = render::container(&steps[index], index + 1, context).ok();
    let later = render::context(&progress.job.task, None);
    let after = (index + 1..steps.len()).filter_map(|step| match early(progress, step, &later) {
        Early::Known { image, .. } => Some(image),
        Early::LeftOut | Early::Unknown => None,
    });
    let mut images: Vec<String> = Vec::new();
    for image in first.into_iter().chain(after) {
        if !images.contains(&image) {
            images.push(image);
        }
    }
    progress.containers.begin(images, &progress.runner.settings);
}

/// Makes ready the step `index`, which is due, and as many of those after it as pays.
///
/// It is called while the workspace is still being laid out. What cannot be rendered is told when the step is prepared. Where there
/// are policies, nothing is made and no image is fetched before they have agreed to the step.
pub(super) fn first<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<(), Fault> {
    if progress.hooks.have_policies() {
        return Ok(());
    }
    let step = &progress.job.task.steps[index];
    let image = render::container(step, index + 1, context);
    let place = &progress.runner.settings.place;
    let outer = &progress.job.outer_environment;
    let env = render::container_environment(step, outer, context, place);
    if let (Ok(image), Ok(env)) = (image, env) {
        start_early(progress, index, image, env)?;
        look_ahead(progress, index)?;
    }
    Ok(())
}

/// Makes ready as many of the steps after `current` as pays, as far as it is already certain what their containers are made of, and that
/// they are needed: a step that `if` may still turn off is left out.
///
/// A step whose container depends on what earlier steps do ends the look ahead: what comes
/// after it is not due soon.
pub(super) fn look_ahead<E: Engine>(
    progress: &mut Progress<'_, E>,
    current: usize,
) -> Result<(), Fault> {
    let ahead = progress.containers.ahead.now();
    if ahead == 0 || progress.hooks.have_policies() {
        return Ok(());
    }
    let context = render::context(&progress.job.task, None);
    for step in current + 1..progress.job.task.steps.len() {
        if progress.containers.count_after(current) >= ahead {
            break;
        }
        if progress.containers.has(step) {
            continue;
        }
        match early(progress, step, &context) {
            Early::Known { image, env } => start_early(progress, step, image, env)?,
            Early::LeftOut => {}
            Early::Unknown => break,
        }
    }
    Ok(())
}

/// What is certain of a step's container before the steps before it ran.
enum Early {
    Known {
        image: String,
        env: BTreeMap<String, String>,
    },
    /// It does not run, or perhaps not.
    LeftOut,
    Unknown,
}

fn early<E: Engine>(progress: &Progress<'_, E>, index: usize, context: &StepContext) -> Early {
    let step = &progress.job.task.steps[index];
    let runs = render::runs_early(step, context) == Some(true);
    if progress.job.skip.contains(&index) || !runs {
        return Early::LeftOut;
    }
    let image = render::early_container(step, index + 1, context);
    let place = &progress.runner.settings.place;
    let outer = &progress.job.outer_environment;
    let env = render::early_environment(step, outer, context, place);
    match (image, env) {
        (Some(image), Some(env)) => Early::Known { image, env },
        _ => Early::Unknown,
    }
}

/// Starts to make the container of a step before the step is due.
fn start_early<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    image: String,
    env: BTreeMap<String, String>,
) -> Result<(), Fault> {
    let shape = early_shape(progress, index, image);
    start(progress, index, &shape, env)
}

/// The environment is handed over apart, as far as it is known.
fn early_shape<E: Engine>(progress: &Progress<'_, E>, index: usize, image: String) -> Shape {
    let settings = &progress.runner.settings;
    Shape::of(progress.job, settings, index, image, BTreeMap::new())
}

/// Starts to make the container of a step, with the environment `env`.
pub(super) fn start<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    shape: &Shape,
    env: BTreeMap<String, String>,
) -> Result<(), Fault> {
    let order = order(progress, index, shape, env)?;
    progress.containers.start(index, order);
    Ok(())
}

/// What a step's container is made from.
fn order<E: Engine>(
    progress: &Progress<'_, E>,
    index: usize,
    shape: &Shape,
    env: BTreeMap<String, String>,
) -> Result<Order, Fault> {
    let workspace = progress.workspace()?;
    let mounts = workspace.mounts().to_vec();
    let site = Site::of(&progress.job.task, index, workspace.files(), mounts);
    Ok(Order::of(&progress.runner.settings, shape, env, site))
}
