//! A loaded component.

use std::sync::Arc;

use capstan_core::plugin::Inspection;
use wasmtime::Engine;
use wasmtime::component::InstancePre;

use crate::clock::Clock;
use crate::host::Machine;
use crate::state::State;

/// A component that fits this host, compiled and linked. Instances are made from it for each call.
pub struct Component {
    inspection: Inspection,
    pre: InstancePre<State>,
    machine: Arc<Machine>,
}

impl Component {
    pub(crate) fn new(
        inspection: Inspection,
        pre: InstancePre<State>,
        machine: Arc<Machine>,
    ) -> Self {
        Self {
            inspection,
            pre,
            machine,
        }
    }

    /// What it is.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// What instances are made from.
    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.pre
    }

    /// The engine it is compiled for.
    pub(crate) fn engine(&self) -> &Engine {
        &self.machine.engine
    }

    /// The clock of that engine.
    pub(crate) fn clock(&self) -> &Clock {
        &self.machine.clock
    }
}
