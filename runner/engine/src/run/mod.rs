//! The step loop: one task from its first step to its last, and many tasks side by side.
//!
//! [`Runner`] holds what all tasks share. [`Runner::run`] takes [`Job`]s, keeps up to a given number of them
//! going, tells everything that happens to a [`Report`], and returns one [`Finished`] per job, in the
//! order of the jobs. It decides nothing about people: texts on a terminal, files and exit codes are the caller's.

mod ahead;
mod capture;
mod containers;
mod duration;
mod event_lines;
mod failure;
mod hooks;
mod lookup;
mod mounts;
mod networks;
mod outlet;
mod ownership;
mod plain;
mod plugin_report;
mod prepare;
mod preview;
mod render;
mod report;
mod schedule;
mod shape;
mod slots;
mod step;
mod step_log;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use capstan_core::redact::Secrets;
use capstan_core::result::StepResult;
use capstan_core::spec::ResolvedMount;
use capstan_core::task::Task;
use tokio_util::sync::CancellationToken;

pub use self::duration::go_duration;
pub use self::event_lines::EventLines;
pub use self::failure::{Cause, Failure};
pub use self::lookup::{KnownResults, Resume, certain_containers};
pub use self::mounts::{MountsError, metadata as mounts_metadata};
pub use self::plain::PlainRun;
pub use self::plugin_report::{PluginReport, Refused};
pub use self::preview::{Preview, StepPreview, certain_images, preview};
pub use self::report::{Report, Reported, Silent};
pub use self::slots::{UnknownImage, slots};

use crate::cache::StepCache;
use crate::fault::Fault;
use crate::git::Git;
use crate::plugins::Plugins;
use crate::repository::Origin;
use crate::sandbox::{BindMount, Engine, Limits, User, WORK};
use crate::workspace::Checkouts;

/// How steps are run; the same for all tasks of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who steps run as.
    pub user: User,
    /// What a step's container may use.
    pub limits: Limits,
    /// Network mode of the containers; `None`: the engine's default.
    pub network: Option<String>,
    /// Platform of the containers; `None`: the engine's own.
    pub platform: Option<String>,
    /// Mounts that every step gets, after its own.
    pub mounts: Vec<BindMount>,
    /// Where containers see the workspace: an absolute path.
    pub place: String,
    /// Further names of hosts that containers know: `name:address`.
    pub hosts: Vec<String>,
    /// Longest run of one step; `None`: bounded by the task only.
    pub step_timeout: Option<Duration>,
    /// Longest run of one task, workspace included.
    pub task_timeout: Duration,
    /// Most containers beyond the running step's that are made before they are due; how many are depends on how long steps take, and on
    /// what memory limits leave room for.
    pub prepare_ahead: usize,
    /// How many bytes of each output stream of a step are kept for templates, outputs and results.
    pub capture_limit: usize,
    /// How many bytes of output of one step go to the task's log.
    pub log_limit: u64,
    /// Largest diff of a workspace, in bytes.
    pub diff_limit: usize,
    /// Whether workspaces stay on disk when their task is over.
    pub keep_workspaces: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: User::Image,
            limits: Limits::default(),
            network: None,
            platform: None,
            mounts: Vec::new(),
            place: WORK.to_owned(),
            hosts: Vec::new(),
            step_timeout: None,
            task_timeout: Duration::from_secs(60 * 60),
            prepare_ahead: 4,
            capture_limit: 8 << 20,
            log_limit: 64 << 20,
            diff_limit: 512 << 20,
            keep_workspaces: false,
        }
    }
}

/// Where the files of a job are.
#[derive(Debug, Clone)]
pub enum Base {
    /// In a repository: the commit is laid out in a workspace of its own, which is removed at the end.
    Commit(Arc<Origin>),
    /// In the working tree of this repository: steps run right there, and what they do stays
    /// (facts/batch-spec.md 4.4).
    InPlace(Arc<Origin>),
    /// As [`Base::Commit`], but the repository is only got when a step is certain to run: after policies have agreed to the job.
    Later(Arc<dyn GetOrigin>),
    /// As [`Base::Later`], but laid out in a directory that is there before, and empty: containers that are there already see it. It stays.
    Into {
        /// Gets the repository.
        origin: Arc<dyn GetOrigin>,
        /// The directory of the files.
        directory: PathBuf,
    },
}

