//! The macro that makes a plugin of a type.

/// Exports the hooks of a plugin: the type that implements them, a colon, and their names out of `policy`, `workspace`, `output`
/// and `diff`. Once in a crate, whose type is `cdylib`.
///
/// ```
/// struct KeepOut;
///
/// impl capstan_plugin::Policy for KeepOut {}
///
/// capstan_plugin::export!(KeepOut: policy);
/// ```
///
/// A hook that is named has to be implemented:
///
/// ```compile_fail
/// struct KeepOut;
///
/// capstan_plugin::export!(KeepOut: policy);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($hook:ident),+ $(,)?) => {
        $($crate::__export_hook!($plugin, $hook);)+
    };
}

/// One hook. Off WebAssembly there is nothing to export, but the type must fit all the same.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    ($plugin:ty, policy) => {
        const _: () = $crate::test::is_policy::<$plugin>();
    };
    ($plugin:ty, workspace) => {
        const _: () = $crate::test::is_workspace::<$plugin>();
    };
    ($plugin:ty, output) => {
        const _: () = $crate::test::is_output::<$plugin>();
    };
    ($plugin:ty, diff) => {
        const _: () = $crate::test::is_diff::<$plugin>();
    };
    ($plugin:ty, $hook:ident) => {
        compile_error!("the hooks are policy, workspace, output and diff");
    };
}

/// One hook: wit-bindgen's macro for its world, given our adapter.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    ($plugin:ty, policy) => {
        const _: () = {
            type Adapter = $crate::exports::Adapter<$plugin>;
            $crate::bindings::policy::export_policy!(Adapter with_types_in $crate::bindings::policy);
        };
    };
    ($plugin:ty, workspace) => {
        const _: () = {
            type Adapter = $crate::exports::Adapter<$plugin>;
            $crate::bindings::workspace::export_workspace!(Adapter with_types_in $crate::bindings::workspace);
        };
    };
    ($plugin:ty, output) => {
        const _: () = {
            type Adapter = $crate::exports::Adapter<$plugin>;
            $crate::bindings::output::export_output!(Adapter with_types_in $crate::bindings::output);
        };
    };
    ($plugin:ty, diff) => {
        const _: () = {
            type Adapter = $crate::exports::Adapter<$plugin>;
            $crate::bindings::diff::export_diff!(Adapter with_types_in $crate::bindings::diff);
        };
    };
    ($plugin:ty, $hook:ident) => {
        compile_error!("the hooks are policy, workspace, output and diff");
    };
}
