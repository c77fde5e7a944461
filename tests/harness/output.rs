//! What a command did.

use std::fmt;
use std::path::PathBuf;

use crate::normalise::normalise;

/// Exit code and both output streams of a command that has ended.
#[must_use = "assert its exit code, or compare it with a snapshot"]
pub struct Output {
    code: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    world: PathBuf,
}

impl Output {
    pub(crate) fn new(code: i32, stdout: Vec<u8>, stderr: Vec<u8>, world: PathBuf) -> Self {
        Self {
            code,
            stdout,
            stderr,
            world,
        }
    }

    /// Exit code; 128 + n if it was killed by signal n.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Asserts the exit code, and shows what the command said if it differs.
    #[track_caller]
    pub fn assert_code(&self, expected: i32) -> &Self {
        assert!(
            self.code == expected,
            "exit code {}, expected {expected}\n{self}",
            self.code
        );
        self
    }

    /// Standard output, with what differs from run to run replaced.
    pub fn stdout(&self) -> String {
        self.normalised(&self.stdout)
    }

    /// Standard error, with what differs from run to run replaced.
    pub fn stderr(&self) -> String {
        self.normalised(&self.stderr)
    }

    /// Standard output as it was written.
    pub fn raw_stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// Standard error as it was written.
    pub fn raw_stderr(&self) -> &[u8] {
        &self.stderr
    }

    fn normalised(&self, bytes: &[u8]) -> String {
        normalise(&String::from_utf8_lossy(bytes), &self.world)
    }
}

/// Both streams and the exit code, normalised: one text for one inline snapshot.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end_matches('\n'))?;
            }
        }
        write!(f, "--- exit {}", self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::Output;

    #[test]
    fn prints_as_one_text() {
        let output = Output::new(
            1,
            b"done in /w/tmp\n".to_vec(),
            b"oops \xff\n".to_vec(),
            "/w".into(),
        );
        insta::assert_snapshot!(output, @r"
        --- stdout
        done in $WORLD/tmp
        --- stderr
        oops �
        --- exit 1
        ");
    }

    #[test]
    #[should_panic(expected = "exit code 2, expected 0\n--- stderr\nno such file")]
    fn a_wrong_exit_code_shows_what_was_said() {
        Output::new(2, vec![], b"no such file\n".to_vec(), "/w".into()).assert_code(0);
    }
}
