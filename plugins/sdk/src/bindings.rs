//! What wit-bindgen makes of `wit/`: the host's interfaces once, and a world of its own for each hook, so that a
//! plugin exports the hooks it names and no other.

/// What the host offers.
pub mod host {
    wit_bindgen::generate!({
        path: "wit",
        world: "host",
        generate_all,
        additional_derives: [PartialEq, Eq],
    });
}

macro_rules! hook {
    ($module:ident, $world:literal, $export:literal) => {
        /// A hook, and the macro that exports it.
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                with: {
                    "capstan:plugin/types@0.1.0": crate::bindings::host::capstan::plugin::types,
                    "capstan:plugin/log@0.1.0": crate::bindings::host::capstan::plugin::log,
                    "capstan:plugin/config@0.1.0": crate::bindings::host::capstan::plugin::config,
                    "capstan:plugin/scratch@0.1.0": crate::bindings::host::capstan::plugin::scratch,
                    "capstan:plugin/job@0.1.0": crate::bindings::host::capstan::plugin::job,
                    "capstan:plugin/step@0.1.0": crate::bindings::host::capstan::plugin::step,
                    "capstan:plugin/changes@0.1.0": crate::bindings::host::capstan::plugin::changes,
                    "capstan:plugin/files@0.1.0": crate::bindings::host::capstan::plugin::files,
                },
            });
        }
    };
}

hook!(policy, "policy-plugin", "export_policy");
hook!(workspace, "workspace-plugin", "export_workspace");
hook!(output, "output-plugin", "export_output");
hook!(diff, "diff-plugin", "export_diff");
