//! The hook `workspace`.

use std::path::Path;

use capstan_core::plugin::{Access, Hook};
use wasmtime::component::Resource;

use super::answer;
use crate::call::{apart, call};
use crate::command::Directory;
use crate::failure::{Ending, Failure};
use crate::interfaces::JobHandle;
use crate::limits::CallLimits;
use crate::plugin::Plugin;
use crate::session::Session;
use crate::state::Caller;
use crate::surroundings::Surroundings;

const PREPARE: &str = "workspace.prepare";

/// Where a guest finds the workspace.
const WORK: &str = "/work";

impl Session {
    /// `workspace.prepare` on this directory of the host. Where it fails, the caller undoes what was done.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; also if the plugin may not see the workspace, or wrote more than its quota.
    pub async fn prepare(&self, workspace: &Path) -> Result<(), Failure> {
        let access = self.plugin.entry().grants.workspace;
        if access == Access::None {
            let reason = "it has a hook for preparing workspaces and must not see any: give it `grants = { workspace = \"write\" }`, or take it out";
            let reason = reason.to_owned();
            return Err(self.not_called(Hook::Workspace, PREPARE, Ending::Host { reason }));
        }
        let surroundings = Surroundings {
            directories: vec![Directory {
                host: workspace.to_owned(),
                guest: WORK.to_owned(),
                read_only: access == Access::Read,
            }],
            git_is_hidden: true,
            may_block: true,
            ..self.plugin.surroundings().clone()
        };
        let caller = self.caller(Hook::Workspace);
        let limits = self.limits(Hook::Workspace);
        let prepared = apart(prepare(self.plugin.clone(), caller, surroundings, limits)).await;
        prepared.map_err(|ending| self.not_called(Hook::Workspace, PREPARE, ending))?
    }
}

async fn prepare(
    plugin: Plugin,
    caller: Caller,
    surroundings: Surroundings,
    limits: CallLimits,
) -> Result<(), Failure> {
    let component = plugin.component();
    call(
        component,
        caller,
        &surroundings,
        limits,
        PREPARE,
        async |store, instance| {
            let hook = match plugin.hooks().workspace(store, instance) {
                Ok(hook) => hook,
                Err(ending) => return Ok(Err(ending)),
            };
            let job = store.data_mut().hand_out(JobHandle)?;
            let result = hook
                .capstan_plugin_workspace()
                .call_prepare(&mut *store, Resource::new_borrow(job.rep()))
                .await?;
            Ok(result.map_err(answer::failed))
        },
    )
    .await
}
