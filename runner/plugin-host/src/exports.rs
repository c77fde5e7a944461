//! Whether the hooks of a component are those of the contract: every function there, with its types. A plugin that is not
//! whole is refused when it is loaded, and not when a job needs it.

use capstan_core::plugin::{Hook, Inspection};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    ComponentNamedList, InstancePre, Lift, Lower, Resource, ResourceAny, types,
};

use crate::bindings::host::types::Error;
use crate::bindings::{diff, output, policy};
use crate::interfaces::{DiffHandle, EditsHandle, JobHandle, StepHandle};
use crate::linker::API;
use crate::state::State;

/// Why a component is of no use to this host, though it could be linked.
pub(crate) fn check(pre: &InstancePre<State>, inspection: &Inspection) -> Result<(), String> {
    for &hook in &inspection.hooks {
        let functions = Functions::of(pre, hook).ok_or_else(|| other_line(inspection, hook))?;
        match hook {
            Hook::Policy => functions.policy()?,
            Hook::Workspace => functions.workspace()?,
            Hook::Output => functions.output()?,
            Hook::Diff => functions.diff()?,
        }
    }
    if inspection.hooks.is_empty() && !inspection.command {
        return Err(format!(
            "it has no hook and is no command: this host calls {}, and runs what exports wasi:cli/run; it exports {}",
            Hook::ALL.map(interface).join(", "),
            match inspection.exports.as_slice() {
                [] => "nothing".to_owned(),
                exports => exports.join(", "),
            }
        ));
    }
    Ok(())
}

/// The name of a hook's interface.
fn interface(hook: Hook) -> String {
    format!("capstan:plugin/{hook}@{API}")
}

fn other_line(inspection: &Inspection, hook: Hook) -> String {
    let prefix = format!("capstan:plugin/{hook}@");
    let exported = inspection
        .exports
        .iter()
        .find(|name| name.starts_with(&prefix))
        .map_or(hook.name(), String::as_str);
    format!(
        "it exports {exported}; this host calls {}: build it for {API}, or use a version of capstan for it",
        interface(hook)
    )
}

/// The functions of an exported interface.
struct Functions<'a> {
    pre: &'a InstancePre<State>,
    interface: types::ComponentInstance,
    hook: Hook,
}

type Answer<T> = (Result<T, Error>,);

impl<'a> Functions<'a> {
    /// `None` if there is no version of the interface that this host could call.
    fn of(pre: &'a InstancePre<State>, hook: Hook) -> Option<Self> {
        match pre
            .component()
            .get_export(None, interface(hook).as_str())?
            .0
        {
            ComponentItem::ComponentInstance(interface) => Some(Self {
                pre,
                interface,
                hook,
            }),
            _ => None,
        }
    }

    fn policy(&self) -> Result<(), String> {
        self.has::<(Resource<JobHandle>,), Answer<policy::Decision>>("check-job")?;
        self.has::<(Resource<JobHandle>, Resource<StepHandle>), Answer<policy::Decision>>(
            "check-step",
        )?;
        self.has::<(Resource<JobHandle>, Resource<DiffHandle>), Answer<policy::Verdict>>(
            "check-diff",
        )
    }

    fn workspace(&self) -> Result<(), String> {
        self.has::<(Resource<JobHandle>,), Answer<()>>("prepare")
    }

    fn output(&self) -> Result<(), String> {
        self.has::<(Resource<StepHandle>, output::Channel), (output::Chunks,)>("chunking")?;
        self.has::<(Resource<StepHandle>, output::Channel), (ResourceAny,)>("[constructor]filter")?;
        self.has::<(ResourceAny, &[u8]), Answer<Vec<u8>>>("[method]filter.push")?;
        self.has::<(ResourceAny,), Answer<Vec<u8>>>("[method]filter.finish")?;
        self.has::<(Resource<StepHandle>, &[u8], &[u8]), Answer<Vec<(String, String)>>>(
            "derive-outputs",
        )
    }

    fn diff(&self) -> Result<(), String> {
        self.has::<(), (diff::Shape,)>("declare")?;
        self.has::<(
            Resource<JobHandle>,
            Resource<DiffHandle>,
            Resource<EditsHandle>,
        ), Answer<diff::Outcome>>("process")
    }

    fn has<P, R>(&self, name: &str) -> Result<(), String>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let hook = self.hook;
        let engine = self.pre.engine();
        match self.interface.get_export(engine, name).map(|item| item.ty) {
            // Hidden in the documentation, but what the bindings call for each instance.
            Some(ComponentItem::ComponentFunc(function)) => function
                .typecheck::<P, R>(&self.pre.instance_type())
                .map_err(|error| {
                    format!(
                        "its function {name} of {} has another type than the contract ({error:#}): build it with the bindings of {API}",
                        interface(hook)
                    )
                }),
            _ => Err(format!(
                "it exports {} without the function {name}: build it with the bindings of {API}",
                interface(hook)
            )),
        }
    }
}
