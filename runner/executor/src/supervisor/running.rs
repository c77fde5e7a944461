//! The jobs that run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use capstan_protocol::{Job, JobKey};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::log::ExecutionLog;

/// Why a job was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The server said so.
    Cancelled,
    /// It is not this executor's any more.
    Lost,
    /// The executor stops.
    Shutdown,
}

/// One run of a job.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) key: JobKey,
    pub(super) repository: String,
    pub(super) since: Timestamp,
    pub(super) cancel: CancellationToken,
    pub(super) log: OnceLock<Arc<ExecutionLog>>,
    why: OnceLock<Why>,
    is_marking: AtomicBool,
}

impl Run {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            key: job.identity.key(),
            repository: job.repository_name.clone(),
            since: Timestamp::now(),
            cancel: CancellationToken::new(),
            log: OnceLock::new(),
            why: OnceLock::new(),
            is_marking: AtomicBool::new(false),
        }
    }

    /// Stops it; the first reason counts. Whether this is the first.
    pub(super) fn stop(&self, why: Why) -> bool {
        let is_first = self.why.set(why).is_ok();
        if self.why() == Some(Why::Lost)
            && let Some(log) = self.log.get()
        {
            log.abandon();
        }
        self.cancel.cancel();
        is_first
    }

    pub(super) fn why(&self) -> Option<Why> {
        self.why.get().copied()
    }

    /// The job itself has ended; the server is being told.
    pub(super) fn marking(&self) {
        self.is_marking.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_marking(&self) -> bool {
        self.is_marking.load(Ordering::Relaxed)
    }
}

/// All jobs that run.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<BTreeMap<JobKey, Arc<Run>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobKey, Arc<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a run; the earlier one of the same job, if there is one, is not this executor's any more: its token is dead.
    pub(super) fn add(&self, run: &Arc<Run>) -> Option<Arc<Run>> {
        self.lock().insert(run.key.clone(), Arc::clone(run))
    }

    /// Takes a run out, unless another has taken its place.
    pub(super) fn remove(&self, run: &Arc<Run>) {
        let mut runs = self.lock();
        if runs
            .get(&run.key)
            .is_some_and(|found| Arc::ptr_eq(found, run))
        {
            runs.remove(&run.key);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Run>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }
}
