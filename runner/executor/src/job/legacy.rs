//! Jobs that call `src batch exec` on the executor's machine (facts/executor-protocol.md 8). What it would do is done here, and told in the
//! same events.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capstan_core::diff::Encoding;
use capstan_core::event::{Event, WorkspaceKind};
use capstan_core::exec_flags::{self, ExecFlags};
use capstan_core::exec_input::{self, ExecInput};
use capstan_core::plugin::Hook;
use capstan_core::redact::Secrets;
use capstan_core::result::StepResult;
use capstan_core::spec::check_mounts;
use capstan_engine::docker::PullProgress;
use capstan_engine::pod::Slot;
use capstan_engine::run::{
    Cause, EventLines, Failure, Job as Task, Outcome, Report, Reported, Resume, certain_images,
};
use capstan_engine::sandbox::{Engine, Stream, User, WORK};
use capstan_protocol::{CliStep, Content, Job};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::again::{self, Retold};
use super::check::{Checked, Surroundings};
use super::paths::Below;
use super::pulls::{PullEntries, PullTeller};
use super::setup::{Repository, Setup, repository_place};
use super::slots::of_task;
use super::{Ending, Engines, Running, Settings, ending, files, native};
use crate::log::{Entry, ExecutionLog};

/// Largest input that is read: a cached diff may be in it.
const INPUT_LIMIT: u64 = 1 << 30;

/// How long all steps may take unless the flags say something else.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The key of the step `index` in the log. Old servers give steps no keys.
pub(super) fn key(step: &CliStep, index: usize) -> String {
    match step.key.as_str() {
        "" => format!("step.src.{index}"),
        key => format!("step.src.{key}"),
    }
}

/// The command of a step, as the log has it.
pub(super) fn command(step: &CliStep) -> Vec<String> {
    let program = std::iter::once("src".to_owned());
    program.chain(step.command.iter().cloned()).collect()
}

/// Whether all that is to be done is to call `src batch exec` once.
pub(super) fn is_one(job: &Job) -> bool {
    job.docker_steps.is_empty() && matches!(&*job.cli_steps, [step] if arguments(step).is_some())
}

/// What stands behind `batch exec`; `None` for another command.
fn arguments(step: &CliStep) -> Option<&[String]> {
    match &*step.command {
        [batch, exec, arguments @ ..] if batch == "batch" && exec == "exec" => Some(arguments),
        _ => None,
    }
}

/// Runs the job.
pub(super) async fn run<S: Engines>(running: &Running<'_, S>) -> Ending {
    let Running {
        job, checked, log, ..
    } = *running;
    let (Some(step), Some(surroundings)) = (job.cli_steps.first(), checked.cli_steps.first())
    else {
        return Ending::Errored("the job has no step".to_owned());
    };
    let written = match running.write_batch_files().await {
        Ok(written) => written,
        Err(ending) => return ending,
    };
    let setup = Setup::new(log, written, None);
    let key = key(step, 0);
    let teller = Arc::new(Teller::new(log, &setup, key.clone(), command(step)));
    running.pulls.tell(&teller);
    let ended = execute(running, step, surroundings, &setup, &teller).await;
    teller.end(ended.as_ref().err());
    ended.err().unwrap_or(Ending::Complete)
}

