//! Native batch jobs: what the helper image would do before and after each step is done here, and the step runs in the engine's step
//! loop, in one container.

mod narrator;
mod plan;

use std::sync::Arc;

use capstan_core::event::Event;
use capstan_core::redact::Secrets;
use capstan_core::result::StepResult;
use capstan_core::spec::check_mounts;
use capstan_engine::pod::Slot;
use capstan_engine::run::{Base, Job as Task, Outcome, Report, Resume, Runner};
use capstan_engine::sandbox::{Engine, User};
use capstan_protocol::Job;

use self::narrator::Narrator;
pub(super) use self::plan::Plan;
use super::again;
use super::check::Checked;
use super::command;
use super::setup::{Repository, Setup, repository_place};
use super::slots::of_task;
use super::{Ending, Engines, JobContext, Place, Running, Settings};

/// Directory of the files that users mount into steps.
pub(super) const WORKSPACE_FILES: &str = "workspace-files";

/// Runs the job.
pub(super) async fn run<S: Engines>(running: &Running<'_, S>, plan: Plan) -> Ending {
    let Running {
        job,
        checked,
        context,
        place,
        log,
        ..
    } = *running;
    let written = match running.write_batch_files().await {
        Ok(written) => written,
        Err(ending) => return ending,
    };
    let workspace = place.seen_by_engine(context.settings.host_mount_path.as_deref());
    let show = |index: usize| {
        let surroundings = &checked.docker_steps[index];
        let shown = command::docker(job, index, surroundings, &context.settings, &workspace);
        (command::docker_key(&job.docker_steps[index], index), shown)
    };
    let setup = Setup::new(log, written, plan.apply.map(show));
    let mut task = match task(job, &plan, context, place, &setup) {
        Ok(task) => task,
        Err(error) => {
            setup.done();
            return Ending::Errored(error);
        }
    };
    let commands = plan.triples.iter().map(|(step, triple)| {
        let three = [show(triple.pre), show(triple.run), show(triple.post)];
        (*step, three)
    });
    let narrator = Arc::new(Narrator::new(
        log,
        &setup,
        commands.collect(),
        Arc::clone(&task.outer_environment),
        job.id(),
    ));
    running.pulls.tell(&narrator);
    let in_containers = format!("{}/{}", command::DATA, checked.repository_directory);
    let settings = context.settings.of_steps(User::Image, &in_containers);
    let report = Arc::clone(&narrator) as Arc<dyn Report>;
    let ran = again::run(running, &mut task, &settings, &report, narrator.as_ref()).await;
    let (runner, outcome) = match ran {
        Ok(ran) => ran,
        Err(ending) => return ending,
    };
    if let Some(Outcome::Done { result, .. }) = &outcome
        && !narrator.has_told_a_result()
    {
        let result = nothing_to_do(&runner, &task, result.as_deref(), job.id()).await;
        narrator.tell_result(result);
    }
    setup.done();
    narrator.ending(outcome)
}

/// The result of a job in which nothing had to run: the known one, or an empty one. A server wants a result, or it takes the job for a failure.
pub(super) async fn nothing_to_do<E: Engine>(
    runner: &Runner<E>,
    task: &Task,
    known: Option<&StepResult>,
    job: i64,
) -> Event {
    let last = task.task.steps.len().saturating_sub(1);
    let result = known.cloned().unwrap_or_else(|| StepResult {
        step_index: last,
        ..StepResult::default()
    });
    let key = runner.cache_key(task, result.step_index).await;
    let key = key.unwrap_or_else(|error| {
        tracing::debug!(%error, "a result without a key");
        None
    });
    Event::CacheAfterStepResult {
        key: key.unwrap_or_else(|| not_kept(job, result.step_index)),
        value: Box::new(result),
    }
}

/// A key that nothing ever asks for, for a result that is not to be kept.
fn not_kept(job: i64, step: usize) -> String {
    format!("not-kept-{job}-step-{step}")
}

/// Where the files of a batch job are.
pub(super) fn base<S>(context: &JobContext<S>, repository: Repository) -> Base {
    let origin = Arc::new(repository);
    match context.settings.volume {
        Some(_) => Base::Into {
            origin,
            directory: context.settings.repository(),
        },
        None => Base::Later(origin),
    }
}

/// The containers that a pod needs for it.
pub(super) fn slots(
    plan: Plan,
    checked: &Checked,
    settings: &Settings,
) -> Result<Vec<Slot>, String> {
    let place = format!("{}/{}", command::DATA, checked.repository_directory);
    let of_steps = settings.of_steps(User::Image, &place);
    let files = settings.data().join(WORKSPACE_FILES);
    let skip = plan.skip();
    of_task(
        plan.input.task,
        skip,
        files,
        &of_steps,
        &settings.repository(),
    )
}

/// The job as the engine runs it.
fn task<S: Engines>(
    job: &Job,
    plan: &Plan,
    context: &JobContext<S>,
    place: &Place,
    setup: &Arc<Setup>,
) -> Result<Task, String> {
    let task = plan.input.task.clone();
    let files = place.data().join(WORKSPACE_FILES);
    let mounts = check_mounts(&task.steps, &files, &|path| fs_err::canonicalize(path))
        .map_err(|error| error.to_string())?;
    let branch = task.repository.short_branch().to_owned();
    let shown = repository_place(job, place);
    let repository =
        Repository::new(job, context, setup, &shown, &branch).map_err(|fault| fault.message)?;
    Ok(Task {
        task: Arc::new(task),
        base: base(context, repository),
        outer_environment: Arc::new(plan.environment.clone()),
        mount_directory: files,
        mounts: mounts.into(),
        // The log takes them out, and puts in their place what the server says.
        secrets: Secrets::default(),
        resume: plan.known.clone().map(|result| Resume {
            result: Arc::new(result),
        }),
        skip: plan.skip(),
    })
}
