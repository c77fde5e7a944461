//! The clock that bounds how long guests compute: it moves the engine's epoch on every 10 ms while a call runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// One step of the epoch, and so the grain of every budget of computing time.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Ticks without a call after which the thread goes to sleep. Calls that come in a row then wake nobody: waking costs more
/// than a policy check.
const LINGER: u32 = 100;

/// A thread that ticks while calls run, and a second longer; else it sleeps and costs nothing. It ends with this.
pub(crate) struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    ended: AtomicBool,
}

impl Clock {
    /// Starts the thread.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let thread = thread::Builder::new()
            .name("plugin-clock".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                let engine = engine.weak();
                move || shared.tick(&engine)
            })?;
        Ok(Self {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// Ticks for as long as the result lives.
    pub(crate) fn run(&self) -> Ticking<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(&self.shared.running)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Keeps the clock ticking.
pub(crate) struct Ticking<'a>(&'a AtomicUsize);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.ended.load(Ordering::SeqCst) {
            if idle < LINGER {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            } else {
                // `asleep` is set before `running` is looked at and `run` does it the other way round, so one of the two sees the other.
                self.asleep.store(true, Ordering::SeqCst);
                if self.running.load(Ordering::SeqCst) == 0 {
                    thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
            }
            idle = if self.running.load(Ordering::SeqCst) > 0 {
                0
            } else {
                idle.saturating_add(1)
            };
        }
    }
}

#[cfg(test)]
mod tests;
