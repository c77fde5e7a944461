//! One task from its first step to its last.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use capstan_core::changed_files::ChangedFiles;
use capstan_core::diff::Diff;
use capstan_core::plugin::Hook;
use capstan_core::result::StepResult;
use capstan_core::spec::Step;
use capstan_core::template::StepContext;
use capstan_core::wasm_step::is_component;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::containers::Containers;
use super::failure::Failure;
use super::hooks::Hooks;
use super::lookup::Keys;
use super::plugin_report::Voice;
use super::report::Reported;
use super::schedule::Common;
use super::step_log::StepLog;
use super::{Base, Finished, Job, Outcome, Runner, lookup, prepare, render, step};
use crate::fault::Fault;
use crate::repository::Origin;
use crate::sandbox::{Engine, Image};
use crate::workspace::{Checkouts, Layout, VisibleGit, Workspace};

/// A task on its way: what must be put away however it ends.
pub(super) struct Progress<'a, E: Engine> {
    pub(super) runner: &'a Runner<E>,
    pub(super) index: usize,
    pub(super) job: &'a Job,
    pub(super) containers: Containers<E>,
    pub(super) hooks: Hooks,
    pub(super) stage: Stage,
    /// The last image that ran: files it left behind may need its root to be put away.
    pub(super) image: Option<Image>,
    pub(super) log: Option<StepLog>,
    /// The cache keys of the steps, as they were before any ran.
    pub(super) keys: Keys,
    /// Whether a step has run since all files were open to everybody.
    pub(super) unsettled: bool,
    workspace: Option<Workspace>,
    /// What the workspace is made of.
    origin: Option<Arc<Origin>>,
}

/// What a task is at, for the report when it takes too long.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// Nothing that a step has begun.
    Between,
    /// The step's container and script are being made.
    Preparing(usize),
    /// The step runs, or what it did is being looked at.
    Running(usize),
}

/// Runs `job` until it is done, fails, takes too long or is stopped; puts away what it made.
pub(super) async fn run<E: Engine>(
    runner: &Runner<E>,
    index: usize,
    job: &Job,
    stop: &CancellationToken,
    common: &Common,
) -> Finished {
    let begun = Instant::now();
    if stop.is_cancelled() {
        runner.report.report(index, Reported::Cancelled);
        return Finished {
            outcome: Outcome::Cancelled,
            log: None,
            workspace: None,
            elapsed: begun.elapsed(),
        };
    }
    let mut progress = Progress {
        runner,
        index,
        job,
        containers: Containers::new(Arc::clone(&runner.engine), common),
        hooks: {
            let (report, secrets) = (Arc::clone(&runner.report), job.secrets.clone());
            Hooks::new(
                &runner.plugins,
                Arc::new(Voice::new(report, index, secrets)),
            )
        },
        stage: Stage::Between,
        image: None,
        log: None,
        keys: Keys::default(),
        unsettled: false,
        workspace: None,
        origin: None,
    };
    progress.tell(Reported::Started);
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => {
            progress.end_log("cancelled");
            Outcome::Cancelled
        }
        ended = progress.drive() => match ended {
            Ok((result, cached)) => Outcome::Done { result, cached },
            Err(failure) => Outcome::Failed(failure.redacted(&job.secrets)),
        },
        () = tokio::time::sleep(runner.settings.task_timeout) => {
            Outcome::Failed(progress.too_long())
        }
    };
    progress.log_plugins();
    let log = progress.log.as_ref().map(|log| log.path().to_path_buf());
    let workspace = progress.put_away().await;
    if let Outcome::Failed(_) = &outcome {
        tracing::Span::current().record("otel.status_code", "ERROR");
    }
    progress.tell(match &outcome {
        Outcome::Done { result, cached } => Reported::Done {
            cached: *cached,
            result: result.as_deref(),
        },
        Outcome::Failed(failure) => Reported::Failed { failure },
        Outcome::Cancelled => Reported::Cancelled,
    });
    Finished {
        outcome,
        log,
        workspace,
        elapsed: begun.elapsed(),
    }
}

