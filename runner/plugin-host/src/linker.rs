//! What this host offers to components: WASI 0.2, denied by its context unless it is granted, and `capstan:plugin`.

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::interfaces;
use crate::state::State;

/// All that is offered.
pub(crate) fn offer(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    interfaces::add_to_linker(&mut linker)?;
    Ok(linker)
}
