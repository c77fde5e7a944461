//! The log of one task: what ran, and every line it wrote (facts/batch-spec.md 3.10).

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err::File;
use memchr::memchr;

use super::duration::go_duration;
use crate::sandbox::Stream;

/// What the time and the label in front of a line of output take.
const HEAD: u64 = 45;

/// Longest piece of an unfinished line that is held back; beyond it the line is cut in the log.
const LONGEST_LINE: usize = 64 << 10;

/// A task's log file. Lines start with the local time; environment values never appear.
pub(super) struct StepLog {
    path: PathBuf,
    file: BufWriter<File>,
    /// The unfinished last line of each stream.
    open_lines: [Vec<u8>; 2],
    /// Bytes that the current step may still write, times and labels included.
    room: u64,
    /// Bytes of output of the current step that were not written.
    dropped: u64,
    limit: u64,
    /// The step whose output is being written, and since when.
    running: Option<(usize, Instant)>,
}

impl StepLog {
    pub(super) fn create(path: &Path, limit: u64) -> io::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(File::create(path)?),
            open_lines: [Vec::new(), Vec::new()],
            room: limit,
            dropped: 0,
            limit,
            running: None,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn begin(&mut self, step: usize, script: &str, container: &str) -> io::Result<()> {
        self.room = self.limit;
        self.dropped = 0;
        self.running = Some((step, Instant::now()));
        self.line(&format!(
            "[Step {}] run: {script:?}, container: {container:?}",
            step + 1
        ))
    }

    /// One line of our own.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.file, "{} {text}", now())?;
        self.file.flush()
    }

    /// Output of the step; only whole lines are written until the end.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        // One time for all lines: a step may write millions of them.
        let now = now();
        let mut rest = bytes;
        while !rest.is_empty() {
            let open = &mut self.open_lines[stream as usize];
            let head = if open.is_empty() { HEAD } else { 0 };
            let room = usize::try_from(self.room.saturating_sub(head)).unwrap_or(usize::MAX);
            if room == 0 {
                self.room = 0;
                break;
            }
            let end = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            let (piece, after) = rest.split_at(end.min(room));
            open.extend_from_slice(piece);
            self.room -= head + piece.len() as u64;
            rest = after;
            if open.ends_with(b"\n") || open.len() > LONGEST_LINE {
                self.write_line(stream, &now)?;
            }
        }
        self.dropped += rest.len() as u64;
        Ok(())
    }

    /// Ends the running step, if there is one, well or with an error.
    pub(super) fn end(&mut self, error: Option<&str>) -> io::Result<()> {
        let Some((step, since)) = self.running.take() else {
            return Ok(());
        };
        let now = now();
        self.write_line(Stream::Stdout, &now)?;
        self.write_line(Stream::Stderr, &now)?;
        if self.dropped > 0 {
            let dropped = self.dropped;
            self.line(&format!(
                "[Step {}] output truncated: {dropped} more bytes",
                step + 1
            ))?;
        }
        let elapsed = go_duration(Duration::from_millis(since.elapsed().as_millis() as u64));
        match error {
            None => self.line(&format!("[Step {}] complete in {elapsed}", step + 1)),
            Some(error) => self.line(&format!("[Step {}] took {elapsed}; {error}", step + 1)),
        }
    }

    fn write_line(&mut self, stream: Stream, now: &str) -> io::Result<()> {
        let line = std::mem::take(&mut self.open_lines[stream as usize]);
        if line.is_empty() {
            return Ok(());
        }
        let label = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        write!(self.file, "{now} {label} | ")?;
        self.file.write_all(&line)?;
        if !line.ends_with(b"\n") {
            self.file.write_all(b"\n")?;
        }
        // The buffer is given back: a step may write millions of lines.
        self.open_lines[stream as usize] = line;
        self.open_lines[stream as usize].clear();
        Ok(())
    }
}

/// The local time as RFC 3339 with nanoseconds.
fn now() -> String {
    let now = jiff::Zoned::now();
    let offset = now.offset();
    format!("{}", now.timestamp().display_with_offset(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_times(path: &Path) -> String {
        fs_err::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| line.split_once(' ').unwrap().1.to_owned() + "\n")
            .collect()
    }

    #[test]
    fn lines_are_whole_labelled_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("task.log");
        let mut log = StepLog::create(&path, 12 + 3 * HEAD).unwrap();
        log.begin(0, "echo \"hi\"\n", "alpine:3").unwrap();
        log.output(Stream::Stdout, b"on").unwrap();
        log.output(Stream::Stderr, b"bad\n").unwrap();
        log.output(Stream::Stdout, b"e\ntwo").unwrap();
        log.output(Stream::Stdout, b"three").unwrap();
        log.end(None).unwrap();
        log.end(Some("only a step that runs can end")).unwrap();
        drop(log);
        let text = without_times(&path);
        let (text, elapsed) = text.rsplit_once(' ').unwrap();
        assert!(elapsed.ends_with("s\n"), "{elapsed}");
        assert_eq!(
            text,
            "[Step 1] run: \"echo \\\"hi\\\"\\n\", container: \"alpine:3\"\n\
             stderr | bad\n\
             stdout | one\n\
             stdout | twot\n\
             [Step 1] output truncated: 4 more bytes\n\
             [Step 1] complete in"
        );
    }
}
