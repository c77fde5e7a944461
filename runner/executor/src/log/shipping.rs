//! The task that brings a job's entries to the server.
//!
//! Entries are added in the order in which they were begun, one that ends at once with its end: one call is less than two. Every second, one that
//! has grown is sent again as a whole; the larger it is, and the longer it has been written, the less often, so that what is sent of a long step
//! grows rather than how often. While the server cannot be reached the task waits and tries again; it
//! gives up some time after the job has ended.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capstan_protocol::LogEntry;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::LogError;
use super::draft::Draft;
use crate::client::{Cause, ClientError};

/// How often entries are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How long an entry that was just begun waits for its end before it is added.
const BRIEF: Duration = Duration::from_millis(100);

/// So many bytes of an entry may be sent in a second.
const BYTES_A_SECOND: usize = 2 << 20;

/// Longest wait between two updates of a large entry.
const LONGEST: Duration = Duration::from_secs(30);

/// The part of the time for which an entry has been written, one in so many, that may pass until its next update.
const AGE_SHARE: u32 = 32;

/// Longest such wait: somebody may be looking.
const LONGEST_OF_OLD: Duration = Duration::from_secs(10);

/// How long the task goes on after the job has ended although the server takes nothing.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where entries go. Both functions write the entry down before they return, and send it when awaited.
pub trait Sink: Send + Sync + 'static {
    /// Adds an entry; its number is the answer.
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>>;

    /// Puts an entry in place of the one of this number.
    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>>;
}

/// An entry that is written and sent.
pub(super) type Shared = Arc<Mutex<Draft>>;

/// What the task is told.
pub(super) enum Command {
    Begin(Shared),
    Closed,
    Flush(oneshot::Sender<Result<(), LogError>>),
}

/// What writers and the task both look at.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// Bytes of entries that are held.
    pub(super) held: AtomicUsize,
    /// The job is not ours any more: nothing is sent.
    pub(super) is_abandoned: AtomicBool,
}

pub(super) struct Shipping {
    sink: Arc<dyn Sink>,
    common: Arc<Common>,
    entries: Vec<Cargo>,
    failures: Vec<String>,
    last_success: Instant,
}

/// An entry that is not yet with the server as a whole.
struct Cargo {
    draft: Shared,
    /// Its number, once it was added.
    number: Option<i64>,
    /// Bytes of text that the server has.
    sent: usize,
    begun: Instant,
    /// Not added or updated before, unless it has ended.
    due: Instant,
    is_done: bool,
}

impl Shipping {
    pub(super) fn new(sink: Arc<dyn Sink>, common: Arc<Common>) -> Self {
        Self {
            sink,
            common,
            entries: Vec::new(),
            failures: Vec::new(),
            last_success: Instant::now(),
        }
    }

