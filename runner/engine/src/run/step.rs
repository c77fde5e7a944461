//! One step: its container, its script, its diff, its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use capstan_core::changed_files::ChangedFiles;
use capstan_core::failure::{Cause as Ending, StepFailure};
use capstan_core::redact::{MASK, Secrets};
use capstan_core::result::StepResult;
use capstan_core::template::{StepContext, StepVars};
use capstan_core::wasm_step::is_component;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::containers::{Containers, NotMade};
use super::failure::{Cause, Failure};
use super::hooks::Hooks;
use super::outlet::{LogSink, Outlet};
use super::report::Reported;
use super::shape::Shape;
use super::step_log::StepLog;
use super::task::{Known, Progress, Stage, changed_files};
use super::{Job, Runner, prepare, render};
use crate::fault::Fault;
use crate::sandbox::{Chunk, Engine, Exit, Gated, Inputs, SCRIPT};

/// Chunks of output on the way from the engine; few, so that a slow reader slows the step down.
const CHUNKS: usize = 16;

/// Most lines of each stream that are shown with a failed step.
const SHOWN: usize = 500;

/// What a step's script is run with, all rendered.
pub(super) struct Rendered {
    pub(super) shape: Shape,
    pub(super) script: String,
    pub(super) files: BTreeMap<String, String>,
    /// The variables that the container does not have yet.
    pub(super) late: BTreeMap<String, String>,
}

/// Those who have to do with a script that runs. Its container is the current one.
pub(super) struct Around<'a, E: Engine> {
    pub(super) runner: &'a Runner<E>,
    pub(super) job: &'a Job,
    /// Of the job, for the report.
    pub(super) index: usize,
    pub(super) containers: &'a mut Containers<E>,
    pub(super) hooks: &'a Hooks,
    pub(super) log: Option<&'a mut StepLog>,
}

/// What a script left behind.
struct Remains {
    stdout: String,
    stderr: String,
    /// As git printed it.
    diff: Vec<u8>,
    /// What plugins made of it, if that is another.
    processed: Option<Vec<u8>>,
    /// Of what plugins made of it.
    changed_files: ChangedFiles,
}

/// Runs the step `index`, whose condition holds, in the workspace, and returns its result.
pub(super) async fn run<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: StepContext,
) -> Result<Known, Box<Failure>> {
    let span = span(index, &progress.job.task.steps[index].container);
    let followed = follow(progress, index, context).instrument(span.clone());
    let ran = followed.await;
    progress.log_plugins();
    if ran.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    match ran {
        Ok(known) => Ok(known),
        // An error in an output is the task's failure and not the step's (facts/batch-spec.md 3.5).
        Err(Stopped::AfterStep(failure)) => Err(failure),
        Err(Stopped::InStep(failure)) => {
            let failure = failure.redacted(&progress.job.secrets);
            progress.tell(Reported::StepFailed {
                step: index,
                failure: &failure,
            });
            Err(Box::new(failure))
        }
    }
}

/// What a step does, for traces.
pub(super) fn span(index: usize, image: &str) -> tracing::Span {
    tracing::info_span!(
        "step",
        step.number = index + 1,
        step.image = image,
        step.exit_code = Empty,
        otel.status_code = Empty
    )
}

/// Where a failure belongs.
enum Stopped {
    InStep(Box<Failure>),
    AfterStep(Box<Failure>),
}

async fn follow<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    mut context: StepContext,
) -> Result<Known, Stopped> {
    let remains = execute(progress, index, &context).await;
    let remains = remains.map_err(Stopped::InStep)?;
    context.step.files = remains.changed_files.clone();
    context.step.stdout = remains.stdout;
    context.step.stderr = remains.stderr;
    let StepVars { stdout, stderr, .. } = &context.step;
    let derived = progress
        .hooks
        .derive_outputs(index, stdout, stderr, &mut context.outputs);
    derived.await.map_err(Stopped::InStep)?;
    render::set_outputs(&progress.job.task.steps[index], &mut context).map_err(
        |(message, hint)| {
            Stopped::AfterStep(Box::new(Failure {
                hint,
                ..Failure::template(index, message)
            }))
        },
    )?;
    let kept = Arc::new(StepResult {
        step_index: index,
        diff: remains.diff,
        changed_files: remains.changed_files,
        stdout: context.step.stdout,
        stderr: context.step.stderr,
        outputs: context.outputs,
    });
    let seen = match remains.processed {
        None => Arc::clone(&kept),
        Some(diff) => Arc::new(StepResult {
            diff,
            ..StepResult::clone(&kept)
        }),
    };
    Ok(Known { seen, kept })
}

