//! Conditions of a status.

use serde_json::{Value, json};

use super::clock;
use super::store::list;

/// Whether a condition holds.
pub(super) fn holds(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// A condition, if anything has been said of it.
pub(super) fn find<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    let mut all = list(&object["status"]["conditions"]);
    all.find(|condition| condition["type"] == kind)
}

/// Says whether a condition holds, and why. When it began stays if it only goes on.
pub(super) fn set(object: &mut Value, kind: &str, holds: bool, reason: &str, message: &str) {
    let status = if holds { "True" } else { "False" };
    let before = find(object, kind);
    let since = before
        .filter(|before| before["status"] == status)
        .map_or_else(
            || json!(clock::now()),
            |before| before["lastTransitionTime"].clone(),
        );
    let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
    match object["kind"] == "Job" {
        true => condition["lastProbeTime"] = condition["lastTransitionTime"].clone(),
        false => condition["lastProbeTime"] = Value::Null,
    }
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    let conditions = &mut object["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let all = conditions.as_array_mut().expect("it is one by now");
    match all.iter_mut().find(|other| other["type"] == kind) {
        Some(other) => *other = condition,
        None => all.push(condition),
    }
}
