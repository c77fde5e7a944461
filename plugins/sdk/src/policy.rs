//! The `policy` hook.

use crate::{Changes, Decision, Job, Result, Step, Verdict};

/// Decides what may run and what may leave. What is not implemented keeps. An error counts as a refusal.
pub trait Policy {
    /// Before anything of the job is done, when nothing has been cloned yet. Texts of steps are not rendered.
    fn check_job(job: &Job) -> Result<Decision> {
        let _ = job;
        Ok(Decision::Keep)
    }

    /// Before a step runs, everything about it being rendered.
    fn check_step(job: &Job, step: &Step) -> Result<Decision> {
        let _ = (job, step);
        Ok(Decision::Keep)
    }

    /// After a step, with the diff as `diff` plugins made it; cumulative.
    fn check_diff(job: &Job, changes: &Changes) -> Result<Verdict> {
        let _ = (job, changes);
        Ok(Verdict::Keep)
    }
}
