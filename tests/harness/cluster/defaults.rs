//! What the server fills in where a client says nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::store;

/// A Job, after it has got its id.
pub(super) fn job(job: &mut Value) {
    let (name, uid) = (store::name(job).to_owned(), store::uid(job).to_owned());
    let spec = &mut job["spec"];
    fill(
        spec,
        &json!({
            "parallelism": 1,
            "completions": 1,
            "completionMode": "NonIndexed",
            "backoffLimit": 6,
            "suspend": false,
            "podReplacementPolicy": "TerminatingOrFailed",
            "manualSelector": false,
        }),
    );
    spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let labels = json!({
        "job-name": name,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
    });
    let template = &mut spec["template"];
    fill(&mut template["metadata"]["labels"], &labels);
    pod(&mut template["spec"]);
    fill(&mut job["status"], &json!({}));
}

fn pod(spec: &mut Value) {
    fill(
        spec,
        &json!({
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        }),
    );
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let image = container["image"].as_str().unwrap_or_default();
            let name = image.rsplit('/').next().unwrap_or_default();
            let is_latest = !name.contains([':', '@']) || name.ends_with(":latest");
            let policy = if is_latest { "Always" } else { "IfNotPresent" };
            fill(
                container,
                &json!({
                    "imagePullPolicy": policy,
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }),
            );
        }
    }
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten() {
        if let Some(secret) = volume.get_mut("secret") {
            fill(secret, &json!({"defaultMode": 0o644}));
        }
    }
}

/// A Secret: text becomes data.
pub(super) fn secret(secret: &mut Value) {
    fill(secret, &json!({"type": "Opaque"}));
    let Some(object) = secret.as_object_mut() else {
        return;
    };
    let texts = object.remove("stringData").unwrap_or_default();
    for (name, text) in texts.as_object().into_iter().flatten() {
        let text = text.as_str().unwrap_or_default();
        let data = object.entry("data").or_insert_with(|| json!({}));
        data[name] = json!(STANDARD.encode(text));
    }
}

/// Sets the fields that are not there.
fn fill(object: &mut Value, defaults: &Value) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    for (field, value) in defaults.as_object().into_iter().flatten() {
        if object.get(field).is_none_or(Value::is_null) {
            object[field] = value.clone();
        }
    }
}
