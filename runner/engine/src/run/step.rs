//! One step: its container, its script, its diff, its outputs.

use std::collections::BTreeMap;
use std::io;

use capstan_core::changed_files::ChangedFiles;
use capstan_core::diff::Diff;
use capstan_core::failure::{Cause as Ending, StepFailure};
use capstan_core::result::StepResult;
use capstan_core::spec::Step;
use capstan_core::template::StepContext;
use capstan_core::wasm_step::is_component;
use tokio::sync::mpsc;

use super::capture::Capture;
use super::containers::NotMade;
use super::failure::{Cause, Failure};
use super::report::Reported;
use super::step_log::StepLog;
use super::task::{Progress, Stage};
use super::{prepare, render};
use crate::fault::Fault;
use crate::sandbox::{Chunk, Engine, Exit, Gated, Inputs, SCRIPT, Stream};

/// Chunks of output on the way from the engine; few, so that a slow reader slows the step down.
const CHUNKS: usize = 16;

/// Most lines of each stream that are shown with a failed step.
const SHOWN: usize = 500;

/// What a step's script is run with, all rendered.
struct Rendered {
    container: String,
    script: String,
    /// What the spec says, to be shown.
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    /// The variables that the container does not have yet.
    late: BTreeMap<String, String>,
}

/// What a script left behind.
struct Remains {
    stdout: String,
    stderr: String,
    diff: Vec<u8>,
    changed_files: ChangedFiles,
}

/// Runs the step `index`, whose condition holds, in the workspace, and returns its result.
pub(super) async fn run<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    mut context: StepContext,
) -> Result<StepResult, Box<Failure>> {
    let remains = execute(progress, index, &context).await;
    let remains = remains.inspect_err(|failure| {
        progress.tell(Reported::StepFailed {
            step: index,
            failure,
        });
    })?;
    let Remains { diff, .. } = remains;
    context.step.files = remains.changed_files.clone();
    context.step.stdout = remains.stdout;
    context.step.stderr = remains.stderr;
    // An error in an output is the task's failure and not the step's (facts/batch-spec.md 3.5).
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
        changed_files: remains.changed_files,
        stdout: context.step.stdout,
        stderr: context.step.stderr,
        outputs: context.outputs,
    })
}

/// Runs the script in its container and looks at what it did.
async fn execute<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<Remains, Box<Failure>> {
    progress.stage = Stage::Preparing(index);
    progress.tell(Reported::Preparing { step: index });
    let rendered = prepare(progress, index, context).await;
    let rendered = rendered.inspect_err(|failure| {
        progress.tell(Reported::PreparingFailed {
            step: index,
            error: &failure.message,
        });
    })?;
    progress.tell(Reported::Prepared { step: index });
    progress.stage = Stage::Running(index);
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));
    prepare::look_ahead(progress, index).map_err(fault)?;
    let ran = run_script(progress, index, rendered).await;
    progress.containers.discard_current();
    let (stdout, stderr) = ran?;

    progress.after_step().await.map_err(fault)?;
    let limit = progress.runner.settings.diff_limit;
    let workspace = progress.workspace_mut().map_err(fault)?;
    let diff = workspace.diff(limit).await.map_err(fault)?;
    let changed_files = Diff::parse(&diff)
        .map(|parsed| parsed.changed_files())
        .map_err(|error| {
            fault(Fault::workspace(format!(
                "getting changed files in step: {error}"
            )))
        })?;
    Ok(Remains {
        stdout,
        stderr,
        diff,
        changed_files,
    })
}

/// Renders what the step needs and gets its container to the gate.
async fn prepare<E: Engine>(
    progress: &mut Progress<'_, E>,
    index: usize,
    context: &StepContext,
) -> Result<Rendered, Box<Failure>> {
    let step = &progress.job.task.steps[index];
    let outer = &progress.job.outer_environment;
    let template = |error| Box::new(Failure::template(index, error));
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));

    let container = render::container(step, index + 1, context).map_err(template)?;
    let script = render::script(step, context).map_err(template)?;
    let files = render::files(step, context).map_err(template)?;
    let env = render::environment(step, outer, context).map_err(template)?;
    let mut late = env.clone();
    late.extend(render::visible_git(step));

    // A container that was made ahead fits unless what it was made from turned out otherwise.
    if !progress.containers.fits(index, &container, &late) {
        prepare::start(progress, index, container.clone(), late.clone()).map_err(fault)?;
    }
    progress.containers.keep_late(index, &mut late);
    let image = match progress.containers.take(index).await {
        Ok(image) => image,
        Err(NotMade::Container(error)) => return Err(fault(error)),
        Err(NotMade::Image(error)) => {
            let number = index + 1;
            let doing = if is_component(&container) {
                "load component"
            } else {
                "pull image"
            };
            let failed = format!("failed to {doing} for step {number}: {container}: ");
            return Err(Box::new(Failure::fault(Some(index), &failed, error)));
        }
    };
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
        containers,
        log,
        ..
    } = progress;
    let report = |what: Reported<'_>| runner.report.report(*job_index, what);
    let fault = |fault| Box::new(Failure::fault(Some(index), "", fault));
    let Some(at_gate) = containers.current.as_mut() else {
        return Err(fault(Fault::workspace("the step's container is gone")));
    };
    let env = masked(&job.task.steps[index], env);
    report(Reported::StepStarted {
        step: index,
        script: &script,
        env: &env,
    });

    let settings = &runner.settings;
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
    // Without a limit of its own, the step is bounded by the task's, which began earlier.
    let limit = settings.step_timeout.unwrap_or(settings.task_timeout);
    let ended = match tokio::time::timeout(limit, run).await {
        Ok(Ok(exit)) => Ended::Exit(exit),
        Ok(Err(error)) => Ended::Failed(fault(error)),
        Err(_) => Ended::Failed(Box::new(Failure::timeout(Some(index), limit))),
    };

    let note = ended.note();
    sink.log(|log| log.end(note.as_deref()));
    sink.log_what_was_dropped(index);
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

    /// What templates and results do not have of the output: nobody should wonder why.
    fn log_what_was_dropped(&mut self, index: usize) {
        for (name, dropped) in [
            ("stdout", self.stdout.dropped()),
            ("stderr", self.stderr.dropped()),
        ] {
            if dropped > 0 {
                let step = index + 1;
                self.log(|log| {
                    log.line(&format!(
                        "[Step {step}] templates and results have {name} without its last {dropped} bytes"
                    ))
                });
            }
        }
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
