//! Many tasks side by side.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use capstan_core::wasm_step::is_component;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use super::failure::{Cause, Failure};
use super::networks::Networks;
use super::report::Reported;
use super::{Finished, Job, Outcome, Runner, ahead, task};
use crate::fault::Fault;
use crate::sandbox::Engine;

/// What the tasks of a run have in common besides their [`Runner`].
pub(super) struct Common {
    pub(super) networks: Arc<Networks>,
    /// Most containers that each may have made ahead.
    pub(super) ahead: usize,
}

impl Common {
    /// For these jobs, of which `parallel` run at a time.
    fn of<E: Engine>(runner: &Runner<E>, jobs: &[Job], parallel: usize) -> Self {
        let steps = jobs.iter().flat_map(|job| &job.task.steps);
        let steps = steps.filter(|step| !is_component(&step.container)).count();
        let slots = parallel.min(jobs.len()).max(1);
        Self {
            networks: Networks::new(&runner.settings, steps, slots),
            ahead: ahead::most(&runner.settings, runner.engine.memory(), slots),
        }
    }

    /// For one job whose steps are not known yet.
    pub(super) fn of_one<E: Engine>(runner: &Runner<E>) -> Self {
        Self::of(runner, &[], 1)
    }
}

pub(super) async fn run<E: Engine>(
    runner: &Arc<Runner<E>>,
    jobs: Vec<Job>,
    parallel: usize,
    fail_fast: bool,
) -> Vec<Finished> {
    // Stopping the run's own tasks must not cancel what the caller's token covers besides.
    let stop = runner.cancel.child_token();
    let common = Arc::new(Common::of(runner, &jobs, parallel));
    let mut finished = BTreeMap::new();
    let mut waiting = jobs.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut index_of = HashMap::new();
    loop {
        while running.len() < parallel.max(1)
            && let Some((index, job)) = waiting.next()
        {
            let (runner, stop, common) = (Arc::clone(runner), stop.clone(), Arc::clone(&common));
            let span = tracing::info_span!(
                "task",
                task.repository = job.task.repository.name,
                task.path = job.task.path,
                task.steps = job.task.steps.len(),
                otel.status_code = tracing::field::Empty,
            );
            let task = async move { task::run(&runner, index, &job, &stop, &common).await };
            let task = running.spawn(task.instrument(span));
            index_of.insert(task.id(), index);
        }
        let Some(ended) = running.join_next_with_id().await else {
            break;
        };
        let (id, one) = match ended {
            Ok((id, one)) => (id, Ok(one)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(index) = index_of.remove(&id) else {
            continue;
        };
        let one = one.unwrap_or_else(|error| abnormal(runner, index, &error));
        if ends_the_run(&one.outcome, fail_fast) {
            stop.cancel();
        }
        finished.insert(index, one);
    }
    finished.into_values().collect()
}

fn ends_the_run(outcome: &Outcome, fail_fast: bool) -> bool {
    match outcome {
        Outcome::Failed(failure) => fail_fast || failure.cause == Cause::Environment,
        Outcome::Done { .. } | Outcome::Cancelled => false,
    }
}

/// The task panicked.
fn abnormal<E: Engine>(runner: &Runner<E>, index: usize, error: &JoinError) -> Finished {
    tracing::error!(%error, "a task ended abnormally");
    let fault = Fault::workspace("the task ended abnormally")
        .hint("this is a defect of Capstan: please report it with the lines above");
    let failure = Failure::fault(None, "", fault);
    let what = Reported::Failed { failure: &failure };
    runner.report.report(index, what);
    Finished {
        outcome: Outcome::Failed(failure),
        log: None,
        workspace: None,
        elapsed: Duration::ZERO,
    }
}
