//! What a guest makes the host hold, with its bounds.

use wasmtime::component::Resource;

use crate::failure::Ending;
use crate::limits::CallLimits;
use crate::state::State;

/// How much a guest has made the host hold.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Resources that may be alive at once.
    handles: usize,
    /// Bytes of what was said about steps and diffs.
    bytes: usize,
}

impl Kept {
    /// Nothing yet, within the limits of a call.
    pub(crate) fn new(limits: &CallLimits) -> Self {
        Self {
            handles: limits.handles,
            bytes: 0,
        }
    }
}

/// Most bytes of an answer that is held back until the call ends: the changes to a step, the annotations of a diff; and of an error or a refusal.
pub(crate) const ANSWER: usize = 256 * 1024;

impl State {
    /// Gives the guest a resource.
    pub(crate) fn hand_out<T: Send + 'static>(
        &mut self,
        value: T,
    ) -> wasmtime::Result<Resource<T>> {
        self.table.push(value).map_err(|error| {
            self.violate(Ending::TooMuch {
                what: "holds more handles than it may",
                limit: self.kept.handles as u64,
            });
            error.into()
        })
    }

    /// Counts bytes of an answer that is collected piece by piece.
    pub(crate) fn keep(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.kept.bytes = self.kept.bytes.saturating_add(bytes);
        if self.kept.bytes <= ANSWER {
            return Ok(());
        }
        self.stop(Ending::TooMuch {
            what: "answered with more bytes than it may",
            limit: ANSWER as u64,
        })
    }

    /// Ends the call with `ending` here and now.
    pub(crate) fn stop<T>(&mut self, ending: Ending) -> wasmtime::Result<T> {
        let error = wasmtime::Error::msg(ending.to_string());
        self.violate(ending);
        Err(error)
    }
}