/// Does what the command would do. The error is the ending, and what the command would say is in it.
async fn execute<S: Engines>(
    running: &Running<'_, S>,
    step: &CliStep,
    surroundings: &Surroundings,
    setup: &Arc<Setup>,
    teller: &Arc<Teller>,
) -> Result<(), Ending> {
    let job_id = running.job.id();
    let failed = |text: String| Ending::Errored(format!("failed to perform src-cli step: {text}"));
    let command_failed = |text: &str| {
        teller.say(text);
        failed(ending::command_failed(&key(step, 0), 1))
    };
    let flags = exec_flags::parse(arguments(step).unwrap_or_default());
    let flags = flags.map_err(|error| command_failed(&error))?;
    let input = read_input(running, surroundings, &flags);
    let input = input.map_err(|error| command_failed(&error))?;
    let user = user(&flags);
    let encoding = flags.encoding;
    let task = task(running, surroundings, &flags, input, setup);
    let mut task = task.map_err(|error| command_failed(&error))?;

    let lines = {
        let teller = Arc::clone(teller);
        EventLines::new(true, move |event| teller.event(event, encoding))
    };
    prepare_images(running, &task, &lines).await;
    let mut settings = running.context.settings.of_steps(user, WORK);
    settings.task_timeout = settings.task_timeout.min(flags.timeout.unwrap_or(TIMEOUT));
    let both = Arc::new(Both {
        lines: Arc::clone(&lines),
        teller: Arc::clone(teller),
        attempt: Mutex::default(),
    });
    let report = Arc::clone(&both) as Arc<dyn Report>;
    let ran = again::run(running, &mut task, &settings, &report, both.as_ref()).await;
    let (runner, outcome) = ran?;
    lines.flush_all();
    match outcome {
        Some(Outcome::Done { result, .. }) => {
            if !teller.state().has_told {
                let result = result.as_deref();
                lines.tell(&native::nothing_to_do(&runner, &task, result, job_id).await);
            }
            Ok(())
        }
        Some(Outcome::Failed(failure)) if failure.cause == Cause::Refused => {
            teller.say(&failure.message);
            Err(ending::of_failure(&failure, None))
        }
        Some(Outcome::Failed(failure)) => Err(command_failed(&failure.message)),
        Some(Outcome::Cancelled) | None => Err(ending::cancelled()),
    }
}

/// Reads the execution input.
fn read_input<S: Engines>(
    running: &Running<'_, S>,
    surroundings: &Surroundings,
    flags: &ExecFlags,
) -> Result<ExecInput, String> {
    use std::io::Read as _;
    let path = below(surroundings, "input", &flags.input)?;
    let mut text = String::new();
    files::open(&running.place.data(), &path)
        .and_then(|file| file.take(INPUT_LIMIT).read_to_string(&mut text))
        .map_err(|error| format!("failed to read workspace execution input file: {error}"))?;
    exec_input::parse(&text).map_err(|error| error.to_string())
}

/// A path of the flags, from the root of the workspace.
fn below(surroundings: &Surroundings, what: &'static str, path: &str) -> Result<Below, String> {
    let whole = match surroundings.directory.is_root() {
        true => path.to_owned(),
        false => format!("{}/{path}", surroundings.directory),
    };
    Below::directory(what, &whole).map_err(|refused| refused.to_string())
}

/// The containers that a pod needs for it.
pub(super) fn slots(
    job: &Job,
    checked: &Checked,
    settings: &Settings,
) -> Result<Vec<Slot>, String> {
    let (Some(step), Some(surroundings)) = (job.cli_steps.first(), checked.cli_steps.first())
    else {
        return Err("the job has no step".to_owned());
    };
    let flags = exec_flags::parse(arguments(step).unwrap_or_default())?;
    let input = below(surroundings, "input", &flags.input)?.to_string();
    let input = match job.files.get(&input).map(|file| &file.content) {
        Some(Content::Inline(bytes)) => str::from_utf8(bytes).map_err(|error| error.to_string())?,
        _ => {
            return Err(format!(
                "the execution input {input:?} is not part of the job"
            ));
        }
    };
    let input = exec_input::parse(input).map_err(|error| error.to_string())?;
    let files = workspace_files(surroundings, &flags, settings.data())?;
    let of_steps = settings.of_steps(user(&flags), WORK);
    let known = input.known().map_err(|error| error.to_string())?;
    let first = known.map_or(0, |known| known.step_index.saturating_add(1));
    // Those before do not run.
    let skip = (0..first.min(input.task.steps.len())).collect();
    of_task(input.task, skip, files, &of_steps, &settings.repository())
}

/// Who steps run as.
fn user(flags: &ExecFlags) -> User {
    match flags.as_image_user {
        true => User::Image,
        false => User::Root,
    }
}

