//! An entry while it is written.

use capstan_engine::sandbox::Stream;
use capstan_protocol::LogEntry;
use jiff::Timestamp;
use tokio::time::Instant;

/// Most bytes of output of one entry that are sent as they come.
const ENTRY_LIMIT: usize = 32 << 20;

/// Of what is beyond, so many of the last bytes are kept: what went wrong is said at the end.
const TAIL: usize = 256 << 10;

/// What the entries of one job may hold together before less of each is kept.
pub(super) const JOB_LIMIT: usize = 128 << 20;

/// An entry while it is written. Its text only ever grows.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) entry: LogEntry,
    begun: Instant,
    /// Bytes that were left out, the tail not counted.
    left_out: usize,
    /// The last lines of what did not fit.
    tail: String,
}

impl Draft {
    pub(super) fn new(key: &str, command: Option<Vec<String>>) -> Self {
        Self {
            entry: LogEntry {
                key: key.to_owned(),
                command,
                start_time: Timestamp::now(),
                exit_code: None,
                out: String::new(),
                duration_ms: None,
            },
            begun: Instant::now(),
            left_out: 0,
            tail: String::new(),
        }
    }

    /// Whether servers look for results in it (facts/executor-protocol.md 7.8).
    pub(super) fn may_hold_results(&self) -> bool {
        let key = &self.entry.key;
        key.ends_with(".post") || key.starts_with("step.src.")
    }

    pub(super) fn is_closed(&self) -> bool {
        self.entry.exit_code.is_some()
    }

    /// Appends a line of a command's output; `is_full`: the job's entries hold too much already.
    pub(super) fn line(&mut self, stream: Stream, line: &str, is_full: bool) {
        let prefix = match stream {
            Stream::Stdout => "stdout: ",
            Stream::Stderr => "stderr: ",
        };
        self.append(&[prefix, line, "\n"], is_full);
    }

    /// Appends text that has no prefix.
    pub(super) fn text(&mut self, text: &str, is_full: bool) {
        self.append(&[text], is_full);
    }

    /// Appends an event, whatever the limits say: the server reads the job's results out of them.
    pub(super) fn event(&mut self, json: &str) {
        self.write_tail();
        for part in ["stdout: ", json, "\n"] {
            self.entry.out.push_str(part);
        }
    }

    fn append(&mut self, parts: &[&str], is_full: bool) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let fits = self.entry.out.len() + length <= ENTRY_LIMIT && !is_full;
        if fits && self.left_out == 0 && self.tail.is_empty() {
            parts.iter().for_each(|part| self.entry.out.push_str(part));
            return;
        }
        parts.iter().for_each(|part| self.tail.push_str(part));
        // Twice the length, so that not every line moves the others.
        if self.tail.len() > 2 * TAIL {
            let from = self.tail.ceil_char_boundary(self.tail.len() - TAIL);
            let after_break = self.tail[from..].find('\n').map(|at| from + at + 1);
            // Of one line that is too long, its end is kept.
            let cut = after_break
                .filter(|&at| at < self.tail.len())
                .unwrap_or(from);
            self.tail.drain(..cut);
            self.left_out += cut;
        }
    }

    /// What did not fit is told, and its end appended.
    fn write_tail(&mut self) {
        if self.left_out > 0 {
            let notice = format!("[{} bytes of output are left out here]\n", self.left_out);
            self.entry.out.push_str(&notice);
        }
        let tail = std::mem::take(&mut self.tail);
        self.entry.out.push_str(&tail);
        self.left_out = 0;
    }

    /// Ends it; what comes after is ignored. The time it took, in seconds.
    pub(super) fn close(&mut self, exit_code: i32) -> std::time::Duration {
        let took = self.begun.elapsed();
        if !self.is_closed() {
            self.write_tail();
            self.entry.exit_code = Some(exit_code);
            self.entry.duration_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        }
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_prefix_and_texts_have_none() {
        let mut draft = Draft::new("setup.fs.extras", None);
        draft.line(Stream::Stdout, "a", false);
        draft.line(Stream::Stderr, "b", false);
        draft.text("Wrote x\n", false);
        draft.event("{}");
        draft.close(3);
        assert_eq!(
            draft.entry.out,
            "stdout: a\nstderr: b\nWrote x\nstdout: {}\n"
        );
        assert_eq!(draft.entry.exit_code, Some(3));
    }

    #[test]
    fn too_much_output_keeps_its_beginning_its_end_and_all_events() {
        let mut draft = Draft::new("step.docker.step.0.run", None);
        let line = "x".repeat(1 << 20);
        for _ in 0..64 {
            draft.line(Stream::Stdout, &line, false);
        }
        assert!(draft.entry.out.len() <= ENTRY_LIMIT);
        assert!(
            draft.tail.len() <= 2 * TAIL + line.len(),
            "memory is bounded"
        );
        draft.line(Stream::Stderr, "boom", false);
        let before = draft.entry.out.len();
        draft.event("{\"a\":1}");
        assert!(draft.entry.out.len() > before);
        draft.close(1);
        let end: Vec<&str> = draft.entry.out.lines().rev().take(4).collect();
        assert_eq!(end[0], "stdout: {\"a\":1}");
        assert_eq!(end[1], "stderr: boom");
        assert!(end[2].ends_with('x') && end[2].len() <= TAIL);
        assert!(end[3].starts_with('[') && end[3].ends_with("bytes of output are left out here]"));
    }

    #[test]
    fn when_the_job_has_said_too_much_even_the_first_line_waits() {
        let mut draft = Draft::new("step.docker.step.0.run", None);
        draft.line(Stream::Stdout, "first", true);
        assert_eq!(draft.entry.out, "");
        draft.line(Stream::Stdout, "second", false);
        draft.close(0);
        assert_eq!(draft.entry.out, "stdout: first\nstdout: second\n");
    }

    #[test]
    fn of_a_last_line_that_is_too_long_the_end_is_kept() {
        let mut draft = Draft::new("step", None);
        draft.line(Stream::Stdout, &"é".repeat(TAIL * 2), true);
        draft.line(
            Stream::Stdout,
            &format!("{}the end", "é".repeat(TAIL * 2)),
            true,
        );
        draft.close(0);
        assert!(draft.entry.out.ends_with("éthe end\n"));
        assert!(draft.entry.out.len() <= 2 * TAIL + 100);
    }
}
