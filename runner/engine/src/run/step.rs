//! One step: its container, its script, its diff, its outputs.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use capstan_core::diff::Diff;
use capstan_core::failure::{Cause as Ending, StepFailure};
use capstan_core::result::StepResult;
use capstan_core::spec::Step;
use capstan_core::template::StepContext;
use tokio::sync::mpsc;

use super::capture::Capture;
use super::failure::{Cause, Failure};
use super::report::Reported;
use super::step_log::StepLog;
use super::task::Progress;
use super::{prepare, render};
use crate::docker::SCRIPT;
use crate::fault::Fault;
use crate::sandbox::{Chunk, Engine, Exit, Gated, Inputs, Stream};

/// Chunks of output on the way from the engine; few, so that a slow reader slows the step down.
const CHUNKS: usize = 16;

/// Most lines of each stream that are shown with a failed step.
const SHOWN: usize = 500;

/// What a step's script is run with, all rendered.
struct Rendered {
    container: String,
    script: String,
    /// All of the environment.
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    /// The part of `env` that the container does not have yet.
    late: BTreeMap<String, String>,
}

/// Runs the step `index`, whose condition holds, in the workspace, and returns its result.
pub(super) async fn run<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    mut context: StepContext,
) -> Result<StepResult, Box<Failure>> {
    let (stdout, stderr) = match run_in_container(progress, index, &context).await {
        Ok(texts) => texts,
        Err(failure) => {
            progress.tell(Reported::StepFailed {
                step: index,
                failure: &failure,
            });
            return Err(failure);
        }
    };

    let fault = |prefix: &str, fault| Box::new(Failure::fault(Some(index), prefix, fault));
    progress
        .after_step()
        .await
        .map_err(|error| fault("", error))?;
    let limit = progress.runner.settings.diff_limit;
    let workspace = progress.workspace_mut().map_err(|error| fault("", error))?;
    let diff = workspace
        .diff(limit)
        .await
        .map_err(|error| fault("", error))?;
    let changed_files = Diff::parse(&diff)
        .map(|parsed| parsed.changed_files())
        .map_err(|error| {
            fault(
                "getting changed files in step: ",
                Fault::workspace(error.to_string()),
            )
        })?;

    context.step.files = changed_files.clone();
    context.step.stdout = stdout;
    context.step.stderr = stderr;
    render::set_outputs(&progress.job.task.steps[index], &mut context).map_err(
        |(message, hint)| {
            Box::new(Failure {
                hint,
                ..Failure::template(index, message)
            })
        },
    )?;
    Ok(StepResult {
        step_index: index,
        diff,
        changed_files,
        stdout: context.step.stdout,
        stderr: context.step.stderr,
        outputs: context.outputs,
    })
}

/// Gets a container, runs the script in it and throws it away; returns what the script wrote.
async fn run_in_container<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<(String, String), Box<Failure>> {
    let rendered = prepare(progress, index, context)
        .await
        .inspect_err(|failure| {
            progress.tell(Reported::PreparingFailed {
                step: index,
                error: &failure.message,
            });
        })?;
    progress.tell(Reported::Prepared { step: index });
    prepare::look_ahead(progress, index).await;
    let ran = run_script(progress, index, rendered).await;
    if let Some(container) = progress.current.take() {
        container.discard().await;
    }
    ran
}

/// Renders what the step needs and gets its container to the gate.
async fn prepare<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<Rendered, Box<Failure>> {
    let step = &progress.job.task.steps[index];
    let template = |error| Box::new(Failure::template(index, error));
    let fault = |prefix: &str, fault| Box::new(Failure::fault(Some(index), prefix, fault));

    let container = render::container(step, index + 1, context).map_err(template)?;
    let image = prepare::image(progress.runner, &container)
        .await
        .map_err(|error| {
            fault(
                &format!("failed to pull image for step {}: {container}: ", index + 1),
                error,
            )
        })?;
    let used = image.clone();
    progress.image = Some(image.clone());
    progress.tell(Reported::Preparing { step: index });
    let script = render::script(step, context).map_err(template)?;
    let files = render::files(step, context).map_err(template)?;
    let env =
        render::environment(step, &progress.job.outer_environment, context).map_err(template)?;

    // A container that was made ahead fits unless what it was made from turned out otherwise.
    let fits = progress.ahead.preparation(index).is_some_and(|made| {
        made.image == image
            && made
                .env
                .iter()
                .all(|(name, value)| env.get(name) == Some(value))
    });
    if !fits {
        progress.ahead.discard(index).await;
        let preparation = prepare::preparation(progress, index, image, env.clone())
            .map_err(|error| fault("", error))?;
        progress.ahead.start(index, preparation);
    }
    let mut late = env.clone();
    if let Some(made) = progress.ahead.preparation(index) {
        late.retain(|name, _| !made.env.contains_key(name));
    }
    let at_gate = progress
        .ahead
        .take(index)
        .await
        .map_err(|error| fault("", error))?;
    progress.current = Some(at_gate);
    progress
        .before_step(&used)
        .await
        .map_err(|error| fault("", error))?;
    let path = &progress.job.task.path;
    let workspace = progress.workspace_mut().map_err(|error| fault("", error))?;
    workspace
        .ensure_directory(path)
        .await
        .map_err(|error| fault("", error))?;
    Ok(Rendered {
        container,
        script,
        env,
        files,
        late,
    })
}

