//! Runs Capstan's plugins: WebAssembly components that prepare workspaces, filter output, post-process diffs, decide policy, or are
//! whole steps.
//!
//! A [`Host`] is made once per process. It [loads](Host::load) a [`Component`], which tells what it is
//! ([`Component::inspection`]). A [`Plugin`] is a component with its operator's settings; a [`Session`] is a plugin within one
//! job. Each hook is a method of the session; every call gets an instance of its own with nothing but what was granted, and ends
//! within its limits. A component that is a command is run by [`Component::run`].
//!
//! This is the only crate that knows wasmtime.

mod amendment;
mod bindings;
mod cache;
mod call;
mod capture;
mod clock;
mod command;
mod compile;
mod component;
mod exports;
mod failure;
mod files;
#[cfg(test)]
mod fixture;
mod guard;
mod hooks;
mod host;
mod inspect;
mod interfaces;
mod job;
mod limits;
mod linker;
mod load;
mod memory;
mod messages;
mod pipe;
mod plugin;
mod quota;
mod session;
mod state;
mod surroundings;

pub use self::amendment::Amendment;
pub use self::command::{Chunk, Command, Directory, Exit, Stream};
pub use self::compile::{Compiler, compile_worker};
pub use self::component::Component;
pub use self::failure::{Ending, Failure};
pub use self::hooks::{Annotation, Decision, Filter, Processed, Refusal, Severity, Verdict};
pub use self::host::{Host, HostError, Options};
pub use self::inspect::LoadError;
pub use self::job::{Job, Mount, Step, StepLimits};
pub use self::limits::{CallLimits, Usage};
pub use self::plugin::{Level, Log, Plugin};
pub use self::session::Session;
