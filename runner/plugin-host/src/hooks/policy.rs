//! The hook `policy`.

use std::sync::Arc;

use capstan_core::plugin::Hook;
use wasmtime::component::Resource;

use super::answer::{self, Refusal};
use crate::amendment::Amendment;
use crate::bindings::policy as wit;
use crate::failure::{Ending, Failure};
use crate::interfaces::{Changes, DiffHandle, JobHandle, StepHandle};
use crate::job::Step;
use crate::session::Session;
use crate::state::State;

/// What a policy says of a job or a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// As it is.
    Keep,
    /// With these changes, in order.
    Change(Vec<Amendment>),
    /// Not at all.
    Refuse(Refusal),
}

/// What a policy says of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// May leave.
    Keep,
    /// May not.
    Refuse(Refusal),
}

impl Session {
    /// `policy.check-job`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is no answer; as for every hook.
    pub async fn check_job(&self) -> Result<Decision, Failure> {
        self.call(Hook::Policy, "policy.check-job", async |store, instance| {
            let policy = match self.plugin.hooks().policy(store, instance) {
                Ok(policy) => policy,
                Err(ending) => return Ok(Err(ending)),
            };
            let job = store.data_mut().hand_out(JobHandle)?;
            let decision = policy
                .capstan_plugin_policy()
                .call_check_job(&mut *store, Resource::new_borrow(job.rep()))
                .await?;
            decide(store.data_mut(), decision)
        })
        .await
    }

    /// `policy.check-step`.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn check_step(&self, step: &Arc<Step>) -> Result<Decision, Failure> {
        self.call(
            Hook::Policy,
            "policy.check-step",
            async |store, instance| {
                let policy = match self.plugin.hooks().policy(store, instance) {
                    Ok(policy) => policy,
                    Err(ending) => return Ok(Err(ending)),
                };
                let job = store.data_mut().hand_out(JobHandle)?;
                let step = store
                    .data_mut()
                    .hand_out(StepHandle::Given(Arc::clone(step)))?;
                let decision = policy
                    .capstan_plugin_policy()
                    .call_check_step(
                        &mut *store,
                        Resource::new_borrow(job.rep()),
                        Resource::new_borrow(step.rep()),
                    )
                    .await?;
                decide(store.data_mut(), decision)
            },
        )
        .await
    }

    /// `policy.check-diff`.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; also if the diff is none, or has more than 64 MiB.
    pub async fn check_diff(&self, diff: &Arc<[u8]>) -> Result<Verdict, Failure> {
        let changes = Changes::read(diff)
            .map_err(|ending| self.not_called(Hook::Policy, "policy.check-diff", ending))?;
        self.call(
            Hook::Policy,
            "policy.check-diff",
            async |store, instance| {
                let policy = match self.plugin.hooks().policy(store, instance) {
                    Ok(policy) => policy,
                    Err(ending) => return Ok(Err(ending)),
                };
                let job = store.data_mut().hand_out(JobHandle)?;
                let diff = store.data_mut().hand_out(DiffHandle::new(&changes))?;
                let verdict = policy
                    .capstan_plugin_policy()
                    .call_check_diff(
                        &mut *store,
                        Resource::new_borrow(job.rep()),
                        Resource::new_borrow(diff.rep()),
                    )
                    .await?;
                Ok(match verdict {
                    Ok(wit::Verdict::Keep) => Ok(Verdict::Keep),
                    Ok(wit::Verdict::Refuse(refusal)) => Refusal::new(refusal).map(Verdict::Refuse),
                    Err(error) => Err(answer::failed(error)),
                })
            },
        )
        .await
    }
}

fn decide(
    state: &mut State,
    decision: Result<wit::Decision, crate::bindings::host::types::Error>,
) -> wasmtime::Result<Result<Decision, Ending>> {
    let amendment = match decision {
        Ok(wit::Decision::Keep) => return Ok(Ok(Decision::Keep)),
        Ok(wit::Decision::Refuse(refusal)) => {
            return Ok(Refusal::new(refusal).map(Decision::Refuse));
        }
        Err(error) => return Ok(Err(answer::failed(error))),
        Ok(wit::Decision::Change(amendment)) => amendment,
    };
    let amendments = state.table.delete(amendment)?.0;
    let fault = amendments.iter().find_map(Amendment::fault);
    Ok(match fault {
        Some(reason) => Err(Ending::Contract { reason }),
        None if amendments.is_empty() => Ok(Decision::Keep),
        None => Ok(Decision::Change(amendments)),
    })
}
