//! From pieces of output to lines.

use capstan_engine::sandbox::Stream;
use memchr::memchr;

use crate::log::Entry;

/// Longest line that is kept whole.
const LONGEST: usize = 1 << 20;

/// The unfinished last line of each stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: [Vec<u8>; 2],
}

impl Lines {
    /// Writes the lines that `bytes` ends to `entry`.
    pub(super) fn push(&mut self, entry: &Entry, stream: Stream, mut bytes: &[u8]) {
        let open = &mut self.open[stream as usize];
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if open.is_empty() {
                entry.line(stream, line);
            } else {
                open.extend_from_slice(line);
                entry.line(stream, open);
                open.clear();
            }
            bytes = rest;
        }
        open.extend_from_slice(bytes);
        if open.len() >= LONGEST {
            entry.line(stream, open);
            open.clear();
        }
    }

    /// No output comes any more.
    pub(super) fn end(&mut self, entry: &Entry) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let open = &mut self.open[stream as usize];
            if !open.is_empty() {
                entry.line(stream, open);
                open.clear();
            }
        }
    }
}
