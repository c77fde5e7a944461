//! One task from its first step to its last.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use capstan_core::diff::Encoding;
use capstan_core::result::StepResult;
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use super::failure::Failure;
use super::report::Reported;
use super::step_log::StepLog;
use super::{Base, Finished, Job, Outcome, Runner, lookup, render, step};
use crate::fault::Fault;
use crate::sandbox::{Engine, Gated, Image, User};
use crate::workspace::{Layout, Tidied, Workspace};

/// A task on its way: what must be put away however it ends.
pub(super) struct Progress<'a, E: Engine> {
    pub(super) runner: &'a Runner<E>,
    pub(super) index: usize,
    pub(super) job: &'a Job,
    /// Containers of later steps.
    pub(super) ahead: Ahead<E>,
    /// The container of the step that runs.
    pub(super) current: Option<E::Container>,
    /// The step that has begun, for a timeout's report.
    pub(super) step: Option<usize>,
    /// The last image that ran: files it left behind may need its root to be put away.
    pub(super) image: Option<Image>,
    pub(super) log: Option<StepLog>,
    /// Whether a step has run in the workspace.
    written: bool,
    workspace: Option<Workspace>,
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
    runner.report.report(index, Reported::Started);
    let mut progress = Progress {
        runner,
        index,
        job,
        ahead: Ahead::new(Arc::clone(&runner.engine)),
        current: None,
        step: None,
        image: None,
        log: None,
        written: false,
        workspace: None,
    };
    let limit = runner.settings.task_timeout;
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Outcome::Cancelled,
        ended = progress.drive() => match ended {
            Ok((result, cached)) => Outcome::Done { result, cached },
            Err(failure) => Outcome::Failed(*failure),
        },
        () = tokio::time::sleep(limit) => {
            let failure = Failure::timeout(progress.step, limit);
            if let Some(step) = progress.step {
                runner.report.report(index, Reported::StepFailed { step, failure: &failure });
            }
            Outcome::Failed(failure)
        }
    };
    let log = progress.log.as_ref().map(|log| log.path().to_path_buf());
    let workspace = progress.put_away().await;
    runner.report.report(
        index,
        match &outcome {
            Outcome::Done { result, cached } => Reported::Done {
                cached: *cached,
                result: result.as_deref(),
            },
            Outcome::Failed(failure) => Reported::Failed { failure },
            Outcome::Cancelled => Reported::Cancelled,
        },
    );
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
        if start > 0 && start < steps.len() {
            self.tell(Reported::Resumed { start });
        }
        let mut ran = false;
        for (index, step) in steps.iter().enumerate().skip(start) {
            self.step = Some(index);
            let context = render::context(&self.job.task, previous.as_deref());
            let runs = render::condition(step, &context)
                .map_err(|error| Failure::template(index, error))?;
            if !runs {
                self.ahead.discard(index).await;
                self.tell(Reported::StepSkipped { step: index });
                continue;
            }
            if self.workspace.is_none() {
                self.make_workspace(previous.as_deref())
                    .await
                    .map_err(|fault| Failure::fault(None, "creating workspace: ", fault))?;
            }
            let result = Arc::new(step::run(self, index, context).await?);
            ran = true;
            self.remember(&result);
            self.tell(Reported::StepDone { result: &result });
            previous = Some(result);
        }
        self.step = None;
        Ok((previous, !ran))
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

    /// Makes the workspace and brings it to the state after `previous`.
    async fn make_workspace(&mut self, previous: Option<&StepResult>) -> Result<(), Fault> {
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
        let workspace = match &self.job.base {
            Base::Commit(origin) => {
                let only = if task.only_fetch_workspace {
                    task.path.as_str()
                } else {
                    ""
                };
                let layout = Layout {
                    only,
                    visible_git: true,
                };
                Workspace::create(&runner.git, home, origin, layout).await?
            }
            Base::InPlace(origin) => Workspace::in_place(&runner.git, home, origin).await?,
        };
        let workspace = self.workspace.insert(workspace);
        match previous {
            Some(previous) => workspace.apply(&previous.diff).await,
            None => Ok(()),
        }
    }

    /// Keeps a step's result for later runs. Not being able to costs time then, but no result now.
    fn remember(&self, result: &StepResult) {
        let keys = match lookup::keys(self.job) {
            Ok(keys) => keys,
            // What is mounted has become unreadable while the step ran; a later step will say so.
            Err(error) => {
                tracing::warn!(%error, "the result of a step is not kept");
                return;
            }
        };
        let Some(key) = keys.get(result.step_index) else {
            return;
        };
        self.tell(Reported::Cacheable { key, result });
        let Some(cache) = &self.runner.cache else {
            return;
        };
        let content = result.to_json(Encoding::Base64);
        let slug = lookup::cache_slug(self.job);
        if let Err(fault) = cache.put(&slug, key, content.as_bytes()) {
            let reason = &fault.message;
            self.tell(Reported::CacheGivenUp { reason });
        }
    }

    /// Before a step that does not run as root: earlier steps may have left files that only root may change.
    pub(super) async fn before_step(&mut self, image: &Image) -> Result<(), Fault> {
        let as_root = self.runner.settings.user == User::Root || is_root(&image.user);
        if as_root || !self.written || !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        self.settle().await
    }

    /// After a step: without root rights, what the container wrote as somebody else has to be taken back at once,
    /// or git could not read it.
    pub(super) async fn after_step(&mut self) -> Result<(), Fault> {
        self.written = true;
        if rustix::process::geteuid().is_root() {
            Ok(())
        } else {
            self.settle().await
        }
    }

    async fn settle(&mut self) -> Result<(), Fault> {
        let image = self.image.clone();
        for _ in 0..2 {
            let workspace = self.workspace_mut()?;
            match (workspace.settle().await?, &image) {
                (Tidied::Done, _) => return Ok(()),
                (Tidied::NeedsReclaim { .. }, Some(image)) => {
                    let root = workspace.root().to_path_buf();
                    self.runner.engine.reclaim(image, &root).await?;
                }
                (Tidied::NeedsReclaim { .. }, None) => break,
            }
        }
        Err(Fault::workspace(
            "files that a step wrote cannot be read by the user that runs Capstan",
        )
        .hint("run Capstan as root, or use an image whose user has your own user id"))
    }

    /// Throws containers and workspace away; returns the workspace if it is to be kept.
    async fn put_away(&mut self) -> Option<PathBuf> {
        if let Some(container) = self.current.take() {
            container.discard().await;
        }
        self.ahead.discard_all().await;
        let mut workspace = self.workspace.take()?;
        if self.runner.settings.keep_workspaces {
            return Some(workspace.root().to_path_buf());
        }
        if let Err(fault) = self.remove(&mut workspace).await {
            tracing::warn!(%fault, "a workspace could not be removed");
        }
        None
    }

    async fn remove(&mut self, workspace: &mut Workspace) -> Result<(), Fault> {
        match (workspace.remove().await?, &self.image) {
            (Tidied::NeedsReclaim { .. }, Some(image)) => {
                self.runner.engine.reclaim(image, workspace.root()).await?;
                workspace.remove().await.map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

fn no_workspace() -> Fault {
    Fault::workspace("there is no workspace yet")
}

/// Whether an image's user is root; its group does not matter.
fn is_root(user: &str) -> bool {
    matches!(
        user.split(':').next().unwrap_or_default(),
        "" | "0" | "root"
    )
}