impl<E: Engine> Progress<'_, E> {
    async fn drive(&mut self) -> Result<(Option<Arc<StepResult>>, bool), Box<Failure>> {
        let steps = &self.job.task.steps;
        let (job, settings) = (self.job, &self.runner.settings);
        self.hooks.check_job(job, settings).await?;
        let kept = job.resume.as_ref().map(|resume| &resume.result);
        let start = kept.map_or(0, |result| result.step_index + 1);
        let mut previous = match kept {
            Some(kept) => Some(seen(&self.hooks, Arc::clone(kept)).await?),
            None => None,
        };
        if start < steps.len() {
            if start > 0 {
                self.tell(Reported::Resumed { start });
            }
            // Before any step runs: it may change what is mounted.
            let fingerprint = self.runner.plugins.fingerprint();
            self.keys = lookup::keys(&*self.runner.engine, job, fingerprint)
                .await
                .map_err(|error| {
                    let fault = Fault::workspace(error.to_string());
                    Failure::fault(None, "computing the cache key: ", fault)
                })?;
        }
        let mut ran = false;
        for (index, step) in steps.iter().enumerate().skip(start) {
            if job.skip.contains(&index) {
                continue;
            }
            let context = render::context(&self.job.task, previous.as_deref());
            let runs = render::condition(step, &context)
                .map_err(|error| Failure::template(index, error))?;
            if !runs {
                self.containers.discard(index);
                self.tell(Reported::StepSkipped { step: index });
                continue;
            }
            if self.workspace.is_none() {
                let known = job.resume.as_ref().map(|resume| &*resume.result);
                self.begin(index, &context, known)
                    .instrument(tracing::info_span!("workspace"))
                    .await?;
            }
            let Known { seen, kept } = step::run(self, index, context).await?;
            ran = true;
            self.stage = Stage::Between;
            self.hooks.voice.set_step(None);
            self.tell(Reported::StepDone { result: &seen });
            self.remember(&seen, kept).await;
            previous = Some(seen);
        }
        Ok((previous, !ran))
    }

    /// The task's time is over.
    fn too_long(&mut self) -> Failure {
        let step = match self.stage {
            Stage::Between => None,
            Stage::Preparing(step) | Stage::Running(step) => Some(step),
        };
        let failure = Failure::timeout(step, self.runner.settings.task_timeout);
        if let Stage::Preparing(step) = self.stage {
            self.tell(Reported::PreparingFailed {
                step,
                error: &failure.message,
            });
        }
        if let Some(step) = step {
            self.tell(Reported::StepFailed {
                step,
                failure: &failure,
            });
        }
        self.end_log(&failure.summary);
        failure
    }

    /// Notes in the log why the running step, if there is one, did not come to its end.
    fn end_log(&mut self, reason: &str) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.end(Some(reason))
        {
            tracing::warn!(%error, "the end of a task's log could not be written");
        }
    }

    pub(super) fn tell(&self, what: Reported<'_>) {
        self.runner.report.report(self.index, what);
    }

    pub(super) fn workspace(&self) -> Result<&Workspace, Fault> {
        self.workspace.as_ref().ok_or_else(no_workspace)
    }

    pub(super) fn workspace_mut(&mut self) -> Result<&mut Workspace, Fault> {
        self.workspace.as_mut().ok_or_else(no_workspace)
    }

    /// The name of the task's log and directory.
    fn name(&self) -> String {
        // People read it, and paste it into a shell.
        let slug = lookup::cache_slug(self.job).replace(char::is_control, "-");
        let name = format!("{:04}-{slug}", self.index);
        // It is part of the paths of an overlay's layers, where these have a meaning.
        let name = name.replace([',', ':', '\\', '"'], "-");
        // A long name of a repository must not make the directory's name too long for the file system.
        name[..name.floor_char_boundary(100)].to_owned()
    }

    /// Makes the log, unless it is there.
    fn open_log(&mut self) -> Result<(), Fault> {
        if self.log.is_some() {
            return Ok(());
        }
        let runner = self.runner;
        let path = runner.logs.join(format!("{}.log", self.name()));
        let log = fs_err::create_dir_all(&runner.logs)
            .and_then(|()| StepLog::create(&path, runner.settings.log_limit))
            .map_err(|error| Fault::disk("creating the log of the task", &error))?;
        self.log = Some(log);
        Ok(())
    }

    /// Writes what plugins have said to the log.
    pub(super) fn log_plugins(&mut self) {
        let lines = self.hooks.voice.take_lines();
        if lines.is_empty() {
            return;
        }
        let opened = self.open_log().map_err(|fault| fault.message);
        let written = opened.and_then(|()| {
            let log = self.log.iter_mut();
            let mut lines = log.flat_map(|log| lines.iter().map(|line| log.line(line)));
            lines
                .try_for_each(|written| written)
                .map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            tracing::warn!(%error, "what plugins said could not be written to a task's log");
        }
    }

    /// Makes the workspace for the steps from `first` on, and brings it to the state that `known` describes. The making of the
    /// containers of the first steps begins, too: as early as they may see the workspace.
    async fn begin(
        &mut self,
        first: usize,
        context: &StepContext,
        known: Option<&StepResult>,
    ) -> Result<(), Box<Failure>> {
        let fault = |fault| Box::new(Failure::fault(None, "", fault));
        prepare::begin(self, first, context);
        self.make_workspace().await.map_err(fault)?;
        // What plugins leave half-prepared is made anew, which no container may have seen.
        let is_final = !self.hooks.have(Hook::Workspace);
        if is_final {
            prepare::first(self, first, context).map_err(fault)?;
        }
        self.lay_out(known).await?;
        if !is_final {
            prepare::first(self, first, context).map_err(fault)?;
        }
        Ok(())
    }

    /// Makes the workspace, in which the commit may not be laid out yet.
    async fn make_workspace(&mut self) -> Result<(), Fault> {
        self.tell(Reported::Workspace);
        let runner = self.runner;
        self.open_log()?;
        let home = runner.workspaces.join(self.name());
        let layout = layout(self.job, &self.hooks);
        let origin = self.job.base.open().await?;
        // Kept at once, so that it is put away also if what follows fails.
        self.workspace = Some(match &self.job.base {
            Base::Commit(_) | Base::Later(_) => {
                // What is shown is there only as long as this process.
                let checkouts = match runner.settings.keep_workspaces {
                    true => &Checkouts::own(),
                    false => &runner.checkouts,
                };
                Workspace::make(&runner.git, home, &origin, layout, checkouts).await?
            }
            Base::Into { directory, .. } => {
                let (root, own) = (directory.clone(), Checkouts::own());
                Workspace::make_in(&runner.git, home, root, &origin, layout, &own).await?
            }
            Base::InPlace(_) => Workspace::in_place(&runner.git, home, &origin).await?,
        });
        self.origin = Some(origin);
        Ok(())
    }

    /// Lays out the commit, has plugins prepare it, and brings the workspace to the state that `known` describes.
    async fn lay_out(&mut self, known: Option<&StepResult>) -> Result<(), Box<Failure>> {
        let fault = |fault| Box::new(Failure::fault(None, "", fault));
        let job = self.job;
        let layout = layout(job, &self.hooks);
        let mut without = Vec::new();
        loop {
            let in_place = matches!(job.base, Base::InPlace(_));
            if let (false, Some(origin)) = (in_place, self.origin.clone()) {
                let workspace = self.workspace_mut().map_err(fault)?;
                workspace.check_out(&origin, layout).await.map_err(fault)?;
            }
            if !self.hooks.have(Hook::Workspace) {
                break;
            }
            let can_undo = !in_place;
            let root = self.workspace().map_err(fault)?.root().to_path_buf();
            let failed = self.hooks.prepare(&root, &without, can_undo).await;
            self.log_plugins();
            let Some(failed) = failed? else {
                // Steps may run as somebody else, and git has to read what the plugins made.
                self.after_step().await.map_err(fault)?;
                self.workspace_mut().map_err(fault)?.forget_diff();
                break;
            };
            without.push(failed);
            if let Some(origin) = self.origin.clone() {
                let workspace = self.workspace_mut().map_err(fault)?;
                workspace.clear(&origin, layout).await.map_err(fault)?;
            }
        }
        let Some(known) = known else {
            return Ok(());
        };
        let has_prepared = self.hooks.have(Hook::Workspace);
        let limit = self.runner.settings.diff_limit;
        let workspace = self.workspace_mut().map_err(fault)?;
        if has_prepared {
            // The known diff has it already.
            let prepared = workspace.diff(limit).await.map_err(fault)?;
            workspace.take_back(&prepared).await.map_err(fault)?;
        }
        workspace.apply(&known.diff).await.map_err(fault)
    }

    /// Keeps a step's result for later runs. Not being able to costs time then, but no result now.
    ///
    /// Whoever keeps results elsewhere is told the one that is to be seen: it makes changesets of it.
    async fn remember(&mut self, seen: &StepResult, kept: Arc<StepResult>) {
        let Some(key) = self.keys.get(kept.step_index) else {
            return;
        };
        self.tell(Reported::Cacheable { key, result: seen });
        let cache = self.runner.cache.clone();
        let Some(cache) = cache.filter(|_| !self.hooks.are_incomplete()) else {
            return;
        };
        let (slug, key) = (lookup::cache_slug(self.job), key.clone());
        // Writing waits for the disk.
        let put = tokio::task::spawn_blocking(move || lookup::keep(&cache, &slug, &key, &kept));
        let put = put.await;
        if let Err(fault) = put.unwrap_or_else(|error| Err(Fault::workspace(error.to_string()))) {
            let reason = &fault.message;
            self.tell(Reported::CacheGivenUp { reason });
        }
    }

    /// Throws containers and workspace away; returns the workspace if it is to be kept.
    async fn put_away(&mut self) -> Option<PathBuf> {
        self.containers.discard_all().await;
        let mut workspace = self.workspace.take()?;
        self.runner.engine.forget(&workspace.files()).await;
        if self.runner.settings.keep_workspaces {
            return Some(workspace.root().to_path_buf());
        }
        if let Err(fault) = self.remove(&mut workspace).await {
            tracing::warn!(%fault, "a workspace could not be removed");
        }
        None
    }
}