/// Runs the script in its container and looks at what it did.
async fn execute<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<Remains, Box<Failure>> {
    progress.stage = Stage::Preparing(index);
    progress.tell(Reported::Preparing { step: index });
    let preparing = tracing::info_span!("step.prepare");
    let rendered = prepare(progress, index, context).instrument(preparing);
    let rendered = rendered.await;
    progress.log_plugins();
    let rendered = rendered.inspect_err(|failure| {
        let error = progress.job.secrets.redact(&failure.message);
        progress.tell(Reported::PreparingFailed {
            step: index,
            error: &error,
        });
    })?;
    progress.tell(Reported::Prepared { step: index });
    progress.stage = Stage::Running(index);
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));
    prepare::look_ahead(progress, index).map_err(fault)?;
    let around = Around {
        runner: progress.runner,
        job: progress.job,
        index: progress.index,
        containers: &mut progress.containers,
        hooks: &progress.hooks,
        log: progress.log.as_mut(),
    };
    let begun = Instant::now();
    let ran = run_script(around, index, rendered).await;
    let containers = &mut progress.containers;
    containers.ahead.ran(begun.elapsed(), containers.making);
    let current = progress.containers.current.as_ref();
    let has_left_all = current.is_some_and(Gated::has_left_all);
    let (stdout, stderr) = ran.inspect_err(|_| progress.containers.discard_current())?;

    let diff = match progress.workspace().map_err(fault)?.known_diff() {
        Some(diff) if has_left_all => diff.to_vec(),
        _ => {
            let looking = async {
                progress.after_step().await?;
                let limit = progress.runner.settings.diff_limit;
                progress.workspace_mut()?.diff(limit).await
            };
            let looked = looking.instrument(tracing::info_span!("step.diff")).await;
            looked.map_err(fault)?
        }
    };
    // What it ran is over. Removing it keeps the machine busy, which nobody waits for.
    progress.containers.discard_current();
    let processed = progress.hooks.process_diff(index, &diff).await?;
    let changed_files = changed_files(processed.as_ref().unwrap_or(&diff)).map_err(fault)?;
    Ok(Remains {
        stdout,
        stderr,
        diff,
        processed,
        changed_files,
    })
}

/// Renders what the step needs, has policies look at it, and gets its container to the gate.
async fn prepare<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<Rendered, Box<Failure>> {
    let job = progress.job;
    let step = &job.task.steps[index];
    let template = |error| Box::new(Failure::template(index, error));
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));

    let container = render::container(step, index + 1, context).map_err(template)?;
    let script = render::script(step, context).map_err(template)?;
    let files = render::files(step, context).map_err(template)?;
    let env = render::environment(step, &job.outer_environment, context).map_err(template)?;
    let mut shape = Shape::of(job, &progress.runner.settings, index, container, env);
    progress
        .hooks
        .check_step(job, index, &script, &mut shape)
        .await?;
    let mut late = shape.env.clone();
    let place = &progress.runner.settings.place;
    late.extend(render::visible_git(&shape.env, place));

    // A container that was made ahead fits unless what it was made from turned out otherwise. Policies change steps before
    // anything is made.
    if !progress.containers.fits(index, &shape.image, &late) {
        prepare::start(progress, index, &shape, late.clone()).map_err(fault)?;
    }
    progress.containers.keep_late(index, &mut late);
    let image = progress.containers.take(index).await;
    let image = image.map_err(|error| not_made(index, &shape.image, error))?;
    progress.keys.check(index, &image);
    progress.before_step(&image).await.map_err(fault)?;
    // A component has no rights to take back the files of others.
    if !is_component(&image.name) {
        progress.image = Some(image);
    }
    let path = &progress.job.task.path;
    let workspace = progress.workspace_mut().map_err(fault)?;
    workspace.ensure_directory(path).await.map_err(fault)?;
    Ok(Rendered {
        shape,
        script,
        files,
        late,
    })
}

/// Why there is no container for a step.
pub(super) fn not_made(index: usize, image: &str, error: NotMade) -> Box<Failure> {
    let failed = match &error {
        NotMade::Container(_) => String::new(),
        NotMade::Image(_) if is_component(image) => {
            format!("failed to load component for step {}: {image}: ", index + 1)
        }
        NotMade::Image(_) => format!("failed to pull image for step {}: {image}: ", index + 1),
    };
    let (NotMade::Container(fault) | NotMade::Image(fault)) = error;
    Box::new(Failure::fault(Some(index), &failed, fault))
}

