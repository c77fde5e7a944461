//! Jobs that are run to the letter: their steps, one container each, over a workspace that they share at `/data`
//! (facts/executor-protocol.md 5, 6, 9). Code intelligence jobs are such. What `src` would upload is uploaded here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use capstan_core::redact::Secrets;
use capstan_core::spec::{EnvVar, Environment, Step};
use capstan_core::task::{BatchChange, Repository as TaskRepository, Task};
use capstan_engine::docker::PullProgress;
use capstan_engine::fault::Fault;
use capstan_engine::pod::Slot;
use capstan_engine::repository::Origin;
use capstan_engine::run::{
    Base, Failure, GetOrigin, Job as EngineJob, Outcome, PlainRun, Report, Reported,
};
use capstan_engine::sandbox::{Stream, User};
use capstan_engine::workspace::{Layout, VisibleGit, Workspace, visible_git_environment};
use capstan_protocol::{DockerStep, Job};
use serde::Deserialize;

use super::check::{Checked, Surroundings};
use super::command::{self, DATA, SCRIPTS};
use super::lines::Lines;
use super::paths::Below;
use super::pulls::{PullEntries, PullTeller};
use super::setup::{Repository, Setup, repository_place};
use super::upload::Upload;
use super::{Attempt, Ending, Engines, Running, Settings, ending, files, legacy};
use crate::log::{Entry, ExecutionLog};

/// The file by which a step says how far those after it are skipped.
const SKIP: &str = "skip.json";

/// Largest such file that is read.
const SKIP_LIMIT: u64 = 1 << 20;

/// Bytes of a step's output that are kept to explain a failure.
const KEPT: usize = 64 << 10;

/// With what Docker ends when a container could not be started.
const NOT_STARTED: i32 = 125;

/// What a process that was killed ends with.
const KILLED: i32 = -1;

/// Runs the job.
pub(super) async fn run<S: Engines>(running: &Running<'_, S>) -> Attempt {
    let (job, log) = (running.job, running.log);
    let teller = Arc::new(Teller::new(log));
    running.pulls.tell(&teller);
    let mut runner = running.runner(
        running.context.settings.of_steps(User::Image, DATA),
        Arc::clone(&teller) as _,
    );
    runner.settings.capture_limit = KEPT;
    // Policies have to agree before anything is got.
    let begun = PlainRun::begin(&runner, as_task(running), running.place.data()).await;
    let mut run = match begun {
        Ok(run) => run,
        Err(failure) => return Attempt::Ended(ending::of_failure(&failure, None)),
    };
    let mut ended = match prepare(running).await {
        Ok(workspace) => {
            let mounts = workspace.iter().flat_map(Workspace::mounts);
            run.mount(mounts.cloned().collect());
            docker_steps(running, &mut run, &teller).await
        }
        Err(ending) => Err(Attempt::Ended(ending)),
    };
    if let Some(image) = run.end().await {
        running.place.used(image);
    }
    if ended.is_ok() && !job.cli_steps.is_empty() {
        ended = cli_steps(running).await.map_err(Attempt::Ended);
    }
    ended.err().unwrap_or(Attempt::Ended(Ending::Complete))
}

