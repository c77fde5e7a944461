//! From a step to what its container is made of.

use std::collections::BTreeMap;

use capstan_core::template::StepContext;
use capstan_core::wasm_step::is_component;

use super::containers::{Order, Site};
use super::render;
use super::shape::Shape;
use super::task::Progress;
use crate::fault::Fault;
use crate::sandbox::Engine;

/// Makes ready the step `index`, which is due, and as many of those after it as the settings allow.
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

/// Makes ready as many of the steps after `current` as the settings allow, as far as it is already certain what
/// their containers are made of.
///
/// A step whose container depends on what earlier steps do ends the look ahead: what comes
/// after it is not due soon. A step that `if` may still turn off is prepared, and discarded if so.
pub(super) fn look_ahead<E: Engine>(
    progress: &mut Progress<'_, E>,
    current: usize,
) -> Result<(), Fault> {
    let ahead = progress.runner.settings.prepare_ahead;
    if ahead == 0 || progress.hooks.have_policies() {
        return Ok(());
    }
    let context = render::context(&progress.job.task, None);
    hold_network(progress, current, &context)?;
    for step in current + 1..progress.job.task.steps.len() {
        if progress.containers.count_after(current) >= ahead {
            break;
        }
        if progress.containers.has(step) {
            continue;
        }
        match early(progress, step, &context) {
            Early::Known { image, env } => start_early(progress, step, image, env)?,
            Early::Skipped => {}
            Early::Unknown => break,
        }
    }
    Ok(())
}

/// Fewest steps, the current one counted, for which a network of their own pays.
const SHARING_PAYS: usize = 3;

/// Has the container of the last step that is certain to be due hold the network for those before it.
fn hold_network<E: Engine>(
    progress: &mut Progress<'_, E>,
    current: usize,
    context: &StepContext,
) -> Result<(), Fault> {
    if progress.containers.has_holder() || progress.runner.settings.network.is_some() {
        return Ok(());
    }
    let first = current + SHARING_PAYS - 1;
    for step in (first..progress.job.task.steps.len()).rev() {
        if progress.containers.has(step) {
            return Ok(());
        }
        if let Early::Known { image, env } = early(progress, step, context)
            && !is_component(&image)
        {
            let shape = early_shape(progress, step, image);
            let order = order(progress, step, &shape, env)?;
            progress.containers.start_holder(step, order);
            return Ok(());
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
    Skipped,
    Unknown,
}

fn early<E: Engine>(progress: &Progress<'_, E>, index: usize, context: &StepContext) -> Early {
    let step = &progress.job.task.steps[index];
    if progress.job.skip.contains(&index) || render::is_skipped_early(step, context) {
        return Early::Skipped;
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
    let task = &progress.job.task;
    let step = &task.steps[index];
    let workspace = progress.workspace()?;
    let place = if task.path.is_empty() {
        String::new()
    } else {
        format!(":{}", task.path)
    };
    let site = Site {
        purpose: format!("{}{place} step {}", task.repository.name, index + 1),
        workspace: workspace.files(),
        directory: task.path.clone(),
        files: step.files.keys().cloned().collect(),
        mounts: workspace.mounts().to_vec(),
    };
    Ok(Order::of(&progress.runner.settings, shape, env, site))
}
