//! One task from its first step to its last.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use capstan_core::diff::Encoding;
use capstan_core::result::StepResult;
use capstan_core::template::StepContext;
use tokio_util::sync::CancellationToken;

use super::containers::Containers;
use super::failure::Failure;
use super::lookup::Keys;
use super::report::Reported;
use super::step_log::StepLog;
use super::{Base, Finished, Job, Outcome, Runner, lookup, prepare, render, step};
use crate::fault::Fault;
use crate::sandbox::{Engine, Image};
use crate::workspace::{Layout, Workspace};

/// A task on its way: what must be put away however it ends.
pub(super) struct Progress<'a, E: Engine> {
    pub(super) runner: &'a Runner<E>,
    pub(super) index: usize,
    pub(super) job: &'a Job,
    pub(super) containers: Containers<E>,
    pub(super) stage: Stage,
    /// The last image that ran: files it left behind may need its root to be put away.
    pub(super) image: Option<Image>,
    pub(super) log: Option<StepLog>,
    /// The cache keys of the steps, as they were before any ran.
    pub(super) keys: Keys,
    /// Whether a step has run in the workspace.
    pub(super) written: bool,
    workspace: Option<Workspace>,
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
        containers: Containers::new(Arc::clone(&runner.engine)),
        stage: Stage::Between,
        image: None,
        log: None,
        keys: Keys::default(),
        written: false,
        workspace: None,
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
            Err(failure) => Outcome::Failed(*failure),
        },
        () = tokio::time::sleep(runner.settings.task_timeout) => {
            Outcome::Failed(progress.too_long())
        }
    };
    let log = progress.log.as_ref().map(|log| log.path().to_path_buf());
    let workspace = progress.put_away().await;
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
        let mut previous = self
            .job
            .resume
            .as_ref()
            .map(|resume| Arc::clone(&resume.result));
        let start = previous.as_ref().map_or(0, |result| result.step_index + 1);
        if start < steps.len() {
            if start > 0 {
                self.tell(Reported::Resumed { start });
            }
            // Before any step runs: it may change what is mounted.
            self.keys = lookup::keys(&*self.runner.engine, self.job)
                .await
                .map_err(|error| {
                    let fault = Fault::workspace(error.to_string());
                    Failure::fault(None, "computing the cache key: ", fault)
                })?;
        }
        let mut ran = false;
        for (index, step) in steps.iter().enumerate().skip(start) {
            let context = render::context(&self.job.task, previous.as_deref());
            let runs = render::condition(step, &context)
                .map_err(|error| Failure::template(index, error))?;
            if !runs {
                self.containers.discard(index);
                self.tell(Reported::StepSkipped { step: index });
                continue;
            }
            if self.workspace.is_none() {
                self.make_workspace(index, &context, previous.as_deref())
                    .await
                    .map_err(|fault| Failure::fault(None, "", fault))?;
            }
            let result = Arc::new(step::run(self, index, context).await?);
            ran = true;
            self.stage = Stage::Between;
            self.tell(Reported::StepDone { result: &result });
            self.remember(&result).await;
            previous = Some(result);
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

    /// Makes the workspace for the steps from `first` on and brings it to the state after `previous`. The containers of the
    /// first steps are made at the same time.
    async fn make_workspace(
        &mut self,
        first: usize,
        context: &StepContext,
        previous: Option<&StepResult>,
    ) -> Result<(), Fault> {
        self.tell(Reported::Workspace);
        let runner = self.runner;
        // People read it, and paste it into a shell.
        let slug = lookup::cache_slug(self.job).replace(char::is_control, "-");
        let name = format!("{:04}-{slug}", self.index);
        // A long name of a repository must not make the directory's name too long for the file system.
        let name = &name[..name.floor_char_boundary(100)];
        let log = runner.logs.join(format!("{name}.log"));
        self.log = Some(
            fs_err::create_dir_all(&runner.logs)
                .and_then(|()| StepLog::create(&log, runner.settings.log_limit))
                .map_err(|error| Fault::disk("creating the log of the task", &error))?,
        );
        let home = runner.workspaces.join(name);
        let task = &self.job.task;
        let layout = Layout {
            only: if task.only_fetch_workspace {
                &task.path
            } else {
                ""
            },
            visible_git: true,
        };
        // Kept at once, so that it is put away also if what follows fails.
        self.workspace = Some(match &self.job.base {
            Base::Commit(origin) => Workspace::make(&runner.git, home, origin, layout)?,
            Base::InPlace(origin) => Workspace::in_place(&runner.git, home, origin).await?,
        });
        prepare::first(self, first, context)?;
        let base = &self.job.base;
        let workspace = self.workspace_mut()?;
        if let Base::Commit(origin) = base {
            workspace.check_out(origin, layout).await?;
        }
        match previous {
            Some(previous) => workspace.apply(&previous.diff).await,
            None => Ok(()),
        }
    }

    /// Keeps a step's result for later runs. Not being able to costs time then, but no result now.
    async fn remember(&mut self, result: &Arc<StepResult>) {
        let Some(key) = self.keys.get(result.step_index) else {
            return;
        };
        self.tell(Reported::Cacheable { key, result });
        let Some(cache) = self.runner.cache.clone() else {
            return;
        };
        let (slug, key) = (lookup::cache_slug(self.job), key.clone());
        let result = Arc::clone(result);
        // Writing waits for the disk.
        let put = tokio::task::spawn_blocking(move || {
            cache.put(&slug, &key, result.to_json(Encoding::Base64).as_bytes())
        });
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
        if self.runner.settings.keep_workspaces {
            return Some(workspace.root().to_path_buf());
        }
        if let Err(fault) = self.remove(&mut workspace).await {
            tracing::warn!(%fault, "a workspace could not be removed");
        }
        None
    }
}

fn no_workspace() -> Fault {
    Fault::workspace("there is no workspace yet")
}
