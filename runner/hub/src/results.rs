//! What executors say about results in their logs (facts/executor-protocol.md 7.8), and the changesets that become of it.

use capstan_core::changeset::{self, ChangesetSpec};
use capstan_core::diff::Diff;
use capstan_core::result::StepResult;
use capstan_core::spec;
use capstan_core::task::Task;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::store::{self, Entry, Execution, StoreError};

/// What a line has to begin with to be looked at.
const PREFIX: &[u8] = b"stdout: ";

/// Longest line that is looked at.
const LINE_LIMIT: usize = 512 << 20;

/// Longest name of a result.
const KEY_LIMIT: usize = 512;

/// A result as an executor reported it.
pub(crate) struct Reported {
    /// The name that says what it depends on.
    pub(crate) key: String,
    /// As it was written.
    pub(crate) value: Vec<u8>,
    pub(crate) result: StepResult,
}

/// What the log of a job says.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) reported: Vec<Reported>,
    /// Whether a step said that it was skipped.
    pub(crate) skipped: bool,
}

impl Findings {
    /// The result of the last step.
    pub(crate) fn last(&self) -> Option<&StepResult> {
        let results = self.reported.iter().map(|reported| &reported.result);
        // Of two results of one step the later counts.
        results.max_by_key(|result| result.step_index)
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    operation: String,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CacheMetadata<'a> {
    key: String,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// Reads the log of a job.
pub(crate) fn find(connection: &rusqlite::Connection, job: i64) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    for entry in store::entries(connection, job)? {
        let Some(wanted) = wanted(&entry) else {
            continue;
        };
        let mut lines = Lines::default();
        store::read_out(connection, entry.id, 0, |bytes| {
            lines.push(bytes, |line| wanted(line, &mut findings));
            Ok(())
        })?;
        lines.end(|line| wanted(line, &mut findings));
    }
    Ok(findings)
}

type Look = fn(&[u8], &mut Findings);

/// How the lines of an entry are looked at, if they are.
fn wanted(entry: &Entry) -> Option<Look> {
    let key = entry.key.as_str();
    if key.ends_with(".post") || key == "step.src.batch-exec" || key == "step.src.0" {
        Some(look_for_results)
    } else if key.ends_with(".pre") {
        Some(look_for_skips)
    } else {
        None
    }
}

fn look_for_results(line: &[u8], findings: &mut Findings) {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else {
        return;
    };
    match event.operation.as_str() {
        "CACHE_AFTER_STEP_RESULT" => {}
        "TASK_STEP_SKIPPED" => {
            findings.skipped = true;
            return;
        }
        _ => return,
    }
    let Some(metadata) = event.metadata else {
        return;
    };
    let Ok(cached) = serde_json::from_str::<CacheMetadata<'_>>(metadata.get()) else {
        return;
    };
    let value = cached.value.get().as_bytes();
    let Ok(result) = StepResult::from_json(value) else {
        return;
    };
    findings.reported.push(Reported {
        key: cached.key,
        value: value.to_vec(),
        result,
    });
}

fn look_for_skips(line: &[u8], findings: &mut Findings) {
    let event = serde_json::from_slice::<Event<'_>>(line);
    if event.is_ok_and(|event| event.operation == "TASK_STEP_SKIPPED") {
        findings.skipped = true;
    }
}

/// Whether a reported result may be kept under its name.
pub(crate) fn may_be_kept(reported: &Reported) -> bool {
    !reported.key.is_empty() && reported.key.len() <= KEY_LIMIT
}

/// Puts pieces together to lines; only those that begin with the prefix are kept, and handed on without it.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    /// Whether the rest of the line does not matter.
    skipping: bool,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], mut found: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let (part, rest, ended) = match bytes.iter().position(|&byte| byte == b'\n') {
                Some(end) => (&bytes[..end], &bytes[end + 1..], true),
                None => (bytes, &bytes[bytes.len()..], false),
            };
            if !self.skipping {
                self.line.extend_from_slice(part);
                let length = self.line.len().min(PREFIX.len());
                if self.line[..length] != PREFIX[..length] || self.line.len() > LINE_LIMIT {
                    self.skipping = true;
                    self.line = Vec::new();
                }
            }
            if ended {
                self.end(&mut found);
            }
            bytes = rest;
        }
    }

    fn end(&mut self, mut found: impl FnMut(&[u8])) {
        if !self.skipping
            && let Some(text) = self.line.strip_prefix(PREFIX)
        {
            found(text);
        }
        self.line.clear();
        self.skipping = false;
    }
}

/// The changesets of a job with this result of its last step; else why there are none.
pub(crate) fn changesets(
    execution: &Execution,
    task: &Task,
    mut result: StepResult,
) -> Result<Vec<ChangesetSpec>, String> {
    // Reading a spec of many branches takes longer than all the rest.
    if result.diff.is_empty() {
        return Ok(Vec::new());
    }
    let parsed = spec::parse_whole(execution.draft.spec.as_bytes(), true);
    let spec = parsed.map_err(|problems| problems.to_string())?.spec;
    let Some(template) = &spec.changeset_template else {
        return Ok(Vec::new());
    };
    // Sourcegraph's own helper leaves this to whoever reads the diff.
    if result.changed_files == Default::default()
        && let Ok(diff) = Diff::parse(&result.diff)
    {
        result.changed_files = diff.changed_files();
    }
    changeset::build(task, &result, template, spec.transform_changes.as_ref())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut keep = |line: &[u8]| found.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            lines.push(piece.as_bytes(), &mut keep);
        }
        lines.end(&mut keep);
        found
    }

    #[test]
    fn only_lines_of_standard_output_are_looked_at() {
        let text = "stdout: a\nstderr: b\n stdout: c\nstdout:d\n\nstdout: \nstdout: e";
        assert_eq!(lines(&[text]), ["a", "", "e"]);
    }

    #[test]
    fn where_pieces_end_does_not_matter() {
        let text = "stdout: one\nstderr: two\nstdout: three\nst";
        let whole = lines(&[text]);
        for at in 0..text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]]), whole, "{at}");
        }
        let bytes: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(lines(&bytes), whole);
    }

    fn findings(lines: &[&str]) -> Findings {
        let mut findings = Findings::default();
        for line in lines {
            look_for_results(line.as_bytes(), &mut findings);
        }
        findings
    }

    #[test]
    fn results_are_found_among_other_lines() {
        let found = findings(&[
            "Rendering step output o",
            "{}",
            "[1]",
            r#"{"operation":"TASK_STEP","status":"SUCCESS","metadata":{"step":1}}"#,
            r#"{"operation":"CACHE_AFTER_STEP_RESULT","timestamp":"2024-01-01T00:00:00Z","status":"SUCCESS","metadata":{"key":"b-step-1","value":{"version":2,"stepIndex":1,"diff":"YQ==","new":1}}}"#,
            r#"{"operation":"CACHE_AFTER_STEP_RESULT","metadata":{"key":"a-step-0","value":{"stepIndex":0,"diff":"text"}}}"#,
            r#"{"operation":"CACHE_AFTER_STEP_RESULT","metadata":{"key":"x","value":{"version":2,"diff":"not base64"}}}"#,
            r#"{"operation":"CACHE_AFTER_STEP_RESULT","metadata":null}"#,
            r#"{"operation":"CACHE_AFTER_STEP_RESULT"}"#,
        ]);
        let keys: Vec<_> = found.reported.iter().map(|r| r.key.as_str()).collect();
        assert_eq!(keys, ["b-step-1", "a-step-0"]);
        assert_eq!(found.last().unwrap().diff, b"a");
    }
}
