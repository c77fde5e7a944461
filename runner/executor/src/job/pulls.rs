//! Images that are pulled: each has an entry of its own, so that their time and their errors do not hide in a step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use capstan_engine::docker::{Progress, PullProgress};
use capstan_engine::sandbox::Stream;

use crate::log::{Entry, ExecutionLog};

/// Key of the entries.
const KEY: &str = "setup.docker.pull";

/// Is told of pulls.
pub(super) trait PullTeller: Send + Sync {
    fn pull(&self, progress: &PullProgress);
}

/// The way from the engine to who tells of its pulls, which is made later than the engine.
#[derive(Clone, Default)]
pub(super) struct Pulls {
    teller: Arc<Mutex<Option<Weak<dyn PullTeller>>>>,
}

impl Pulls {
    /// From now on `teller` is told.
    pub(super) fn tell<T: PullTeller + 'static>(&self, teller: &Arc<T>) {
        let teller: Arc<dyn PullTeller> = Arc::clone(teller) as _;
        let weak = Arc::downgrade(&teller);
        *self.teller.lock().unwrap_or_else(PoisonError::into_inner) = Some(weak);
    }

    /// What the engine calls.
    pub(super) fn progress(&self) -> Progress {
        let pulls = self.clone();
        Arc::new(move |progress| {
            let teller = pulls.teller.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(teller) = teller.as_ref().and_then(Weak::upgrade) {
                teller.pull(&progress);
            }
        })
    }
}

/// The entries of the pulls that go on.
pub(super) struct PullEntries {
    log: Arc<ExecutionLog>,
    /// By image, with what was said last.
    open: Mutex<BTreeMap<String, (Entry, String)>>,
}

impl PullEntries {
    pub(super) fn new(log: &Arc<ExecutionLog>) -> Self {
        Self {
            log: Arc::clone(log),
            open: Mutex::default(),
        }
    }

    /// Tells how a pull goes on: each change once, not every number.
    pub(super) fn tell(&self, progress: &PullProgress) {
        let PullProgress {
            image,
            status,
            total,
            ..
        } = progress;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (entry, last) = open.entry(image.clone()).or_insert_with(|| {
            let command = ["docker", "pull", image].map(str::to_owned);
            (self.log.begin(KEY, Some(command.into())), String::new())
        });
        if last == status {
            return;
        }
        last.clone_from(status);
        let of = match total {
            0 => String::new(),
            total => format!(" ({} MB)", total.div_ceil(1_000_000)),
        };
        entry.line(Stream::Stdout, format!("{status}{of}").as_bytes());
    }

    /// The pulls are over.
    pub(super) fn end(&self, code: i32) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (entry, _) in std::mem::take(&mut *open).into_values() {
            entry.close(code);
        }
    }
}
