//! What belongs to one instance: its resources, its limits, what the host's interfaces answer from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capstan_core::plugin::Hook;
use wasmtime::UpdateDeadline;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::clock::TICK;
use crate::failure::Ending;
use crate::job::Job;
use crate::limits::CallLimits;
use crate::memory::Memory;
use crate::messages::Messages;
use crate::plugin::Log;

/// Keys and values that a plugin keeps during a job (`wit/scratch.wit`).
pub(crate) type Scratch = BTreeMap<String, Vec<u8>>;

/// Who is called, and what the interfaces of `capstan:plugin` answer from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Name of the plugin, or of the component that is a step.
    pub(crate) plugin: Arc<str>,
    /// The hook; `None` for a step.
    pub(crate) hook: Option<Hook>,
    /// Configuration: the text of a JSON object.
    pub(crate) config: Arc<str>,
    /// The job.
    pub(crate) job: Arc<Job>,
    /// The scratch of this plugin in this job.
    pub(crate) scratch: Arc<Mutex<Scratch>>,
    /// Who gets its messages.
    pub(crate) log: Option<Arc<dyn Log>>,
}

/// The data of a store.
pub(crate) struct State {
    /// Resources that the guest has handles of.
    pub(crate) table: ResourceTable,
    /// Who is called.
    pub(crate) caller: Caller,
    /// What it says.
    pub(crate) messages: Messages,
    /// Its memory.
    pub(crate) memory: Memory,
    /// Its computing time.
    pub(crate) budget: Budget,
    wasi: WasiCtx,
    violation: Option<Ending>,
}

impl State {
    /// With the limits of a call.
    pub(crate) fn new(
        caller: Caller,
        limits: &CallLimits,
        wasi: WasiCtx,
        messages: Messages,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            caller,
            messages,
            memory: Memory::new(limits.memory),
            budget: Budget::new(limits.cpu),
            wasi,
            violation: None,
        }
    }

    /// Fails the call with `ending`, however it ends; for functions of the host whose answer the guest may ignore. The first
    /// one counts.
    pub(crate) fn violate(&mut self, ending: Ending) {
        self.violation.get_or_insert(ending);
    }

    /// What a function of the host found, if anything.
    pub(crate) fn take_violation(&mut self) -> Option<Ending> {
        self.violation.take()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Computing time, counted in ticks of the clock that find the guest at work. What it spends waiting is not counted.
#[derive(Debug)]
pub(crate) struct Budget {
    ticks: u64,
    limit: Option<Duration>,
    stop: Option<Arc<AtomicBool>>,
}

impl Budget {
    fn new(limit: Option<Duration>) -> Self {
        Self {
            ticks: 0,
            limit,
            stop: None,
        }
    }

    /// Time computed so far.
    pub(crate) fn used(&self) -> Duration {
        TICK.saturating_mul(u32::try_from(self.ticks).unwrap_or(u32::MAX))
    }

    /// The limit, if it has one.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Changes the limit.
    pub(crate) fn set_limit(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    /// Also stops when `stop` is set.
    pub(crate) fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = Some(stop);
    }

    /// Whether the guest has computed for longer than it may.
    pub(crate) fn is_over(&self) -> bool {
        // The first tick comes at any time after the guest started, hence more than the limit, not equal to it.
        self.limit.is_some_and(|limit| self.used() > limit)
    }

    /// The clock found the guest at work.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        self.ticks += 1;
        let stopped = self
            .stop
            .as_ref()
            .is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped || self.is_over() {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        }
    }
}
