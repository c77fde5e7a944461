//! From a step to what its container is made of.

use std::collections::BTreeMap;

use capstan_core::template::StepContext;
use capstan_core::wasm_step::is_component;

use super::containers::Order;
use super::render;
use super::task::Progress;
use crate::fault::Fault;
use crate::sandbox::{BindMount, Engine, Preparation};

/// Makes ready the step `index`, which is due, and as many of those after it as the settings allow.
///
/// It is called while the workspace is still being laid out. What cannot be rendered is told when the step is prepared.
pub(super) fn first<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<(), Fault> {
    let step = &progress.job.task.steps[index];
    let image = render::container(step, index + 1, context);
    let env = render::container_environment(step, &progress.job.outer_environment, context);
    if let (Ok(image), Ok(env)) = (image, env) {
        start(progress, index, image, env)?;
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
    if ahead == 0 {
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
            Early::Known { image, env } => start(progress, step, image, env)?,
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
            let order = order(progress, step, image, env)?;
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
    if render::is_skipped_early(step, context) {
        return Early::Skipped;
    }
    let image = render::early_container(step, index + 1, context);
    let env = render::early_environment(step, &progress.job.outer_environment, context);
    match (image, env) {
        (Some(image), Some(env)) => Early::Known { image, env },
        _ => Early::Unknown,
    }
}

/// Starts to make the container of a step.
pub(super) fn start<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    image: String,
    env: BTreeMap<String, String>,
) -> Result<(), Fault> {
    let order = order(progress, index, image, env)?;
    progress.containers.start(index, order);
    Ok(())
}

/// What a step's container is made from.
fn order<E: Engine>(
    progress: &Progress<'_, E>,
    index: usize,
    image: String,
    env: BTreeMap<String, String>,
) -> Result<Order, Fault> {
    let task = &progress.job.task;
    let step = &task.steps[index];
    let settings = &progress.runner.settings;
    let mut mounts = mounts(progress, index);
    mounts.extend_from_slice(progress.workspace()?.mounts());
    mounts.extend(settings.mounts.iter().cloned());
    let place = if task.path.is_empty() {
        String::new()
    } else {
        format!(":{}", task.path)
    };
    let purpose = format!("{}{place} step {}", task.repository.name, index + 1);
    let workspace = progress.workspace()?.root().to_path_buf();
    let directory = task.path.clone();
    let files = step.files.keys().cloned().collect();
    let (user, limits) = (settings.user, settings.limits.clone());
    let (network, platform) = (settings.network.clone(), settings.platform.clone());
    Ok(Order {
        image,
        platform: platform.clone(),
        env,
        preparation: Box::new(move |image, env| Preparation {
            purpose,
            image,
            user,
            workspace,
            directory,
            env,
            files,
            mounts,
            limits,
            network,
            platform,
        }),
    })
}

fn mounts<E: Engine>(progress: &Progress<'_, E>, index: usize) -> Vec<BindMount> {
    let step = &progress.job.task.steps[index];
    let resolved = progress
        .job
        .mounts
        .iter()
        .filter(|mount| mount.step == index);
    resolved
        .filter_map(|resolved| {
            let mount = step.mount.get(resolved.mount)?;
            let (source, target) = (resolved.path.clone(), mount.mountpoint.clone());
            Some(BindMount {
                source,
                target,
                read_only: true,
            })
        })
        .collect()
}
