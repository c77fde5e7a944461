//! `capstan:plugin/job`.

use wasmtime::component::Resource;

use super::StepHandle;
use crate::bindings::host::job::{Host, HostJob};
use crate::state::State;

/// The job; there is only one, that of the caller.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct JobHandle;

impl Host for State {}

impl HostJob for State {
    fn batch_change(&mut self, _: Resource<JobHandle>) -> wasmtime::Result<String> {
        Ok(self.caller.job.batch_change.clone())
    }

    fn repository(&mut self, _: Resource<JobHandle>) -> wasmtime::Result<String> {
        Ok(self.caller.job.repository.clone())
    }

    fn branch(&mut self, _: Resource<JobHandle>) -> wasmtime::Result<String> {
        Ok(self.caller.job.branch.clone())
    }

    fn commit(&mut self, _: Resource<JobHandle>) -> wasmtime::Result<String> {
        Ok(self.caller.job.commit.clone())
    }

    fn path(&mut self, _: Resource<JobHandle>) -> wasmtime::Result<String> {
        Ok(self.caller.job.path.clone())
    }

    fn step_count(&mut self, _: Resource<JobHandle>) -> wasmtime::Result<u32> {
        Ok(self.caller.job.steps.len().try_into().unwrap_or(u32::MAX))
    }

    fn step(
        &mut self,
        _: Resource<JobHandle>,
        number: u32,
    ) -> wasmtime::Result<Option<Resource<StepHandle>>> {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        match index.filter(|index| *index < self.caller.job.steps.len()) {
            Some(index) => self.hand_out(StepHandle::OfJob(index)).map(Some),
            None => Ok(None),
        }
    }

    /// This version knows none beyond its functions.
    fn attribute(&mut self, _: Resource<JobHandle>, _: String) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }

    fn drop(&mut self, job: Resource<JobHandle>) -> wasmtime::Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}