/// Where the files are that steps mount.
fn workspace_files(
    surroundings: &Surroundings,
    flags: &ExecFlags,
    data: PathBuf,
) -> Result<PathBuf, String> {
    let path = flags.workspace_files.as_deref().unwrap_or_default();
    let path = below(surroundings, "directory of workspace files", path)?;
    Ok(path.names().iter().fold(data, |path, name| path.join(name)))
}

fn task<S: Engines>(
    running: &Running<'_, S>,
    surroundings: &Surroundings,
    flags: &ExecFlags,
    input: ExecInput,
    setup: &Arc<Setup>,
) -> Result<Task, String> {
    let Running {
        job,
        checked,
        context,
        place,
        ..
    } = *running;
    if below(surroundings, "repository", &flags.repository)? != checked.repository_directory {
        return Err(format!(
            "the repository is in {:?}, not in {:?}",
            job.repository_directory, flags.repository
        ));
    }
    let workspace_files = workspace_files(surroundings, flags, place.data())?;
    let known = input.known().map_err(|error| error.to_string())?;
    let resume = known.map(|result| Resume {
        result: Arc::new(result),
    });
    let mounts = check_mounts(&input.task.steps, &workspace_files, &|path| {
        fs_err::canonicalize(path)
    })
    .map_err(|error| error.to_string())?;
    let shown = repository_place(job, place);
    let branch = input.task.repository.short_branch().to_owned();
    let repository =
        Repository::new(job, context, setup, &shown, &branch).map_err(|fault| fault.message)?;
    Ok(Task {
        task: Arc::new(input.task),
        base: native::base(context, repository),
        outer_environment: Arc::new(surroundings.environment.clone()),
        mount_directory: workspace_files,
        mounts: mounts.into(),
        // The log takes them out, and puts in their place what the server says.
        secrets: Secrets::default(),
        resume,
        skip: BTreeSet::new(),
    })
}

/// Gets the images that are certain to be needed, and tells of it.
async fn prepare_images<S: Engines>(running: &Running<'_, S>, task: &Task, lines: &EventLines) {
    let mut names: Vec<String> = match running.context.plugins.have(Hook::Policy) {
        // None is got before policies have agreed to its step.
        true => Vec::new(),
        false => certain_images(&task.task).collect(),
    };
    names.sort_unstable();
    names.dedup();
    let total = names.len();
    lines.tell(&Event::PreparingDockerImagesStarted);
    lines.tell(&Event::PreparingDockerImagesProgress { done: 0, total });
    let mut getting: FuturesUnordered<_> = names
        .iter()
        .map(|name| running.engine.image(name, None))
        .collect();
    let mut done = 0;
    let get_all = async {
        while getting.next().await.is_some() {
            done += 1;
            lines.tell(&Event::PreparingDockerImagesProgress { done, total });
        }
    };
    tokio::select! {
        () = get_all => {}
        () = running.stop.cancelled() => return,
    }
    lines.tell(&Event::PreparingDockerImagesSuccess);
    lines.tell(&Event::DeterminingWorkspaceTypeStarted);
    lines.tell(&Event::DeterminingWorkspaceTypeSuccess {
        kind: WorkspaceKind::Bind,
    });
}

/// The entry of the command. What is said before the entries of the set-up are over waits for them.
struct Teller {
    log: Arc<ExecutionLog>,
    setup: Arc<Setup>,
    key: String,
    command: Vec<String>,
    pulls: PullEntries,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entry: Option<Entry>,
    waiting: Vec<Waiting>,
    /// Whether the result of a step was told.
    has_told: bool,
}

/// An event as a line.
struct Waiting {
    line: String,
    is_output: bool,
}

impl Waiting {
    fn tell(&self, entry: &Entry) {
        match self.is_output {
            true => entry.output_event(&self.line),
            false => entry.event(&self.line),
        }
    }
}