/// Gets a repository when it is needed.
pub trait GetOrigin: fmt::Debug + Send + Sync {
    /// Gets it.
    ///
    /// # Errors
    /// A fault that says why it cannot be had.
    fn get(&self) -> Pin<Box<dyn Future<Output = Result<Arc<Origin>, Fault>> + Send + '_>>;
}

impl Base {
    /// The commit that diffs are against, if it is known before the job runs.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        match self {
            Self::Commit(origin) | Self::InPlace(origin) => Some(origin),
            Self::Later(_) | Self::Into { .. } => None,
        }
    }

    async fn open(&self) -> Result<Arc<Origin>, Fault> {
        match self {
            Self::Commit(origin) | Self::InPlace(origin) => Ok(Arc::clone(origin)),
            Self::Later(getter) | Self::Into { origin: getter, .. } => getter.get().await,
        }
    }
}

/// One task and where its files come from.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task.
    pub task: Arc<Task>,
    /// What its workspace is made of.
    pub base: Base,
    /// Values for forwarded environment variables.
    pub outer_environment: Arc<BTreeMap<String, String>>,
    /// Directory that relative mount paths start from.
    pub mount_directory: PathBuf,
    /// The host paths of all steps' mounts.
    pub mounts: Arc<[ResolvedMount]>,
    /// What is taken out of all that people see of it.
    pub secrets: Secrets,
    /// What is already known of its result.
    pub resume: Option<Resume>,
    /// Steps, from 0, of which somebody else has decided that they do not run. Nothing is told of them.
    pub skip: BTreeSet<usize>,
}

impl Job {
    /// The result of its last step, if that is known: then nothing has to run.
    pub fn known(&self) -> Option<&Arc<StepResult>> {
        let known = &self.resume.as_ref()?.result;
        (known.step_index + 1 == self.task.steps.len()).then_some(known)
    }
}

/// What became of a job.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// The task's log; `None` if no step had to run and no plugin was called.
    pub log: Option<PathBuf>,
    /// The workspace that was kept, where that was asked for.
    pub workspace: Option<PathBuf>,
    /// From its start to its end.
    pub elapsed: Duration,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps ran, were skipped or were known.
    Done {
        /// The last executed step's result; `None` when every step was skipped.
        result: Option<Arc<StepResult>>,
        /// Whether the result was known without running anything.
        cached: bool,
    },
    /// It stopped at a failure.
    Failed(Failure),
    /// It was stopped, or never started, because the run was cancelled.
    Cancelled,
}

/// What all tasks of a run share.
pub struct Runner<E> {
    /// The engine.
    pub engine: Arc<E>,
    /// Git.
    pub git: Git,
    /// Private directory in which workspaces are made; exists.
    pub workspaces: PathBuf,
    /// How workspaces get their files.
    pub checkouts: Checkouts,
    /// Directory of the tasks' logs; made when the first is written.
    pub logs: PathBuf,
    /// Step results on disk; `None`: neither read nor written.
    pub cache: Option<StepCache>,
    /// What is called in every job.
    pub plugins: Plugins,
    /// Settings.
    pub settings: Settings,
    /// Who is told.
    pub report: Arc<dyn Report>,
    /// Cancels everything.
    pub cancel: CancellationToken,
}

impl<E: Engine> Runner<E> {
    /// Runs `jobs`, at most `parallel` at a time (at least one), and returns what became of each, in their order.
    ///
    /// A fault of the machine ([`crate::fault::FaultClass::Environment`]) in one job stops the others: they would
    /// fail in the same way. Every other failure leaves them alone unless `fail_fast` is set.
    pub async fn run(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        parallel: usize,
        fail_fast: bool,
    ) -> Vec<Finished> {
        schedule::run(self, jobs, parallel, fail_fast).await
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
