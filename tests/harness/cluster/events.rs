//! What the parts of the cluster tell of what they do.

use serde_json::{Value, json};

use super::chance;
use super::clock;
use super::resource::Kind;
use super::state::State;
use super::store;

/// Tells of something about an object. What is told again is counted.
pub(super) fn tell(state: &mut State, about: &Value, source: &str, reason: &str, message: &str) {
    let is_same = |event: &&Value| {
        event["involvedObject"]["uid"] == about["metadata"]["uid"]
            && event["reason"] == reason
            && event["message"] == message
    };
    let events = state.store.all(Kind::Event);
    if let Some(known) = events.iter().find(is_same) {
        let name = store::name(known).to_owned();
        state.store.update(Kind::Event, &name, |event| {
            event["count"] = json!(event["count"].as_u64().unwrap_or(0) + 1);
            event["lastTimestamp"] = json!(clock::now());
        });
        return;
    }
    let kind = match reason {
        "Scheduled" | "Pulled" | "Created" | "Started" | "Killing" | "SuccessfulCreate"
        | "SuccessfulDelete" | "Completed" | "Suspended" | "Resumed" => "Normal",
        // The back-off itself is no more than waiting.
        "BackOff" => "Normal",
        _ => "Warning",
    };
    let name = format!("{}.{}", store::name(about), chance::letters(16));
    let event = json!({
        "metadata": {"name": name},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": about["metadata"]["name"],
            "namespace": about["metadata"]["namespace"],
            "uid": about["metadata"]["uid"],
            "resourceVersion": about["metadata"]["resourceVersion"],
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": clock::now(),
        "lastTimestamp": clock::now(),
        "eventTime": null,
        "source": {"component": source},
        "reportingComponent": source,
        "reportingInstance": "",
    });
    state.store.insert(Kind::Event, event);
}