async fn docker_steps<S: Engines>(
    running: &Running<'_, S>,
    run: &mut PlainRun<'_, S::Engine>,
    teller: &Teller,
) -> Result<(), Attempt> {
    let Running {
        job,
        checked,
        context,
        place,
        log,
        ..
    } = *running;
    let workspace = place.seen_by_engine(context.settings.host_mount_path.as_deref());
    let mut skip_to: Option<String> = None;
    // What was uploaded must not be uploaded again.
    let mut may_begin_anew = running.may_begin_anew;
    for (index, (step, surroundings)) in job
        .docker_steps
        .iter()
        .zip(&checked.docker_steps)
        .enumerate()
    {
        let key = command::docker_key(step, index);
        match &skip_to {
            Some(next) if *next != key => continue,
            _ => skip_to = None,
        }
        let shown = command::docker(job, index, surroundings, &context.settings, &workspace);
        if let Some(upload) = Upload::of_docker_step(step, surroundings) {
            let entry = log.begin(&key, Some(shown));
            let uploaded = upload.run(running, entry, &key).await;
            uploaded.map_err(Attempt::Ended)?;
            may_begin_anew = false;
            continue;
        }
        teller.begin(log.begin(&key, Some(shown)));
        let made = files::make_directory(&place.data(), &surroundings.directory);
        if let Err(error) = made {
            let message = format!(
                "the directory {:?}: {error}",
                surroundings.directory.to_string()
            );
            teller.fail(&message, NOT_STARTED);
            let message = format!("running command {key:?}: {message}");
            return Err(Attempt::Ended(Ending::Errored(message)));
        }
        let mut env = surroundings.environment.clone();
        // Git accepts the repository whoever owns it.
        let repository = command::at(&checked.repository_directory);
        let accepted = visible_git_environment(&repository);
        if !accepted.iter().any(|(name, _)| env.contains_key(*name)) {
            let accepted = accepted.map(|(name, value)| (name.to_owned(), value.to_owned()));
            env.extend(accepted);
        }
        let outcome = run
            .step(index, &surroundings.directory.to_string(), env)
            .await;
        if let Outcome::Failed(failure) = &outcome
            && may_begin_anew
            && ending::may_pass(failure)
        {
            let message = format!("{}\nthe job begins anew", failure.message);
            teller.fail(&message, KILLED);
            teller.pulls.end(KILLED);
            return Err(Attempt::Lost);
        }
        teller.end(&outcome);
        match outcome {
            Outcome::Done { .. } => {}
            Outcome::Failed(failure) => {
                let ending = ending::of_failure(&failure, Some(&key));
                return Err(Attempt::Ended(ending));
            }
            Outcome::Cancelled => return Err(Attempt::Ended(ending::cancelled())),
        }
        if step.key.ends_with(".pre") {
            skip_to = next_step(running, &key).map_err(Attempt::Ended)?;
        }
    }
    Ok(())
}

/// The full key of the step up to which the steps after this one are skipped.
fn next_step<S: Engines>(running: &Running<'_, S>, key: &str) -> Result<Option<String>, Ending> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Skip {
        next_step: String,
    }
    let failed = |error: &dyn std::fmt::Display| {
        Ending::Errored(format!("reading {SKIP} after {key:?}: {error}"))
    };
    let found =
        files::take(&running.place.data(), SKIP, SKIP_LIMIT).map_err(|error| failed(&error))?;
    let Some(bytes) = found else { return Ok(None) };
    let skip: Skip = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
    Ok(Some(format!("step.docker.{}", skip.next_step)))
}

async fn cli_steps<S: Engines>(running: &Running<'_, S>) -> Result<(), Ending> {
    let (job, checked) = (running.job, running.checked);
    for (index, (step, surroundings)) in job.cli_steps.iter().zip(&checked.cli_steps).enumerate() {
        let key = legacy::key(step, index);
        let entry = running.log.begin(&key, Some(legacy::command(step)));
        let Some(upload) = Upload::of_cli_step(step, surroundings) else {
            let message = "this call of src is not supported: only `src batch exec`, in a job of its own, and uploads of indexes are";
            entry.line(Stream::Stderr, message.as_bytes());
            entry.close(1);
            return Err(Ending::Errored(format!(
                "failed to perform src-cli step: running command {key:?}: {message}"
            )));
        };
        upload.run(running, entry, &key).await?;
    }
    Ok(())
}

