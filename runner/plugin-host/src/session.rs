//! A plugin within one job.

use std::sync::OnceLock;

use capstan_core::diff::edit::Shape;
use capstan_core::plugin::Hook;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::call;
use crate::failure::{Ending, Failure};
use crate::limits::CallLimits;
use crate::plugin::Plugin;
use crate::state::{Caller, State};

/// A plugin within one job: its hooks, its scratch. Each call has a fresh instance.
pub struct Session {
    pub(crate) plugin: Plugin,
    pub(crate) caller: Caller,
    /// What the plugin declared of the diffs it makes.
    pub(crate) shape: OnceLock<Shape>,
}

impl Session {
    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Who is called in this hook.
    pub(crate) fn caller(&self, hook: Hook) -> Caller {
        Caller {
            hook: Some(hook),
            ..self.caller.clone()
        }
    }

    /// Limits in this hook.
    pub(crate) fn limits(&self, hook: Hook) -> CallLimits {
        CallLimits::of(hook, &self.plugin.entry().limits)
    }

    /// One call in an instance that sees no files.
    pub(crate) async fn call<R>(
        &self,
        hook: Hook,
        name: &'static str,
        body: impl AsyncFnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<Result<R, Ending>>,
    ) -> Result<R, Failure> {
        let caller = self.caller(hook);
        let surroundings = self.plugin.surroundings();
        let component = self.plugin.component();
        call::call(
            component,
            caller,
            surroundings,
            self.limits(hook),
            name,
            body,
        )
        .await
    }

    /// A call that was not made.
    pub(crate) fn not_called(&self, hook: Hook, call: &'static str, ending: Ending) -> Failure {
        let component = self.plugin.component();
        Failure::at_start(component, &self.caller(hook), call, ending)
    }
}
