//! Jobs go on although the machine has failed them: its container engine was restarted, for example.
//!
//! What a step had done by then is never built upon. A batch job goes on after the last result that was told, in a fresh workspace; any other
//! job begins anew.

use std::sync::Arc;
use std::time::Duration;

use capstan_core::plugin::Hook;
use capstan_core::result::StepResult;
use capstan_engine::run::{Job as Task, Outcome, Report, Resume, Runner, Settings};

use super::{Ending, Engines, Running, ending};

/// Waits before a job goes on for which the machine was not fit.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// The waits of jobs with these settings. The containers of a pod run once.
pub(super) fn pauses(settings: &super::Settings) -> &'static [Duration] {
    match settings.volume {
        Some(_) => &[],
        None => &PAUSES,
    }
}

/// Tells of a task that may be run several times.
pub(super) trait Retold: Send + Sync {
    /// Another attempt begins. If the machine is to blame for its failure and it `may_go_on`, there is one more.
    fn attempt(&self, number: usize, may_go_on: bool);

    /// The last result that the server was told.
    fn last_result(&self) -> Option<Arc<StepResult>>;
}

/// Runs a task of a batch job to its end.
///
/// # Errors
/// If there is no place for it.
pub(super) async fn run<S: Engines>(
    running: &Running<'_, S>,
    task: &mut Task,
    settings: &Settings,
    report: &Arc<dyn Report>,
    retold: &dyn Retold,
) -> Result<(Arc<Runner<S::Engine>>, Option<Outcome>), Ending> {
    // The results of steps as they are told are what a later run goes on from, unless plugins have changed their diffs.
    let mut pauses = match running.context.plugins.have(Hook::Diff) {
        true => [].iter(),
        false => pauses(&running.context.settings).iter(),
    };
    let mut attempt = 0;
    loop {
        let mut runner = running.runner(settings.clone(), Arc::clone(report));
        runner.workspaces = running.place.tasks().join(attempt.to_string());
        fs_err::create_dir(&runner.workspaces)
            .map_err(|error| Ending::Errored(format!("making the job's workspace: {error}")))?;
        let runner = Arc::new(runner);
        retold.attempt(attempt, pauses.len() > 0);
        let finished = Box::pin(runner.run(vec![task.clone()], 1, false)).await;
        let outcome = finished.into_iter().next().map(|finished| finished.outcome);
        let passes =
            matches!(&outcome, Some(Outcome::Failed(failure)) if ending::may_pass(failure));
        let (true, Some(pause)) = (passes, pauses.next()) else {
            return Ok((runner, outcome));
        };
        running.pause(*pause).await;
        if let Some(result) = retold.last_result() {
            task.resume = Some(Resume { result });
        }
        attempt += 1;
    }
}
