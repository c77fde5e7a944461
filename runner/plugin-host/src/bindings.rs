//! Bindings to `wit/`: one world for what the host offers, and a small one per hook, so that a component is asked only for
//! what it has.

/// What the host offers.
pub(crate) mod host {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "host",
        imports: { default: trappable },
        with: {
            "capstan:plugin/job.job": crate::interfaces::job::JobHandle,
            "capstan:plugin/step.step": crate::interfaces::step::StepHandle,
            "capstan:plugin/step.amendment": crate::interfaces::amendment::AmendmentHandle,
            "capstan:plugin/changes.diff": crate::interfaces::changes::DiffHandle,
            "capstan:plugin/changes.file": crate::interfaces::changes::FileHandle,
            "capstan:plugin/changes.hunk": crate::interfaces::changes::HunkHandle,
            "capstan:plugin/changes.edits": crate::interfaces::edits::EditsHandle,
        },
    });

    pub(crate) use self::capstan::plugin::{
        changes, config, files, job, log, scratch, step, types,
    };
}

/// The hook `policy`.
pub(crate) mod policy {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "policy-plugin",
        exports: { default: async },
        with: { "capstan:plugin": super::host::capstan::plugin },
    });

    pub(crate) use self::exports::capstan::plugin::policy::{Decision, Verdict};
}

/// The hook `workspace`.
pub(crate) mod workspace {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "workspace-plugin",
        exports: { default: async },
        with: { "capstan:plugin": super::host::capstan::plugin },
    });
}

/// The hook `output`.
pub(crate) mod output {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "output-plugin",
        exports: { default: async },
        with: { "capstan:plugin": super::host::capstan::plugin },
    });

    pub(crate) use self::exports::capstan::plugin::output::{Channel, Chunks};
}

/// The hook `diff`.
pub(crate) mod diff {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "diff-plugin",
        exports: { default: async },
        with: { "capstan:plugin": super::host::capstan::plugin },
    });

    pub(crate) use self::exports::capstan::plugin::diff::{Outcome, Shape};
}
