//! What a job says, on its way to the server (facts/executor-protocol.md 4).
//!
//! An [`ExecutionLog`] has an [`Entry`] for each command. Entries are added at the server in the order in which they were begun, by one task
//! for each job; every second an entry that has grown is sent again, as a whole. Secrets are taken out before anything is kept.

mod draft;
mod event;
mod redact;
mod shipping;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use capstan_core::gojson;
use capstan_engine::sandbox::Stream;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

pub use self::redact::{Redaction, TooLarge};
pub use self::shipping::Sink;

use self::draft::{Draft, JOB_LIMIT};
use self::shipping::{Command, Common, Shared, Shipping};
use crate::metrics::Metrics;

/// The log of one job.
#[derive(Debug)]
pub struct ExecutionLog {
    redaction: Redaction,
    metrics: Metrics,
    common: Arc<Common>,
    commands: mpsc::UnboundedSender<Command>,
    entries: Mutex<Vec<Shared>>,
}

/// A log that could not be handed over whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(pub String);

impl ExecutionLog {
    /// A log whose entries go to `sink`. Starts a task that ends after the log and its entries are dropped.
    pub fn new(sink: Arc<dyn Sink>, redaction: Redaction, metrics: Metrics) -> Self {
        let common = Arc::<Common>::default();
        let (commands, received) = mpsc::unbounded_channel();
        let shipping = Shipping::new(sink, Arc::clone(&common)).run(received);
        tokio::spawn(shipping.in_current_span());
        Self {
            redaction,
            metrics,
            common,
            commands,
            entries: Mutex::default(),
        }
    }

    /// Takes secrets out of a text that leaves the executor otherwise, such as an error.
    pub fn redact(&self, text: &str) -> String {
        self.redaction.apply(text).into_owned()
    }

    /// Begins an entry. Its text and its command lose their secrets, its key does not.
    pub fn begin(&self, key: &str, command: Option<Vec<String>>) -> Entry {
        let redacted = |word: String| self.redact(&word);
        let command = command.map(|words| words.into_iter().map(redacted).collect());
        let draft = Arc::new(Mutex::new(Draft::new(key, command)));
        self.tell(Command::Begin(Arc::clone(&draft)));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| !lock(entry).is_closed());
        entries.push(Arc::clone(&draft));
        Entry {
            draft,
            redaction: self.redaction.clone(),
            metrics: self.metrics.clone(),
            common: Arc::clone(&self.common),
            commands: self.commands.clone(),
        }
    }

    /// Waits until everything is with the server. Entries that were not closed are closed, with -1.
    ///
    /// # Errors
    ///
    /// If an entry could not be added, or its end could not be told.
    pub async fn flush(&self) -> Result<(), LogError> {
        let open =
            std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        for entry in open {
            let mut draft = lock(&entry);
            if !draft.is_closed() {
                let before = draft.entry.out.len();
                draft.close(-1);
                self.common.add(draft.entry.out.len() - before);
            }
        }
        let (done, waiting) = oneshot::channel();
        self.tell(Command::Flush(done));
        let stopped = || LogError("the task that sends the log has stopped".to_owned());
        waiting.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// The job is not this executor's any more: nothing is sent from now on.
    pub fn abandon(&self) {
        self.common.is_abandoned.store(true, Ordering::Relaxed);
    }

    fn tell(&self, command: Command) {
        // The task ends only after all who could tell it something.
        let _ = self.commands.send(command);
    }
}

/// One command of a job. Closed with -1 when dropped.
#[derive(Debug)]
pub struct Entry {
    draft: Shared,
    redaction: Redaction,
    metrics: Metrics,
    common: Arc<Common>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Entry {
    /// A line that the command said, without its line break.
    pub fn line(&self, stream: Stream, line: &[u8]) {
        let line = gojson::utf8(line);
        // Databases do not take zero bytes in JSON.
        let line = line.replace('\0', "\u{fffd}");
        let line = self.redaction.apply(&line);
        self.write(|draft, is_full| draft.line(stream, &line, is_full));
    }

    /// Text of our own, as it is: end it with a line break.
    pub fn text(&self, text: &str) {
        let text = self.redaction.apply(text);
        self.write(|draft, is_full| draft.text(&text, is_full));
    }

    /// Text of an entry that was kept elsewhere, as it is: its secrets are gone. Where results are among it, nothing is left out.
    pub fn told(&self, text: &str) {
        self.write(|draft, is_full| match draft.may_hold_results() {
            true => draft.entry.out.push_str(text),
            false => draft.text(text, is_full),
        });
    }

    /// A JSON event for the server (facts/executor-protocol.md 7.7), written as a line of standard output. Secrets are taken out of texts
    /// inside of it, so it stays JSON; keys, diffs, outputs and changed files of results stay as they are.
    pub fn event(&self, json: &str) {
        let json = event::redact(json, &self.redaction);
        self.write(|draft, _| draft.event(&json));
    }

    /// An event that holds what a command printed: as [`Entry::event`], within the limits that output has.
    pub fn output_event(&self, json: &str) {
        let json = event::redact(json, &self.redaction);
        self.write(|draft, is_full| draft.line(Stream::Stdout, &json, is_full));
    }

    /// The command has ended.
    pub fn close(self, exit_code: i32) {
        self.end(exit_code);
    }

    fn write(&self, with: impl FnOnce(&mut Draft, bool)) {
        let is_full = self.common.held.load(Ordering::Relaxed) > JOB_LIMIT;
        let mut draft = lock(&self.draft);
        if draft.is_closed() {
            return;
        }
        let before = draft.entry.out.len();
        with(&mut draft, is_full);
        self.common.add(draft.entry.out.len() - before);
    }

    fn end(&self, exit_code: i32) {
        let mut took = None;
        self.write(|draft, _| took = Some((draft.close(exit_code), draft.entry.key.clone())));
        if let Some((took, key)) = took {
            self.metrics.command(&key, took, exit_code != 0);
            // As of `ExecutionLog::tell`.
            let _ = self.commands.send(Command::Closed);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(-1);
    }
}

impl Common {
    fn add(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn lock(draft: &Mutex<Draft>) -> std::sync::MutexGuard<'_, Draft> {
    draft.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
