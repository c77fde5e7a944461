//! From a step to what its container is made of.

use std::collections::BTreeMap;

use capstan_core::spec::Condition;
use capstan_core::template::StepContext;

use super::task::Progress;
use super::{Runner, render};
use crate::fault::Fault;
use crate::sandbox::{BindMount, Engine, Image, Preparation};

/// Makes ready as many of the steps after `current` as the settings allow, as far as it is already certain what
/// their containers are made of.
///
/// A step whose container depends on what earlier steps do ends the look ahead: what comes
/// after it is not due soon. A step that `if` may still turn off is prepared, and discarded if so.
pub(super) async fn look_ahead<E: Engine>(progress: &mut Progress<'_, E>, current: usize) {
    let wanted = progress.runner.settings.prepare_ahead;
    if wanted == 0 {
        return;
    }
    let context = render::context(&progress.job.task, None);
    hold_network(progress, current, &context).await;
    for step in current + 1..progress.job.task.steps.len() {
        if progress.ahead.count_after(current) >= wanted {
            return;
        }
        if progress.ahead.has(step) {
            continue;
        }
        match early(progress, step, &context).await {
            Early::Ready(preparation) => progress.ahead.start(step, *preparation),
            Early::Skipped => {}
            Early::Unknown => return,
        }
    }
}

/// Fewest steps, the current one counted, for which a network of their own pays.
const SHARING_PAYS: usize = 3;

/// Has the container of the last step that is certain to be due hold the network for those before it.
async fn hold_network<E: Engine>(
    progress: &mut Progress<'_, E>,
    current: usize,
    context: &StepContext,
) {
    if progress.ahead.has_holder() || progress.runner.settings.network.is_some() {
        return;
    }
    let first = current + SHARING_PAYS - 1;
    for step in (first..progress.job.task.steps.len()).rev() {
        if progress.ahead.has(step) {
            return;
        }
        if let Early::Ready(preparation) = early(progress, step, context).await {
            progress.ahead.start_holder(step, *preparation);
            return;
        }
    }
}

enum Early {
    Ready(Box<Preparation>),
    Skipped,
    Unknown,
}

async fn early<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Early {
    let step = &progress.job.task.steps[index];
    match &step.if_ {
        Condition::Bool(false) => return Early::Skipped,
        Condition::Text(text) if !text.is_empty() => {
            match render::early_text("step-condition", text, context) {
                Some(rendered) if !capstan_core::template::is_true(&rendered) => {
                    return Early::Skipped;
                }
                _ => {}
            }
        }
        _ => {}
    }
    let Some(name) = render::early_text("step-container", &step.container, context) else {
        return Early::Unknown;
    };
    let Some(env) = render::early_environment(step, &progress.job.outer_environment, context)
    else {
        return Early::Unknown;
    };
    // Errors are told when the step is due: it may never be.
    let Ok(image) = image(progress.runner, &name).await else {
        return Early::Unknown;
    };
    match preparation(progress, index, image, env) {
        Ok(preparation) => Early::Ready(Box::new(preparation)),
        Err(_) => Early::Unknown,
    }
}

/// The image of this name, pulled if need be.
pub(super) async fn image<E: Engine>(runner: &Runner<E>, name: &str) -> Result<Image, Fault> {
    runner
        .engine
        .image(name, runner.settings.platform.as_deref())
        .await
}

/// What the container of a step is made of.
pub(super) fn preparation<E: Engine>(
    progress: &Progress<'_, E>,
    index: usize,
    image: Image,
    env: BTreeMap<String, String>,
) -> Result<Preparation, Fault> {
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
    Ok(Preparation {
        purpose: format!("{}{place} step {}", task.repository.name, index + 1),
        image,
        user: settings.user,
        workspace: progress.workspace()?.root().to_path_buf(),
        directory: task.path.clone(),
        env,
        files: step.files.keys().cloned().collect(),
        mounts,
        limits: settings.limits.clone(),
        network: settings.network.clone(),
        platform: settings.platform.clone(),
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
