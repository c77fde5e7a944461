//! Steps that are run to the letter in a directory of the caller's: a container each; no templates, no diffs, no results.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Instrument as _;

use super::containers::{Containers, Order, Site};
use super::failure::Failure;
use super::hooks::Hooks;
use super::plugin_report::Voice;
use super::report::Reported;
use super::schedule::Common;
use super::shape::Shape;
use super::step::{self, Around, Rendered};
use super::{Job, Outcome, Runner};
use crate::sandbox::{BindMount, Engine, Files, Image};

/// Runs the steps of a job one after the other, whenever the caller says so.
///
/// Of the job's steps the container and the script count, as they are, and the names of variables. Policies and filters of output are called.
pub struct PlainRun<'a, E: Engine> {
    runner: &'a Runner<E>,
    job: Job,
    workspace: PathBuf,
    containers: Containers<E>,
    hooks: Hooks,
    /// What containers get besides.
    mounts: Vec<BindMount>,
    /// The last image that ran.
    image: Option<Image>,
}

impl<'a, E: Engine> PlainRun<'a, E> {
    /// Asks policies whether `job` may run at all. Its steps will run in `workspace`, which need not exist yet.
    ///
    /// # Errors
    /// What a policy has against it.
    pub async fn begin(
        runner: &'a Runner<E>,
        job: Job,
        workspace: PathBuf,
    ) -> Result<Self, Box<Failure>> {
        let report = Arc::clone(&runner.report);
        let voice = Voice::new(report, 0, job.secrets.clone());
        let mut hooks = Hooks::new(&runner.plugins, Arc::new(voice));
        hooks.check_job(&job, &runner.settings).await?;
        Ok(Self {
            runner,
            job,
            workspace,
            containers: Containers::new(Arc::clone(&runner.engine), &Common::of_one(runner)),
            hooks,
            mounts: Vec::new(),
            image: None,
        })
    }

    /// Adds to what all containers have mounted.
    pub fn mount(&mut self, mounts: Vec<BindMount>) {
        self.mounts.extend(mounts);
    }

    /// Runs the step `index` with these variables in `directory`, a path below the workspace that exists.
    pub async fn step(
        &mut self,
        index: usize,
        directory: &str,
        env: BTreeMap<String, String>,
    ) -> Outcome {
        let (cancel, limit) = (&self.runner.cancel, self.runner.settings.task_timeout);
        let span = step::span(index, &self.job.task.steps[index].container);
        let trying = self.try_step(index, directory, env);
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Outcome::Cancelled,
            ran = trying.instrument(span.clone()) => match ran {
                Ok(()) => Outcome::Done { result: None, cached: false },
                Err(failure) => Outcome::Failed(*failure),
            },
            () = tokio::time::sleep(limit) => Outcome::Failed(Failure::timeout(Some(index), limit)),
        };
        if let Outcome::Failed(_) = &outcome {
            span.record("otel.status_code", "ERROR");
        }
        self.containers.discard_current();
        outcome
    }

    async fn try_step(
        &mut self,
        index: usize,
        directory: &str,
        env: BTreeMap<String, String>,
    ) -> Result<(), Box<Failure>> {
        let runner = self.runner;
        let (settings, step) = (&runner.settings, &self.job.task.steps[index]);
        let tell = |what: Reported<'_>| runner.report.report(0, what);
        tell(Reported::Preparing { step: index });
        let image = step.container.clone();
        let mut shape = Shape::of(&self.job, settings, index, image, env);
        // They may be secrets, wherever they come from.
        shape.forwarded = shape.env.keys().cloned().collect();
        self.hooks
            .check_step(&self.job, index, &step.run, &mut shape)
            .await?;
        self.containers
            .start(index, self.order(index, directory, &shape));
        let image = self.containers.take(index).await;
        let image = image.map_err(|error| step::not_made(index, &shape.image, error))?;
        self.image = Some(image);
        tell(Reported::Prepared { step: index });
        let rendered = Rendered {
            shape,
            script: step.run.clone(),
            files: BTreeMap::new(),
            late: BTreeMap::new(),
        };
        let around = Around {
            runner,
            job: &self.job,
            index: 0,
            containers: &mut self.containers,
            hooks: &self.hooks,
            log: None,
        };
        step::run_script(around, index, rendered).await.map(drop)
    }

    /// What the container of a step is made from.
    fn order(&self, index: usize, directory: &str, shape: &Shape) -> Order {
        let site = Site {
            purpose: format!("{} step {}", self.job.task.repository.name, index + 1),
            workspace: Files::Directory(self.workspace.clone()),
            directory: directory.to_owned(),
            files: Vec::new(),
            mounts: self.mounts.clone(),
        };
        Order::of(&self.runner.settings, shape, shape.env.clone(), site)
    }

    /// Waits until all containers are gone; tells the last image that ran, which may be needed to take its files back.
    pub async fn end(mut self) -> Option<Image> {
        self.containers.discard_all().await;
        self.image
    }
}
