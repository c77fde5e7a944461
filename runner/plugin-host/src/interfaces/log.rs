//! `capstan:plugin/log`.

use crate::bindings::host::log::{Host, Level as Said};
use crate::plugin::Level;
use crate::state::State;

impl Host for State {
    fn write(&mut self, level: Said, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Said::Trace => Level::Trace,
            Said::Debug => Level::Debug,
            Said::Info => Level::Info,
            Said::Warn => Level::Warn,
            Said::Error => Level::Error,
        };
        self.messages.write(level, &message);
        Ok(())
    }
}
