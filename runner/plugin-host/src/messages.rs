//! What a plugin says during a call: messages to its log, lines on its standard streams.

use std::sync::{Arc, Mutex, PoisonError};

use capstan_core::plugin::Hook;

use crate::plugin::{Level, Log};

/// How much of the end is kept for errors, in bytes.
const LAST: usize = 4 * 1024;

/// The messages of one call. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Messages(Arc<Mutex<Inner>>);

struct Inner {
    plugin: Arc<str>,
    hook: Option<Hook>,
    log: Option<Arc<dyn Log>>,
    /// Bytes that may still be passed on.
    left: usize,
    dropped: usize,
    out: Vec<u8>,
    err: Vec<u8>,
    last: String,
}

/// One of a plugin's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    Out,
    Err,
}

impl Messages {
    /// Passes messages on to `log`, up to `limit` bytes of them.
    pub(crate) fn new(
        plugin: Arc<str>,
        hook: Option<Hook>,
        log: Option<Arc<dyn Log>>,
        limit: usize,
    ) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            plugin,
            hook,
            log,
            left: limit,
            dropped: 0,
            out: Vec::new(),
            err: Vec::new(),
            last: String::new(),
        })))
    }

    /// A message of the plugin. What exceeds the limit is counted and dropped.
    pub(crate) fn write(&self, level: Level, message: &str) {
        self.with(|inner| inner.pass(level, message));
    }

    /// Bytes that the plugin printed; whole lines become messages.
    pub(crate) fn print(&self, stream: Standard, bytes: &[u8]) {
        self.with(|inner| inner.print(stream, bytes));
    }

    /// The call is over: passes on what has no line end, and says how much was dropped.
    pub(crate) fn finish(&self) {
        self.with(Inner::finish);
    }

    /// The last lines, at most 4 KiB.
    pub(crate) fn last_lines(&self) -> String {
        self.with(|inner| inner.last.trim_end().to_owned())
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut Inner) -> R) -> R {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn print(&mut self, stream: Standard, bytes: &[u8]) {
        let (level, mut held) = match stream {
            Standard::Out => (Level::Info, std::mem::take(&mut self.out)),
            Standard::Err => (Level::Warn, std::mem::take(&mut self.err)),
        };
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if held.is_empty() {
                self.pass(level, &String::from_utf8_lossy(line));
            } else {
                self.hold(&mut held, line);
                self.pass(level, &String::from_utf8_lossy(&held));
                held.clear();
            }
        }
        self.hold(&mut held, rest);
        match stream {
            Standard::Out => self.out = held,
            Standard::Err => self.err = held,
        }
    }

    /// Keeps the beginning of a line: no more of it than may be passed on, or is wanted for errors.
    fn hold(&mut self, held: &mut Vec<u8>, bytes: &[u8]) {
        let room = self.left.max(LAST).saturating_sub(held.len());
        let kept = bytes.len().min(room);
        held.extend_from_slice(&bytes[..kept]);
        self.dropped += bytes.len() - kept;
    }

    fn pass(&mut self, level: Level, message: &str) {
        self.remember(message);
        let fits = message.floor_char_boundary(self.left.min(message.len()));
        self.dropped += message.len() - fits;
        // A line end counts as well, so that empty lines come to an end.
        let (passed, whole) = (&message[..fits], fits == message.len());
        if whole && self.left > fits {
            self.left -= fits + 1;
        } else {
            self.left = 0;
            if passed.is_empty() {
                return;
            }
        }
        if let Some(log) = &self.log
            && let Some(hook) = self.hook
        {
            log.message(&self.plugin, hook, level, passed);
        }
    }

    fn remember(&mut self, message: &str) {
        let start = message.ceil_char_boundary(message.len().saturating_sub(LAST - 1));
        self.last.push_str(&message[start..]);
        self.last.push('\n');
        if self.last.len() > LAST {
            let cut = self.last.ceil_char_boundary(self.last.len() - LAST);
            let line = self.last[cut..].find('\n').map_or(cut, |end| cut + end + 1);
            // A single long line is cut in its middle, several at a line end.
            let cut = if line < self.last.len() { line } else { cut };
            self.last.drain(..cut);
        }
    }

    fn finish(&mut self) {
        for (level, held) in [
            (Level::Info, std::mem::take(&mut self.out)),
            (Level::Warn, std::mem::take(&mut self.err)),
        ] {
            if !held.is_empty() {
                self.pass(level, &String::from_utf8_lossy(&held));
            }
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0
            && let Some(log) = &self.log
            && let Some(hook) = self.hook
        {
            log.message(
                &self.plugin,
                hook,
                Level::Warn,
                &format!("{dropped} more bytes of messages were dropped"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
