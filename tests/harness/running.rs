//! A capstan that runs: waiting for what it says, sending it signals.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use crate::output::Output;

pub use rustix::process::Signal;

/// After this long a test gives up; nothing a test does takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A started command. Killed when dropped.
#[must_use = "wait for it, or it is killed at once"]
pub struct Running {
    child: Child,
    world: PathBuf,
    stdout: Stream,
    stderr: Stream,
}

/// One of the command's output streams, read by a thread of its own.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn new(mut source: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clone()
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn read_to_end(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        std::mem::take(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Running {
    pub(crate) fn start(mut command: Command, stdin: Vec<u8>, world: PathBuf) -> Self {
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut pipe = child.stdin.take().expect("standard input is a pipe");
        // A thread, for the command may read it late or never; then writing fails, which is its business.
        thread::spawn(move || pipe.write_all(&stdin));
        let stdout = match child.stdout.take() {
            Some(stdout) => Stream::new(stdout),
            // Somebody else reads it.
            None => Stream::new(std::io::empty()),
        };
        let stderr = Stream::new(child.stderr.take().expect("standard error is a pipe"));
        Self {
            child,
            world,
            stdout,
            stderr,
        }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it has had so far, in bytes; `None` once it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it is our own child")
            .is_none()
    }

    /// What it has written to its standard output so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// What it has written to its standard error so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until standard output or standard error contains a text.
    pub fn wait_for(&mut self, text: &str) {
        let said = |this: &Self| {
            this.stdout.so_far().contains(text) || this.stderr.so_far().contains(text)
        };
        let reached = self.wait_until(|this| said(this) || !this.is_running());
        // The last words may have been read after the end was seen.
        if reached && !said(self) {
            thread::sleep(Duration::from_millis(100));
        }
        assert!(
            said(self),
            "waited for {text:?} in vain\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout.so_far(),
            self.stderr.so_far()
        );
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "it has ended before the signal");
        kill_process(Pid::from_child(&self.child), signal).expect("it is our own child");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Output {
        let ended = self.wait_until(|this| !this.is_running());
        if !ended {
            panic!(
                "still running after {PATIENCE:?}\n--- stdout\n{}\n--- stderr\n{}",
                self.stdout.so_far(),
                self.stderr.so_far()
            );
        }
        let status = self.child.wait().expect("it has ended");
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .expect("a process exits or is killed");
        Output::new(
            code,
            self.stdout.read_to_end(),
            self.stderr.read_to_end(),
            self.world.clone(),
        )
    }

    fn wait_until(&mut self, mut condition: impl FnMut(&mut Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if condition(self) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Running, Signal};

    fn shell(script: &str, stdin: &str) -> Running {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::start(command, stdin.into(), "/nowhere".into())
    }

    #[test]
    fn both_streams_and_the_exit_code_are_kept() {
        let output = shell("cat; echo oops >&2; exit 7", "in").wait();
        assert_eq!(
            (output.code(), output.stdout(), output.stderr()),
            (7, "in".into(), "oops\n".into())
        );
    }

    #[test]
    fn a_signal_is_told_apart_from_an_exit() {
        let mut running = shell("echo ready; exec sleep 1000", "");
        running.wait_for("ready");
        running.signal(Signal::TERM);
        assert_eq!(running.wait().code(), 128 + 15);
    }

    #[test]
    #[should_panic(expected = "waited for \"never\" in vain")]
    fn waiting_ends_with_the_command() {
        shell("echo something", "").wait_for("never");
    }
}
