//! The interfaces of `capstan:plugin` that the host offers, each in a module of its name. They answer from what belongs to the
//! instance ([`State`]), and never wait.

pub(crate) mod amendment;
pub(crate) mod changes;
mod config;
pub(crate) mod edits;
mod files;
pub(crate) mod job;
mod kept;
mod log;
mod scratch;
pub(crate) mod step;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::host;
use crate::state::State;

pub(crate) use self::changes::{Changes, DiffHandle};
pub(crate) use self::config::Config;
pub(crate) use self::edits::{EditsHandle, GROWTH};
pub(crate) use self::job::JobHandle;
pub(crate) use self::kept::{ANSWER, Kept};
pub(crate) use self::scratch::Scratch;
pub(crate) use self::step::StepHandle;

/// Defines them all.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host::Host_::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl host::types::Host for State {}
