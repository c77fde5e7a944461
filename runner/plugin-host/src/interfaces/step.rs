//! `capstan:plugin/step`: the getters of a step.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::bindings::host::step::{Host, HostStep, Mount};
use crate::job::Step;
use crate::state::State;

/// A step.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub enum StepHandle {
    /// One of the job's, by its index.
    OfJob(usize),
    /// The one that a hook is called for.
    Given(Arc<Step>),
}

impl State {
    fn step(&self, handle: &Resource<StepHandle>) -> wasmtime::Result<&Step> {
        Ok(match self.table.get(handle)? {
            StepHandle::OfJob(index) => &self.caller.job.steps[*index],
            StepHandle::Given(step) => step,
        })
    }
}

impl Host for State {}

impl HostStep for State {
    fn number(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<u32> {
        Ok(self.step(&step)?.number)
    }

    fn image(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<String> {
        Ok(self.step(&step)?.image.clone())
    }

    fn script(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<String> {
        Ok(self.step(&step)?.script.clone())
    }

    fn rendered(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<bool> {
        Ok(self.step(&step)?.rendered)
    }

    fn condition(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Option<String>> {
        Ok(self.step(&step)?.condition.clone())
    }

    fn environment_names(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Vec<String>> {
        let environment = &self.step(&step)?.environment;
        Ok(environment.iter().map(|(name, _)| name.clone()).collect())
    }

    /// A secret has no value here: it never came this far.
    fn environment_value(
        &mut self,
        step: Resource<StepHandle>,
        name: String,
    ) -> wasmtime::Result<Option<String>> {
        let environment = &self.step(&step)?.environment;
        let variable = environment.iter().find(|(other, _)| *other == name);
        Ok(variable.and_then(|(_, value)| value.clone()))
    }

    fn mounts(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Vec<Mount>> {
        let mounts = self.step(&step)?.mounts.iter();
        Ok(mounts
            .map(|mount| Mount {
                source: mount.source.clone(),
                target: mount.target.clone(),
                read_only: mount.read_only,
            })
            .collect())
    }

    fn files(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Vec<String>> {
        Ok(self.step(&step)?.files.clone())
    }

    fn outputs(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Vec<String>> {
        Ok(self.step(&step)?.outputs.clone())
    }

    fn network(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Option<String>> {
        Ok(self.step(&step)?.network.clone())
    }

    fn memory(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.step(&step)?.limits.memory)
    }

    fn cpus(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.step(&step)?.limits.cpus)
    }

    fn pids(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.step(&step)?.limits.pids)
    }

    fn timeout(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.step(&step)?.limits.timeout)
    }

    /// This version knows none beyond its functions.
    fn attribute(
        &mut self,
        _: Resource<StepHandle>,
        _: String,
    ) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }

    fn drop(&mut self, step: Resource<StepHandle>) -> wasmtime::Result<()> {
        self.table.delete(step)?;
        Ok(())
    }
}
