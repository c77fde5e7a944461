//! Batch specs for tests.

use serde_json::{Value, json};

/// A spec with a step for each script, all in `alpine:3`, whose changes go to the branch `change`.
pub(crate) fn of(scripts: &[&str]) -> String {
    let steps = scripts
        .iter()
        .map(|script| json!({"run": script, "container": "alpine:3"}));
    with(&steps.collect::<Vec<_>>(), json!({}))
}

/// A spec with these steps; `more` are further fields.
pub(crate) fn with(steps: &[Value], more: Value) -> String {
    let mut spec = json!({
        "version": 2,
        "name": "change",
        "description": "A change",
        "steps": steps,
        "changesetTemplate": {
            "title": "Change",
            "body": "It changes.",
            "branch": "change",
            "commit": {
                "message": "Change it",
                "author": {"name": "Spec Author", "email": "spec@example.com"},
            },
        },
    });
    let (Value::Object(fields), Value::Object(more)) = (&mut spec, more) else {
        panic!("both are objects");
    };
    fields.extend(more);
    // JSON is YAML.
    spec.to_string()
}