/// A step's result.
pub(super) struct Known {
    /// As templates, events and changesets see it.
    pub(super) seen: Arc<StepResult>,
    /// With the diff as git printed it, from which a later run goes on. Without plugins the same.
    pub(super) kept: Arc<StepResult>,
}

/// A result as it is to be seen: with its diff as plugins make it.
async fn seen(hooks: &Hooks, kept: Arc<StepResult>) -> Result<Arc<StepResult>, Box<Failure>> {
    let step = kept.step_index;
    match hooks.process_diff(step, &kept.diff).await? {
        None => Ok(kept),
        Some(diff) => Ok(Arc::new(StepResult {
            changed_files: changed_files(&diff)
                .map_err(|fault| Failure::fault(Some(step), "", fault))?,
            diff,
            ..StepResult::clone(&kept)
        })),
    }
}

fn layout<'j>(job: &'j Job, hooks: &Hooks) -> Layout<'j> {
    let task = &job.task;
    // A component runs in this process. What a template turns into is not known yet.
    let by_runner = |step: &Step| is_component(&step.container) || step.container.contains("${{");
    Layout {
        only: if task.only_fetch_workspace {
            &task.path
        } else {
            ""
        },
        patterns: &[],
        visible_git: match job.base {
            // Its containers were made before it was known where the objects are.
            Base::Into { .. } => VisibleGit::Sharing,
            Base::Commit(_) | Base::InPlace(_) | Base::Later(_) => VisibleGit::Borrowing,
        },
        by_runner: job.resume.is_some()
            || hooks.have(Hook::Workspace)
            || task.steps.iter().any(by_runner),
    }
}

/// The files that a diff touches.
pub(super) fn changed_files(diff: &[u8]) -> Result<ChangedFiles, Fault> {
    Diff::parse(diff)
        .map(|parsed| parsed.changed_files())
        .map_err(|error| Fault::workspace(format!("getting changed files in step: {error}")))
}

fn no_workspace() -> Fault {
    Fault::workspace("there is no workspace yet")
}
