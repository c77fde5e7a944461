//! What a server reads out of a job's log (facts/executor-protocol.md 7.8), written down once more.

use std::collections::BTreeMap;

use capstan_core::result::StepResult;
use capstan_protocol::LogEntry;
use serde_json::Value;

/// The results, by the keys under which the server keeps them.
pub(super) fn results(entries: &[LogEntry]) -> BTreeMap<String, StepResult> {
    let mut results = BTreeMap::new();
    for event in events(entries) {
        if event["operation"] == "CACHE_AFTER_STEP_RESULT" {
            let metadata = &event["metadata"];
            let result = StepResult::from_json(metadata["value"].to_string().as_bytes()).unwrap();
            results.insert(metadata["key"].as_str().unwrap().to_owned(), result);
        }
    }
    results
}

/// What changesets are made of when the job is marked as complete.
pub(super) fn complete(entries: &[LogEntry]) -> Result<StepResult, &'static str> {
    let results = results(entries).into_values();
    let last = results.max_by_key(|result| result.step_index);
    last.ok_or("found no step results")
}

/// The events in the entries that a server looks at.
pub(super) fn events(entries: &[LogEntry]) -> Vec<Value> {
    let is_looked_at = |entry: &&LogEntry| {
        entry.key.ends_with(".post") || matches!(&*entry.key, "step.src.batch-exec" | "step.src.0")
    };
    let lines = entries
        .iter()
        .filter(is_looked_at)
        .flat_map(|entry| entry.out.lines());
    let lines = lines.filter_map(|line| line.strip_prefix("stdout: "));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