    /// Works until nobody can say anything any more.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut flushes: Vec<oneshot::Sender<_>> = Vec::new();
        let mut is_ending = false;
        loop {
            let command = tokio::select! {
                command = commands.recv(), if !is_ending => Some(command),
                () = tokio::time::sleep(self.pause()), if !self.entries.is_empty() => None,
                else => None,
            };
            let mut next = command;
            while let Some(command) = next {
                match command {
                    Some(Command::Begin(draft)) => self.entries.push(Cargo::new(draft)),
                    Some(Command::Closed) => {}
                    Some(Command::Flush(flush)) => {
                        if flushes.is_empty() {
                            self.last_success = Instant::now();
                        }
                        flushes.push(flush);
                    }
                    None => {
                        is_ending = true;
                        self.last_success = Instant::now();
                    }
                }
                next = commands.try_recv().ok().map(Some);
            }
            self.round(is_ending || !flushes.is_empty()).await;
            if flushes.is_empty() && !is_ending {
                continue;
            }
            let is_out_of_patience = self.last_success.elapsed() > PATIENCE;
            if self.entries.is_empty() || is_out_of_patience {
                for cargo in self.entries.drain(..) {
                    self.failures.push(cargo.draft(|draft| {
                        format!(
                            "log entry {}: the server could not be reached",
                            draft.entry.key
                        )
                    }));
                }
                let result = match self.failures.first() {
                    None => Ok(()),
                    Some(failure) => Err(LogError(failure.clone())),
                };
                for flush in flushes.drain(..) {
                    // Who asked may have gone.
                    let _ = flush.send(result.clone());
                }
                if is_ending {
                    return;
                }
            }
        }
    }

    /// The wait before the entries are looked at again.
    fn pause(&self) -> Duration {
        // The entries after one that is not added yet wait for it.
        let next = self.entries.iter().find(|cargo| cargo.number.is_none());
        let now = Instant::now();
        match next {
            Some(cargo) if now < cargo.due => (cargo.due - now).min(TICK),
            _ => TICK,
        }
    }

    /// Brings everything that is due to the server, as far as it takes it. `all`: what was just begun, too.
    async fn round(&mut self, all: bool) {
        for index in 0..self.entries.len() {
            if self.common.is_abandoned.load(Ordering::Relaxed) {
                self.entries.clear();
                break;
            }
            if self.entries[index].number.is_none() {
                if !self.entries[index].may_be_added(all) || !self.add(index).await {
                    // The entries after it must not come before it.
                    break;
                }
            } else {
                self.update(index).await;
            }
        }
        self.entries.retain(|cargo| !cargo.is_done);
    }

    /// Whether the next entry may be looked at.
    async fn add(&mut self, index: usize) -> bool {
        let sink = Arc::clone(&self.sink);
        let cargo = &mut self.entries[index];
        let (sending, length, is_closed) = cargo.draft(|draft| {
            let sending = sink.add(&draft.entry);
            (sending, draft.entry.out.len(), draft.is_closed())
        });
        match sending.await {
            Ok(number) => {
                cargo.number = Some(number);
                cargo.is_sent(length, is_closed, &self.common);
                self.last_success = Instant::now();
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "a log entry could not be added; it is tried again");
                return false;
            }
            Err(error) => self.fail(index, "adding", &error),
        }
        true
    }

    async fn update(&mut self, index: usize) {
        let sink = Arc::clone(&self.sink);
        let cargo = &mut self.entries[index];
        let Some(number) = cargo.number else {
            return;
        };
        let (sent, is_due) = (cargo.sent, Instant::now() >= cargo.due);
        let sending = cargo.draft(|draft| {
            let (length, is_closed) = (draft.entry.out.len(), draft.is_closed());
            let wanted = is_closed || is_due && length > sent;
            wanted.then(|| (sink.update(number, &draft.entry), length, is_closed))
        });
        let Some((sending, length, is_closed)) = sending else {
            return;
        };
        match sending.await {
            Ok(()) => {
                cargo.is_sent(length, is_closed, &self.common);
                self.last_success = Instant::now();
            }
            Err(error) if error.may_pass() || !is_closed && error.cause != Cause::Lost => {
                tracing::warn!(%error, "a log entry could not be updated; it is tried again");
            }
            Err(error) => self.fail(index, "updating", &error),
        }
    }

    fn fail(&mut self, index: usize, doing: &str, error: &ClientError) {
        let cargo = &mut self.entries[index];
        let key = cargo.draft(|draft| draft.entry.key.clone());
        self.failures
            .push(format!("{doing} log entry {key}: {error}"));
        cargo.forget(&self.common);
        if error.cause == Cause::Lost {
            self.common.is_abandoned.store(true, Ordering::Relaxed);
        }
    }
}

impl Cargo {
    fn new(draft: Shared) -> Self {
        Self {
            draft,
            number: None,
            sent: 0,
            begun: Instant::now(),
            due: Instant::now() + BRIEF,
            is_done: false,
        }
    }

    fn may_be_added(&self, all: bool) -> bool {
        all || Instant::now() >= self.due || self.draft(|draft| draft.is_closed())
    }

    fn draft<T>(&self, with: impl FnOnce(&mut Draft) -> T) -> T {
        with(&mut self.draft.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_sent(&mut self, length: usize, is_closed: bool, common: &Common) {
        self.sent = length;
        let millis = u64::try_from(length * 1000 / BYTES_A_SECOND).unwrap_or(u64::MAX);
        let of_size = Duration::from_millis(millis).min(LONGEST);
        let of_age = (self.begun.elapsed() / AGE_SHARE).min(LONGEST_OF_OLD);
        self.due = Instant::now() + of_size.max(of_age).max(TICK);
        if is_closed {
            self.forget(common);
        }
    }

    /// Nothing more is sent of it: its text is let go.
    fn forget(&mut self, common: &Common) {
        self.is_done = true;
        let length = self.draft(|draft| std::mem::take(&mut draft.entry.out).len());
        common.held.fetch_sub(length, Ordering::Relaxed);
    }
}
