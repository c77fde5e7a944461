//! How the failure of a step is told.

use std::fmt::Write as _;

/// A line of output longer than this many bytes is cut when a failure is told.
const MAX_LINE: usize = 2000;

/// A step that failed, with what is needed to tell about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFailure<'a> {
    /// The rendered script.
    pub script: &'a str,
    /// Where the script lay in the container, if it was put there. Shells name it in their messages.
    pub script_path: Option<&'a str>,
    /// Image as rendered.
    pub container: &'a str,
    /// Standard output.
    pub stdout: &'a str,
    /// Standard error.
    pub stderr: &'a str,
    /// What ended it.
    pub cause: Cause<'a>,
}

/// What ended a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause<'a> {
    /// The command ran and exited with this code, other than 0.
    ExitCode(i32),
    /// There is no exit code: it did not start, or was ended.
    Error(&'a str),
}

impl StepFailure<'_> {
    /// The whole story in several lines (facts/batch-spec.md 3.11), without a line break at the end.
    ///
    /// Of an output with more than `max_lines` lines only the head and the tail are shown, the tail being
    /// the longer; very long lines are cut. Removed from the output is every `<script path>: `, which
    /// tells the reader nothing.
    pub fn text(&self, max_lines: usize) -> String {
        let mut text = format!(
            "run: {}\n",
            self.script.split('\n').next().unwrap_or_default()
        );
        let more = self.script.matches('\n').count();
        if more > 0 {
            push(&mut text, format_args!("\t(... and {more} more lines)\n"));
        }
        push(&mut text, format_args!("container: {}\n\n", self.container));
        for (title, output) in [
            ("standard out", self.stdout),
            ("standard error", self.stderr),
        ] {
            let output = output.trim();
            if !output.is_empty() {
                push(&mut text, format_args!("{title}:\n"));
                self.push_output(&mut text, output, max_lines);
                text.push('\n');
            }
        }
        match self.cause {
            Cause::ExitCode(code) => {
                push(
                    &mut text,
                    format_args!("Command failed with exit code {code}."),
                );
            }
            Cause::Error(error) => push(&mut text, format_args!("Command failed: {error}")),
        }
        text
    }

    /// The failure in one line: the first of standard error, else of the error.
    pub fn status(&self) -> String {
        let first = |text: &str| text.trim().lines().next().unwrap_or_default().to_owned();
        match (first(self.stderr), self.cause) {
            (line, _) if !line.is_empty() => self.without_script_path(&line),
            (_, Cause::ExitCode(code)) => format!("exit status {code}"),
            (_, Cause::Error(error)) => first(error),
        }
    }

    fn push_output(&self, text: &mut String, output: &str, max_lines: usize) {
        let count = output.split('\n').count();
        let left_out = count.saturating_sub(max_lines);
        let head = if left_out > 0 { max_lines / 3 } else { count };
        for (index, line) in output.split('\n').enumerate() {
            if index == head && left_out > 0 {
                push(
                    text,
                    format_args!("\t(... {left_out} lines left out ...)\n"),
                );
            }
            if index >= head && index < head + left_out {
                continue;
            }
            let line = self.without_script_path(line);
            let end = line.floor_char_boundary(MAX_LINE);
            push(text, format_args!("\t{}", &line[..end]));
            if end < line.len() {
                push(text, format_args!(" (... {} more bytes)", line.len() - end));
            }
            text.push('\n');
        }
    }

    fn without_script_path(&self, line: &str) -> String {
        match self.script_path {
            Some(path) if !path.is_empty() => line.replace(&format!("{path}: "), ""),
            _ => line.to_owned(),
        }
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FAILURE: StepFailure<'_> = StepFailure {
        script: "make",
        script_path: Some("/tmp/tmp.X"),
        container: "alpine:3",
        stdout: "",
        stderr: "",
        cause: Cause::ExitCode(3),
    };

    #[test]
    fn all_parts() {
        let failure = StepFailure {
            script: "set -e\nmake\n",
            stdout: "\ncompiling\n  a.c\n\n",
            stderr: "sh: /tmp/tmp.X: line 3: nope: not found\n",
            ..FAILURE
        };
        insta::assert_snapshot!(failure.text(100), @"
        run: set -e
        	(... and 2 more lines)
        container: alpine:3

        standard out:
        	compiling
        	  a.c

        standard error:
        	sh: line 3: nope: not found

        Command failed with exit code 3.
        ");
        assert_eq!(failure.status(), "sh: line 3: nope: not found");
    }

    #[test]
    fn parts_without_content_are_left_out() {
        insta::assert_snapshot!(FAILURE.text(100), @"
        run: make
        container: alpine:3

        Command failed with exit code 3.
        ");
        let blank = StepFailure {
            stdout: " \n",
            cause: Cause::Error("context canceled"),
            ..FAILURE
        };
        insta::assert_snapshot!(blank.text(100), @"
        run: make
        container: alpine:3

        Command failed: context canceled
        ");
    }

    #[rstest]
    #[case("\n first \nsecond", Cause::ExitCode(7), "first")]
    #[case(" \n", Cause::ExitCode(7), "exit status 7")]
    #[case("", Cause::Error("timeout reached\nmore"), "timeout reached")]
    #[case("", Cause::Error(""), "")]
    fn one_line(#[case] stderr: &str, #[case] cause: Cause<'_>, #[case] status: &str) {
        let failure = StepFailure {
            stderr,
            cause,
            ..FAILURE
        };
        assert_eq!(failure.status().trim(), status);
    }

    #[test]
    fn long_output_shows_head_and_tail() {
        let lines: Vec<String> = (1..=100).map(|line| line.to_string()).collect();
        let stdout = lines.join("\n");
        let failure = StepFailure {
            stdout: &stdout,
            ..FAILURE
        };
        insta::assert_snapshot!(failure.text(6), @"
        run: make
        container: alpine:3

        standard out:
        	1
        	2
        	(... 94 lines left out ...)
        	97
        	98
        	99
        	100

        Command failed with exit code 3.
        ");
        assert!(
            failure.text(100).contains("\t50\n"),
            "a limit just met leaves nothing out"
        );
        assert!(failure.text(0).contains("(... 100 lines left out ...)"));
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let stdout = format!("{}é and the rest", "x".repeat(MAX_LINE - 1));
        let failure = StepFailure {
            stdout: &stdout,
            ..FAILURE
        };
        assert!(failure.text(10).contains("xx (... 15 more bytes)\n"));
    }
}
