//! Many tasks side by side.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::failure::{Cause, Failure};
use super::{Finished, Job, Outcome, Runner, task};
use crate::fault::Fault;
use crate::sandbox::Engine;

pub(super) async fn run<E: Engine>(
    runner: &Arc<Runner<E>>,
    jobs: Vec<Job>,
    parallel: usize,
    fail_fast: bool,
) -> Vec<Finished> {
    // Stopping the run's own tasks must not cancel what the caller's token covers besides.
    let stop = runner.cancel.child_token();
    let mut finished: Vec<Option<Finished>> = Vec::new();
    finished.resize_with(jobs.len(), || None);
    let mut waiting = jobs.into_iter().enumerate();
    let mut running = JoinSet::new();
    loop {
        while running.len() < parallel.max(1)
            && let Some((index, job)) = waiting.next()
        {
            let (runner, stop) = (Arc::clone(runner), stop.clone());
            running.spawn(async move { (index, task::run(&runner, index, &job, &stop).await) });
        }
        match running.join_next().await {
            None => break,
            Some(Ok((index, one))) => {
                if ends_the_run(&one.outcome, fail_fast) {
                    stop.cancel();
                }
                finished[index] = Some(one);
            }
            // A task that panicked has no index; its place is filled below.
            Some(Err(error)) => tracing::error!(%error, "a task ended abnormally"),
        }
    }
    finished
        .into_iter()
        .map(|one| one.unwrap_or_else(abnormal))
        .collect()
}

fn ends_the_run(outcome: &Outcome, fail_fast: bool) -> bool {
    match outcome {
        Outcome::Failed(failure) => fail_fast || failure.cause == Cause::Environment,
        Outcome::Done { .. } | Outcome::Cancelled => false,
    }
}

fn abnormal() -> Finished {
    let fault = Fault::workspace("the task ended abnormally")
        .hint("this is a defect of Capstan: please report it with the lines above");
    Finished {
        outcome: Outcome::Failed(Failure::fault(None, "", fault)),
        log: None,
        workspace: None,
        elapsed: Duration::ZERO,
    }
}
