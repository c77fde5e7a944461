//! The JSON input of `batch exec` (facts/batch-spec.md 6.7).
//!
//! It is written by a server and trusted: types are checked, the spec's rules are not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::gojson;
use crate::result::StepResult;
use crate::spec::Step;
use crate::spec::step_json::{boolean, field, list, object, string, text};
use crate::task::{BatchChange, Repository, Task};

/// What `batch exec` is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecInput {
    /// The one task; it has at least one step.
    pub task: Task,
    /// Whether there is a result to resume from.
    pub cached_step_result_found: bool,
    /// That result, the object of facts 3.7, as it came.
    pub cached_step_result: Option<Value>,
    /// Steps, from 0, that the server found to be statically skipped. Upstream does not use them.
    pub skipped_steps: BTreeSet<usize>,
}

/// Why the input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExecInputError {
    /// It is not JSON.
    #[error("reading execution input: {0}")]
    Json(#[from] serde_json::Error),
    /// A value has the wrong type.
    #[error("reading execution input: {0}")]
    Type(String),
    /// What is said to be a known result is none.
    #[error("reading cachedStepResult: {0}")]
    Known(#[source] serde_json::Error),
    /// There is nothing to do.
    #[error("invalid execution, no steps to process")]
    NoSteps,
}

/// Reads the input. Keys may differ in case; null counts as absent.
pub fn parse(json: &str) -> Result<ExecInput, ExecInputError> {
    let value: Value = serde_json::from_str(json)?;
    let input = decode(&value).map_err(ExecInputError::Type)?;
    if input.task.steps.is_empty() {
        return Err(ExecInputError::NoSteps);
    }
    Ok(input)
}

impl ExecInput {
    /// The result to resume from, if there is one.
    ///
    /// # Errors
    /// If it is none.
    pub fn known(&self) -> Result<Option<StepResult>, ExecInputError> {
        match (&self.cached_step_result, self.cached_step_result_found) {
            (Some(value), true) => StepResult::from_json(value.to_string().as_bytes())
                .map(Some)
                .map_err(ExecInputError::Known),
            _ => Ok(None),
        }
    }

    /// The input as Go-JSON, in the order of keys of the server; what `parse` reads.
    pub fn to_json(&self) -> String {
        let task = &self.task;
        let paths = &task.search_result_paths;
        let text = InputText {
            attributes: AttributesText {
                name: &task.batch_change.name,
                description: &task.batch_change.description,
            },
            repository: RepositoryText {
                id: &task.repository.id,
                name: &task.repository.name,
            },
            branch: BranchText {
                name: &task.repository.branch,
                target: TargetText {
                    oid: &task.repository.rev,
                },
            },
            path: &task.path,
            only_fetch_workspace: task.only_fetch_workspace,
            steps: &task.steps,
            search_result_paths: (!paths.is_empty()).then_some(paths),
            cached_step_result_found: self.cached_step_result_found,
            cached_step_result: self.cached_step_result.as_ref(),
            skipped_steps: self
                .skipped_steps
                .iter()
                .map(|&step| (step, Empty {}))
                .collect(),
        };
        gojson::to_string(&text).expect("all keys of an input are text or numbers")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputText<'a> {
    #[serde(rename = "BatchChangeAttributes")]
    attributes: AttributesText<'a>,
    repository: RepositoryText<'a>,
    branch: BranchText<'a>,
    path: &'a str,
    only_fetch_workspace: bool,
    steps: &'a [Step],
    search_result_paths: Option<&'a Vec<String>>,
    cached_step_result_found: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_step_result: Option<&'a Value>,
    skipped_steps: BTreeMap<usize, Empty>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributesText<'a> {
    name: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct RepositoryText<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct BranchText<'a> {
    name: &'a str,
    target: TargetText<'a>,
}

#[derive(Serialize)]
struct TargetText<'a> {
    oid: &'a str,
}

#[derive(Serialize)]
struct Empty {}

fn decode(value: &Value) -> Result<ExecInput, String> {
    let absent = Value::Object(serde_json::Map::new());
    let root = object(value, "the input")?;
    let part = |key| object(field(root, key).unwrap_or(&absent), key);
    let attributes = part("BatchChangeAttributes")?;
    let repository = part("repository")?;
    let branch = part("branch")?;
    let target = object(field(branch, "target").unwrap_or(&absent), "target")?;

    let mut steps = Vec::new();
    for (index, step) in list(root, "steps")?.iter().enumerate() {
        steps.push(Step::from_json(step).map_err(|e| format!("step {}: {e}", index + 1))?);
    }
    let mut search_result_paths = list(root, "searchResultPaths")?
        .iter()
        .map(|path| string(path, "an entry of searchResultPaths"))
        .collect::<Result<Vec<_>, _>>()?;
    search_result_paths.sort();
    let skipped = part("skippedSteps")?;
    Ok(ExecInput {
        task: Task {
            repository: Repository {
                id: text(repository, "id")?,
                name: text(repository, "name")?,
                branch: text(branch, "name")?,
                rev: text(target, "oid")?,
            },
            path: text(root, "path")?,
            only_fetch_workspace: boolean(root, "onlyFetchWorkspace")?,
            search_result_paths,
            batch_change: BatchChange {
                name: text(attributes, "Name")?,
                description: text(attributes, "Description")?,
            },
            steps,
        },
        cached_step_result_found: boolean(root, "cachedStepResultFound")?,
        cached_step_result: field(root, "cachedStepResult").cloned(),
        skipped_steps: skipped.keys().filter_map(|key| key.parse().ok()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Condition, EnvVar};

    const INPUT: &str = r#"{
        "BatchChangeAttributes": {"Name": "hello", "Description": "say"},
        "repository": {"id": "UmVwbzox", "name": "github.com/acme/widgets"},
        "branch": {"name": "refs/heads/main", "target": {"oid": "d34db33f"}},
        "path": "a/b",
        "onlyFetchWorkspace": true,
        "steps": [
            {"RUN": "make", "container": "alpine:3", "env": ["HOME_DIR", {"A": "b"}], "if": true},
            {"run": "x", "image": "y", "env": null, "files": null}
        ],
        "searchResultPaths": ["b", "a"],
        "cachedStepResultFound": true,
        "cachedStepResult": {"stepIndex": 0},
        "skippedSteps": {"1": {}}
    }"#;

    #[test]
    fn a_whole_input() {
        let input = parse(INPUT).unwrap();
        let task = &input.task;
        assert_eq!(task.repository.id, "UmVwbzox");
        assert_eq!(task.repository.branch, "refs/heads/main");
        assert_eq!(task.repository.rev, "d34db33f");
        assert_eq!(task.path, "a/b");
        assert!(task.only_fetch_workspace);
        assert_eq!(task.search_result_paths, ["a", "b"]);
        assert_eq!(task.batch_change.description, "say");
        assert_eq!(task.steps[0].run, "make");
        assert_eq!(task.steps[0].if_, Condition::Bool(true));
        assert_eq!(task.steps[0].env.vars.len(), 2);
        assert!(
            matches!(&task.steps[0].env.vars[0], EnvVar::Forwarded { name } if name == "HOME_DIR")
        );
        assert_eq!(task.steps[1].container, "y");
        assert!(input.cached_step_result_found);
        assert_eq!(input.cached_step_result.unwrap()["stepIndex"], 0);
        assert_eq!(input.skipped_steps, BTreeSet::from([1]));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let input = parse(INPUT).unwrap();
        let json = input.to_json();
        insta::assert_snapshot!(json, @r#"{"BatchChangeAttributes":{"Name":"hello","Description":"say"},"repository":{"id":"UmVwbzox","name":"github.com/acme/widgets"},"branch":{"name":"refs/heads/main","target":{"oid":"d34db33f"}},"path":"a/b","onlyFetchWorkspace":true,"steps":[{"run":"make","container":"alpine:3","env":["HOME_DIR",{"A":"b"}],"if":true},{"run":"x","container":"y","env":{}}],"searchResultPaths":["a","b"],"cachedStepResultFound":true,"cachedStepResult":{"stepIndex":0},"skippedSteps":{"1":{}}}"#);
        assert_eq!(parse(&json).unwrap(), input);
    }

    #[test]
    fn bad_inputs() {
        for (json, want) in [
            ("{}", "invalid execution, no steps to process"),
            (
                r#"{"steps": null}"#,
                "invalid execution, no steps to process",
            ),
            (
                "[]",
                "reading execution input: the input has to be an object, not an array",
            ),
            (
                r#"{"steps": [{"run": 1}]}"#,
                "reading execution input: step 1: run has to be a string, not a number",
            ),
            (
                r#"{"steps": [{"env": [1]}]}"#,
                "reading execution input: step 1: an entry of env has to be an object, not a number",
            ),
            (
                "",
                "reading execution input: EOF while parsing a value at line 1 column 0",
            ),
        ] {
            assert_eq!(parse(json).unwrap_err().to_string(), want, "{json}");
        }
    }
}