/// Gets the repository, lays it out, writes the files and scripts. Returns the workspace, which is there as long as that is kept.
async fn prepare<S: Engines>(running: &Running<'_, S>) -> Result<Option<Workspace>, Ending> {
    let Running {
        job, place, log, ..
    } = *running;
    let mut workspace = None;
    if !job.repository_name.is_empty() {
        let setup = Setup::new(log, Vec::new(), None);
        let laid_out = tokio::select! {
            biased;
            () = running.stop.cancelled() => {
                setup.failed("the job was stopped");
                return Err(ending::cancelled());
            }
            laid_out = lay_out(running, &setup) => laid_out,
        };
        match laid_out {
            Ok(laid_out) => workspace = Some(laid_out),
            Err(fault) => {
                setup.failed(&fault.message);
                return Err(ending::of_fault(&fault));
            }
        }
        setup.done();
    }
    let mut written = running.write_files().await?;
    for (index, step) in job.docker_steps.iter().enumerate() {
        let begun = std::time::Instant::now();
        let path = format!("{SCRIPTS}/{}", command::script_name(job, index));
        let done = Below::file("script", &path)
            .map_err(|refused| refused.to_string())
            .and_then(|path| {
                let script = command::script(step);
                files::write(&place.data(), &path, script.as_bytes())
                    .map_err(|error| format!("writing {path}: {error}"))
            });
        if let Err(message) = done {
            super::setup::tell_files(log, &written, Some(&message));
            return Err(Ending::Errored(format!(
                "failed to prepare workspace: {message}"
            )));
        }
        written.push(files::Written {
            path,
            took: begun.elapsed(),
        });
    }
    super::setup::tell_files(log, &written, None);
    Ok(workspace)
}

async fn lay_out<S: Engines>(
    running: &Running<'_, S>,
    setup: &Arc<Setup>,
) -> Result<Workspace, Fault> {
    let Running {
        job,
        checked,
        context,
        place,
        ..
    } = *running;
    let shown = repository_place(job, place);
    let repository = Repository::new(job, context, setup, &shown, "")?;
    let origin: Arc<Origin> = repository.get().await?;
    let failed = |error: std::io::Error| Fault::disk("creating workspace", &error);
    let data = place.data();
    let root = match checked.repository_directory.names().split_last() {
        None => data,
        Some((name, above)) => {
            let above = above.join("/");
            let above = Below::directory("repository directory", &above).unwrap_or_default();
            files::make_directory(&data, &above).map_err(failed)?;
            above
                .names()
                .iter()
                .fold(data, |path, name| path.join(name))
                .join(name)
        }
    };
    let layout = Layout {
        only: "",
        patterns: &job.sparse_checkout,
        visible_git: match context.settings.volume {
            Some(_) => VisibleGit::Sharing,
            None => VisibleGit::Borrowing,
        },
        // It writes scripts and files beside and into it.
        by_runner: true,
    };
    let home = place.tasks().join("0");
    let checkouts = &context.checkouts;
    let mut workspace =
        Workspace::make_in(&context.git, home, root, &origin, layout, checkouts).await?;
    workspace.check_out(&origin, layout).await?;
    Ok(workspace)
}

/// The job as plugins see it.
fn as_task<S: Engines>(running: &Running<'_, S>) -> EngineJob {
    let (job, checked) = (running.job, running.checked);
    let steps = job.docker_steps.iter().zip(&checked.docker_steps);
    let steps = steps.map(|(step, surroundings)| Step {
        run: command::script(step),
        container: step.image.clone(),
        env: Environment {
            vars: surroundings
                .environment
                .keys()
                .map(|name| EnvVar::Forwarded { name: name.clone() })
                .collect(),
        },
        ..Step::default()
    });
    let repository = TaskRepository {
        id: job.repository_name.clone(),
        name: job.repository_name.clone(),
        branch: String::new(),
        rev: job.commit.clone(),
    };
    EngineJob {
        task: Arc::new(Task {
            repository,
            path: String::new(),
            only_fetch_workspace: false,
            search_result_paths: Vec::new(),
            batch_change: BatchChange::default(),
            steps: steps.collect(),
        }),
        base: laid_out_elsewhere(),
        outer_environment: Arc::default(),
        mount_directory: running.place.data(),
        mounts: Vec::new().into(),
        secrets: Secrets::default(),
        resume: None,
        skip: BTreeSet::new(),
    }
}

