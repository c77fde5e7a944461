//! Jobs as a server makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A native job of the queue `batches` at a commit of a repository: the triple of each step, which runs in `alpine:3`.
pub fn native_job(repository: &str, commit: &str, runs: &[&str]) -> Value {
    let steps: Vec<Value> = runs
        .iter()
        .map(|run| json!({"run": run, "container": "alpine:3", "env": {}}))
        .collect();
    let input = json!({
        "BatchChangeAttributes": {"Name": "test", "Description": "A test."},
        "repository": {"id": "UmVwb3NpdG9yeTox", "name": repository},
        "branch": {"name": "refs/heads/main", "target": {"oid": commit}},
        "path": "",
        "onlyFetchWorkspace": false,
        "steps": steps,
        "searchResultPaths": [],
        "cachedStepResultFound": false,
        "skippedSteps": {},
    });
    let input = STANDARD.encode(input.to_string());
    let helper = "sourcegraph/batcheshelper:5.2.0";
    let triple = |i: usize| {
        [
            json!({"key": format!("step.{i}.pre"), "image": helper, "commands": [format!("batcheshelper pre {i}")], "dir": ".", "env": null}),
            json!({"key": format!("step.{i}.run"), "image": "alpine:3", "commands": [format!("../step{i}.sh")], "dir": "repository", "env": null}),
            json!({"key": format!("step.{i}.post"), "image": helper, "commands": [format!("batcheshelper post {i}")], "dir": ".", "env": null}),
        ]
    };
    json!({
        "version": 2,
        "repositoryName": repository,
        "repositoryDirectory": "repository",
        "commit": commit,
        "shallowClone": true,
        "files": {"input.json": {"content": input, "modifiedAt": "0001-01-01T00:00:00Z"}},
        "dockerSteps": (0..runs.len()).flat_map(triple).collect::<Vec<_>>(),
        "redactedValues": {"s3cret-value": "${{ secrets.TOKEN }}"},
    })
}
