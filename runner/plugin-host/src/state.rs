//! What belongs to one instance: its resources, its limits, what the host's interfaces answer from.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use capstan_core::plugin::Hook;
use wasmtime::UpdateDeadline;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::clock::TICK;
use crate::failure::Ending;
use crate::files::Files;
use crate::interfaces::{Config, Kept, Scratch};
use crate::job::Job;
use crate::limits::CallLimits;
use crate::memory::Memory;
use crate::messages::Messages;
use crate::plugin::Log;
use crate::surroundings::World;

/// Who is called, and what the interfaces of `capstan:plugin` answer from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Name of the plugin, or of the component that is a step.
    pub(crate) plugin: Arc<str>,
    /// The hook; `None` for a step.
    pub(crate) hook: Option<Hook>,
    /// Configuration.
    pub(crate) config: Arc<Config>,
    /// The job.
    pub(crate) job: Arc<Job>,
    /// The scratch of this plugin in this job.
    pub(crate) scratch: Arc<Mutex<Scratch>>,
    /// Who gets its messages.
    pub(crate) log: Option<Arc<dyn Log>>,
}

impl Caller {
    /// A component that is a step: there is nothing to tell it but what its command line says.
    pub(crate) fn step(name: &str) -> Self {
        Self {
            plugin: name.into(),
            hook: None,
            config: Arc::new(Config::new("{}")),
            job: Arc::default(),
            scratch: Arc::default(),
            log: None,
        }
    }
}

/// The data of a store.
pub(crate) struct State {
    /// Resources that the guest has handles of.
    pub(crate) table: ResourceTable,
    /// Who is called.
    pub(crate) caller: Caller,
    /// What it made the host hold.
    pub(crate) kept: Kept,
    /// What it says.
    pub(crate) messages: Messages,
    /// Its memory.
    pub(crate) memory: Memory,
    /// Its computing time.
    pub(crate) budget: Budget,
    wasi: WasiCtx,
    files: Files,
    violation: Option<Ending>,
}

impl State {
    /// With the limits of a call.
    pub(crate) fn new(
        caller: Caller,
        limits: &CallLimits,
        world: World,
        messages: Messages,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            caller,
            kept: Kept::new(limits),
            messages,
            memory: Memory::new(limits.memory),
            budget: Budget::new(limits.cpu),
            wasi: world.wasi,
            files: world.files,
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

    /// What it wrote more of than it may, if anything.
    pub(crate) fn exceeded(&self) -> Option<Ending> {
        self.files.quota.exceeded()
    }

    /// Whether it did, or tried, anything that could change the directories that it is shown.
    pub(crate) fn has_written(&self) -> bool {
        self.files.is_written
    }

    /// Its file system, and what guards it.
    pub(crate) fn file_system(&mut self) -> (WasiFilesystemCtxView<'_>, &mut Files) {
        let wasi = WasiFilesystemCtxView {
            ctx: self.wasi.filesystem(),
            table: &mut self.table,
        };
        (wasi, &mut self.files)
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
}

impl Budget {
    fn new(limit: Option<Duration>) -> Self {
        Self { ticks: 0, limit }
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

    /// Whether the guest has computed for longer than it may.
    pub(crate) fn is_over(&self) -> bool {
        // The first tick comes at any time after the guest started, hence more than the limit, not equal to it.
        self.limit.is_some_and(|limit| self.used() > limit)
    }

    /// The clock found the guest at work.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        self.ticks += 1;
        if self.is_over() {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        }
    }
}