/// Opens the gate and follows the script to its end.
pub(super) async fn run_script<E: Engine>(
    around: Around<'_, E>,
    index: usize,
    rendered: Rendered,
) -> Result<(String, String), Box<Failure>> {
    let Rendered {
        shape,
        script,
        files,
        late,
    } = rendered;
    let Around {
        runner,
        job,
        index: job_index,
        containers,
        hooks,
        log,
    } = around;
    let report = runner.report.as_ref();
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));
    let Some(at_gate) = containers.current.as_mut() else {
        return Err(fault(Fault::workspace("the step's container is gone")));
    };
    let secrets = &job.secrets;
    let shown = (secrets.redact(&script), secrets.redact(&shape.image));
    let started = Reported::StepStarted {
        step: index,
        script: &shown.0,
        env: &masked(&shape, secrets),
    };
    report.report(job_index, started);

    let settings = &runner.settings;
    let mut log = LogSink::new(log);
    log.write(|log| log.begin(index, &shown.0, &shown.1));
    let place = (job_index, index);
    let limit = settings.capture_limit;
    let mut outlet = Outlet::open(place, report, hooks, secrets, log, limit).await?;
    let (sender, mut receiver) = mpsc::channel(CHUNKS);
    let inputs = Inputs {
        script: script.clone(),
        env: late,
        files,
    };
    let follow = async {
        while let Some(Chunk { stream, bytes }) = receiver.recv().await {
            outlet.push(stream, bytes).await?;
        }
        outlet.end().await
    };
    let run = async {
        // The first error ends the other: a filter that fails stops the step.
        let open = async { at_gate.open(inputs, sender).await.map_err(fault) };
        tokio::try_join!(open, follow).map(|(exit, ())| exit)
    };
    // Without a limit of its own, the step is bounded by the task's, which began earlier.
    let limit = shape.timeout.unwrap_or(settings.task_timeout);
    let running = run.instrument(tracing::info_span!("step.run"));
    let ended = match tokio::time::timeout(limit, running).await {
        Ok(Ok(exit)) => Ended::Exit(exit),
        Ok(Err(failure)) => Ended::Failed(failure),
        Err(_) => Ended::Failed(Box::new(Failure::timeout(Some(index), limit))),
    };

    outlet.close();
    if let Ended::Exit(Exit { code, .. }) = ended {
        tracing::Span::current().record("step.exit_code", code);
        let ran = Reported::Ran { step: index, code };
        report.report(job_index, ran);
    }
    let note = ended.note().map(|note| secrets.redact(&note).into_owned());
    outlet.log.write(|log| log.end(note.as_deref()));
    outlet.log_what_was_dropped();
    let (stdout, stderr) = outlet.finish().map_err(fault)?;
    match ended {
        Ended::Exit(Exit { code: 0, .. }) => Ok((stdout, stderr)),
        Ended::Exit(exit) => Err(Box::new(script_failed(
            index,
            exit,
            &script,
            &shape.image,
            &stdout,
            &stderr,
        ))),
        Ended::Failed(failure) => Err(failure),
    }
}

enum Ended {
    Exit(Exit),
    Failed(Box<Failure>),
}

impl Ended {
    /// What the log says of a script that did not end well.
    fn note(&self) -> Option<String> {
        match self {
            Self::Exit(Exit { code: 0, .. }) => None,
            Self::Exit(Exit { code, .. }) => {
                Some(format!("error running container: exit status {code}"))
            }
            Self::Failed(failure) => Some(failure.summary.clone()),
        }
    }
}

/// The environment as it may be shown: what comes from outside may be a secret.
fn masked(shape: &Shape, secrets: &Secrets) -> BTreeMap<String, String> {
    let shown = shape.env.iter().map(|(name, value)| {
        let value = if shape.forwarded.contains(name) {
            MASK.to_owned()
        } else {
            secrets.redact(value).into_owned()
        };
        (name.clone(), value)
    });
    shown.collect()
}

fn script_failed(
    index: usize,
    exit: Exit,
    script: &str,
    container: &str,
    stdout: &str,
    stderr: &str,
) -> Failure {
    let failed = StepFailure {
        script,
        script_path: Some(SCRIPT),
        container,
        stdout,
        stderr,
        cause: Ending::ExitCode(exit.code),
    };
    let hint = exit.out_of_memory.then(|| {
        let who = if is_component(container) {
            "the component wanted more memory than it may have"
        } else {
            "the kernel stopped the step for lack of memory"
        };
        format!("{who}: raise the memory limit")
    });
    Failure {
        cause: Cause::Script {
            code: exit.code,
            out_of_memory: exit.out_of_memory,
        },
        step: Some(index),
        summary: failed.status(),
        message: failed.text(SHOWN),
        hint,
    }
}
