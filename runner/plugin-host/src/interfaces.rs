//! The interfaces of `capstan:plugin` that the host offers.

use wasmtime::component::Linker;

use crate::state::State;

/// Defines them all.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let _ = linker;
    Ok(())
}