impl Teller {
    fn new(log: &Arc<ExecutionLog>, setup: &Arc<Setup>, key: String, command: Vec<String>) -> Self {
        Self {
            log: Arc::clone(log),
            setup: Arc::clone(setup),
            key,
            command,
            pulls: PullEntries::new(log),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, event: &Event, encoding: Encoding) {
        let line = event.to_json_line(jiff::Timestamp::now(), encoding);
        let mut state = self.state();
        state.has_told |= matches!(event, Event::CacheAfterStepResult { .. });
        let waits = Waiting {
            line,
            // Servers read nothing out of what a step printed.
            is_output: matches!(event, Event::TaskStepProgress { .. }),
        };
        match &state.entry {
            Some(entry) => waits.tell(entry),
            None => state.waiting.push(waits),
        }
    }

    /// The set-up is over.
    fn begin(&self) {
        self.setup.done();
        let mut state = self.state();
        if state.entry.is_none() {
            let entry = self.log.begin(&self.key, Some(self.command.clone()));
            for waits in state.waiting.drain(..) {
                waits.tell(&entry);
            }
            state.entry = Some(entry);
        }
    }

    /// A message of the command.
    fn say(&self, text: &str) {
        self.begin();
        if let Some(entry) = &self.state().entry {
            for line in text.lines() {
                entry.line(Stream::Stderr, line.as_bytes());
            }
        }
    }

    fn end(&self, ending: Option<&Ending>) {
        self.pulls.end(0);
        self.begin();
        if let Some(entry) = self.state().entry.take() {
            entry.close(ending.is_some().into());
        }
    }
}

impl PullTeller for Teller {
    fn pull(&self, progress: &PullProgress) {
        self.pulls.tell(progress);
    }
}

/// What happens goes to the set-up first, and becomes events then.
struct Both {
    lines: Arc<EventLines>,
    teller: Arc<Teller>,
    attempt: Mutex<Attempt>,
}

/// Where the task is in its attempts.
#[derive(Default)]
struct Attempt {
    is_first: bool,
    may_go_on: bool,
    /// The last result that a step had.
    last: Option<Arc<StepResult>>,
    /// What went wrong while a step was prepared: it is told if the step is not run again.
    untold: Option<(usize, String)>,
}

impl Both {
    fn now(&self) -> MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody is told of it, as the task goes on.
    fn passes_over(&self, job: usize, what: &Reported<'_>) -> bool {
        let mut attempt = self.now();
        let goes_on = |failure: &Failure| attempt.may_go_on && ending::may_pass(failure);
        match what {
            Reported::Started | Reported::Resumed { .. } => !attempt.is_first,
            Reported::PreparingFailed { step, error } if attempt.may_go_on => {
                attempt.untold = Some((*step, (*error).to_owned()));
                true
            }
            Reported::StepFailed { failure, .. } if goes_on(failure) => {
                attempt.untold = None;
                drop(attempt);
                self.lines.flush(job, true);
                let message = &failure.message;
                self.teller
                    .say(&format!("{message}\nrunning the step again"));
                true
            }
            Reported::StepFailed { .. } => {
                if let Some((step, error)) = attempt.untold.take() {
                    let error = &error;
                    self.lines
                        .report(job, Reported::PreparingFailed { step, error });
                }
                false
            }
            Reported::Failed { failure } => goes_on(failure),
            Reported::StepDone { result } => {
                attempt.last = Some(Arc::new((*result).clone()));
                false
            }
            _ => false,
        }
    }
}

impl Retold for Both {
    fn attempt(&self, number: usize, may_go_on: bool) {
        let mut attempt = self.now();
        attempt.is_first = number == 0;
        attempt.may_go_on = may_go_on;
    }

    fn last_result(&self) -> Option<Arc<StepResult>> {
        self.now().last.clone()
    }
}

impl Report for Both {
    fn report(&self, job: usize, what: Reported<'_>) {
        if self.passes_over(job, &what) {
            return;
        }
        match &what {
            Reported::Started
            | Reported::Workspace
            | Reported::Resumed { .. }
            | Reported::Plugin { .. } => {}
            Reported::Failed { failure } => {
                self.teller.setup.failed(&failure.message);
                self.teller.begin();
            }
            Reported::Prepared { .. } => {
                self.teller.pulls.end(0);
                self.teller.begin();
            }
            _ => self.teller.begin(),
        }
        self.lines.report(job, what);
    }
}