/// The containers that a pod needs for it.
pub(super) fn slots(
    job: &Job,
    checked: &Checked,
    settings: &Settings,
) -> Result<Vec<Slot>, String> {
    if !job.cli_steps.is_empty() {
        return Err("in a pod, a step can call src for nothing but batch exec".to_owned());
    }
    let steps = job.docker_steps.iter().zip(&checked.docker_steps);
    let is_done_here = |(step, surroundings): &(&DockerStep, &Surroundings)| {
        Upload::of_docker_step(step, surroundings).is_some()
    };
    let slot = |(step, surroundings): (&DockerStep, &Surroundings)| Slot {
        image: step.image.clone(),
        user: User::Image,
        workspace: settings.data(),
        place: DATA.to_owned(),
        directory: command::at(&surroundings.directory),
        files: Vec::new(),
        mounts: Vec::new(),
    };
    Ok(steps.filter(|step| !is_done_here(step)).map(slot).collect())
}

/// For what the engine does not lay out.
pub(super) fn laid_out_elsewhere() -> Base {
    Base::Later(Arc::new(NoRepository))
}

/// The job lays its repository out itself.
#[derive(Debug)]
struct NoRepository;

impl GetOrigin for NoRepository {
    fn get(
        &self,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Arc<Origin>, Fault>> + Send + '_>> {
        Box::pin(async { Err(Fault::workspace("the repository is laid out elsewhere")) })
    }
}

/// The entry of the step that runs.
struct Teller {
    pulls: PullEntries,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entry: Option<Entry>,
    lines: Lines,
}

impl Teller {
    fn new(log: &Arc<ExecutionLog>) -> Self {
        Self {
            pulls: PullEntries::new(log),
            state: Mutex::default(),
        }
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn begin(&self, entry: Entry) {
        self.with(|state| state.entry = Some(entry));
    }

    fn fail(&self, message: &str, code: i32) {
        self.with(|state| {
            if let Some(entry) = state.entry.take() {
                state.lines.end(&entry);
                for line in message.lines() {
                    entry.line(Stream::Stderr, line.as_bytes());
                }
                entry.close(code);
            }
        });
    }

    fn end(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { .. } => self.with(|state| {
                if let Some(entry) = state.entry.take() {
                    state.lines.end(&entry);
                    entry.close(0);
                }
            }),
            Outcome::Failed(failure) => self.fail(&explanation(failure), code(failure)),
            Outcome::Cancelled => self.fail("the job was stopped", KILLED),
        }
        self.pulls.end(code_of(outcome));
    }
}

fn code_of(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Done { .. } => 0,
        Outcome::Failed(failure) => code(failure),
        Outcome::Cancelled => KILLED,
    }
}

fn code(failure: &Failure) -> i32 {
    use capstan_engine::run::Cause;
    match failure.cause {
        Cause::Script { code, .. } => code,
        Cause::Timeout => KILLED,
        Cause::Refused => 1,
        _ => NOT_STARTED,
    }
}

/// What is to be said of a failure that the output does not say.
fn explanation(failure: &Failure) -> String {
    use capstan_engine::run::Cause;
    match failure.cause {
        Cause::Script { .. } => failure.hint.clone().unwrap_or_default(),
        _ => failure.message.clone(),
    }
}

impl PullTeller for Teller {
    fn pull(&self, progress: &PullProgress) {
        self.pulls.tell(progress);
    }
}

impl Report for Teller {
    fn report(&self, _job: usize, what: Reported<'_>) {
        match what {
            Reported::Prepared { .. } => self.pulls.end(0),
            Reported::Output { stream, bytes, .. } => self.with(|state| {
                if let Some(entry) = &state.entry {
                    state.lines.push(entry, stream, bytes);
                }
            }),
            Reported::Plugin { plugin, what, .. } if what.changes_the_result() => {
                self.with(|state| {
                    if let Some(entry) = &state.entry {
                        for line in what.to_string().lines() {
                            entry.line(
                                Stream::Stderr,
                                format!("plugin {plugin}: {line}").as_bytes(),
                            );
                        }
                    }
                });
            }
            _ => {}
        }
    }
}