/// Opens the gate and follows the script to its end.
async fn run_script<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    rendered: Rendered,
) -> Result<(String, String), Box<Failure>> {
    let Rendered {
        container,
        script,
        env,
        files,
        late,
    } = rendered;
    let Progress {
        runner,
        job,
        index: job_index,
        current,
        log,
        ..
    } = progress;
    let report = |what: Reported<'_>| runner.report.report(*job_index, what);
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));
    let Some(at_gate) = current.as_mut() else {
        return Err(fault(Fault::workspace("the step's container is gone")));
    };
    let env = masked(&job.task.steps[index], env);
    report(Reported::StepStarted {
        step: index,
        script: &script,
        env: &env,
    });

    let settings = &runner.settings;
    let begun = Instant::now();
    let mut sink = Sink::new(log.as_mut(), settings.capture_limit);
    sink.log(|log| log.begin(index, &script, &container));
    let (sender, mut receiver) = mpsc::channel(CHUNKS);
    let inputs = Inputs {
        script: script.clone(),
        env: late,
        files,
    };
    let follow = async {
        while let Some(Chunk { stream, bytes }) = receiver.recv().await {
            sink.push(stream, &bytes);
            report(Reported::Output {
                step: index,
                stream,
                bytes: &bytes,
            });
        }
    };
    let run = async { tokio::join!(at_gate.open(inputs, sender), follow).0 };
    let limit = settings.step_timeout.unwrap_or(settings.task_timeout);
    let ended = match tokio::time::timeout(limit, run).await {
        Ok(Ok(exit)) => Ended::Exit(exit),
        Ok(Err(error)) => Ended::Failed(fault(error)),
        Err(_) => Ended::Failed(Box::new(Failure::timeout(Some(index), limit))),
    };

    let note = ended.note();
    sink.log(|log| log.end(index, begun.elapsed(), note.as_deref()));
    let (stdout, stderr) = sink
        .finish()
        .map_err(|error| fault(Fault::disk("writing the log of the task", &error)))?;
    match ended {
        Ended::Exit(Exit { code: 0, .. }) => Ok((stdout, stderr)),
        Ended::Exit(exit) => Err(Box::new(script_failed(
            index, exit, &script, &container, &stdout, &stderr,
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

/// Where a step's output goes.
struct Sink<'a> {
    stdout: Capture,
    stderr: Capture,
    log: Option<&'a mut StepLog>,
    /// The first error of the log; nothing is written to it afterwards.
    error: Option<io::Error>,
}

impl<'a> Sink<'a> {
    fn new(log: Option<&'a mut StepLog>, limit: usize) -> Self {
        Self {
            stdout: Capture::new(limit),
            stderr: Capture::new(limit),
            log,
            error: None,
        }
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
        self.log(|log| log.output(stream, bytes));
    }

    fn log(&mut self, write: impl FnOnce(&mut StepLog) -> io::Result<()>) {
        if self.error.is_none()
            && let Some(log) = &mut self.log
        {
            self.error = write(log).err();
        }
    }

    fn finish(self) -> Result<(String, String), io::Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.stdout.into_text(), self.stderr.into_text())),
        }
    }
}

/// The environment as it may be shown: what comes from outside may be a secret.
fn masked(step: &Step, mut env: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for name in render::forwarded(step) {
        if let Some(value) = env.get_mut(name) {
            "********".clone_into(value);
        }
    }
    env
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
        "the kernel stopped the step for lack of memory: raise the memory limit".to_owned()
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
