//! The hooks of plugins, each with the call and what comes back from it.

mod answer;
mod diff;
mod filter;
mod output;
mod policy;
mod workspace;

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings;
use crate::component::Component;
use crate::failure::Ending;
use crate::state::State;

pub use self::answer::Refusal;
pub use self::diff::{Annotation, Processed, Severity};
pub use self::filter::Filter;
pub use self::policy::{Decision, Verdict};

/// Where a component has its hooks, looked up once. `Err`: it has none of that name, or another one than this host knows.
pub(crate) struct Hooks {
    policy: Result<bindings::policy::PolicyPluginIndices, Ending>,
    workspace: Result<bindings::workspace::WorkspacePluginIndices, Ending>,
    output: Result<bindings::output::OutputPluginIndices, Ending>,
    diff: Result<bindings::diff::DiffPluginIndices, Ending>,
}

impl Hooks {
    /// Those of `component`.
    pub(crate) fn of(component: &Component) -> Self {
        let pre = component.pre();
        Self {
            policy: bindings::policy::PolicyPluginIndices::new(pre).map_err(unfit),
            workspace: bindings::workspace::WorkspacePluginIndices::new(pre).map_err(unfit),
            output: bindings::output::OutputPluginIndices::new(pre).map_err(unfit),
            diff: bindings::diff::DiffPluginIndices::new(pre).map_err(unfit),
        }
    }

    /// `policy` of this instance.
    pub(crate) fn policy(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Result<bindings::policy::PolicyPlugin, Ending> {
        let indices = self.policy.as_ref().map_err(Clone::clone)?;
        indices.load(store, instance).map_err(unfit)
    }

    /// `workspace` of this instance.
    pub(crate) fn workspace(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Result<bindings::workspace::WorkspacePlugin, Ending> {
        let indices = self.workspace.as_ref().map_err(Clone::clone)?;
        indices.load(store, instance).map_err(unfit)
    }

    /// `output` of this instance.
    pub(crate) fn output(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Result<bindings::output::OutputPlugin, Ending> {
        let indices = self.output.as_ref().map_err(Clone::clone)?;
        indices.load(store, instance).map_err(unfit)
    }

    /// `diff` of this instance.
    pub(crate) fn diff(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> Result<bindings::diff::DiffPlugin, Ending> {
        let indices = self.diff.as_ref().map_err(Clone::clone)?;
        indices.load(store, instance).map_err(unfit)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` wants"
)]
fn unfit(error: wasmtime::Error) -> Ending {
    Ending::Link {
        reason: format!("it lacks the hook, or has it with other types: {error:#}"),
    }
}
