//! The scheduler: there is one node, and not every pod may go there.

use serde_json::{Value, json};

use super::conditions;
use super::events;
use super::resource::Kind;
use super::state::State;
use super::store::{self, list};

/// The node.
pub(super) const NODE: &str = "node-1";

const SOURCE: &str = "default-scheduler";

/// What the node carries.
const LABELS: [(&str, &str); 3] = [
    ("kubernetes.io/os", "linux"),
    ("kubernetes.io/arch", "amd64"),
    ("kubernetes.io/hostname", NODE),
];

/// Binds new pods to the node, or says why not.
pub(super) fn schedule(state: &mut State) {
    for pod in state.store.all(Kind::Pod) {
        let is_named = pod["spec"].get("nodeName").is_some();
        if is_named || conditions::find(&pod, "PodScheduled").is_some() {
            continue;
        }
        let name = store::name(&pod).to_owned();
        let obstacle = state
            .unschedulable
            .clone()
            .or_else(|| obstacle(&pod["spec"]));
        let (reason, message) = match &obstacle {
            Some(message) => ("FailedScheduling", message.clone()),
            None => (
                "Scheduled",
                format!(
                    "Successfully assigned {}/{name} to {NODE}",
                    store::NAMESPACE
                ),
            ),
        };
        events::tell(state, &pod, SOURCE, reason, &message);
        state.store.update(Kind::Pod, &name, |pod| match &obstacle {
            Some(message) => {
                conditions::set(pod, "PodScheduled", false, "Unschedulable", message);
            }
            None => {
                pod["spec"]["nodeName"] = json!(NODE);
                conditions::set(pod, "PodScheduled", true, "", "");
            }
        });
    }
}

/// Why the node is none for a pod.
fn obstacle(spec: &Value) -> Option<String> {
    let claims = list(&spec["volumes"])
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    if let Some(claim) = claims.into_iter().next() {
        return Some(format!(
            "0/1 nodes are available: persistentvolumeclaim {claim:?} not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        ));
    }
    let selected = spec["nodeSelector"].as_object().into_iter().flatten();
    let is_selected = selected
        .into_iter()
        .all(|(key, value)| label(key).is_some_and(|found| *value == *found));
    let affinity =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let is_near = affinity.is_null() || list(&affinity["nodeSelectorTerms"]).any(takes);
    (!is_selected || !is_near).then(|| {
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
            .to_owned()
    })
}

fn label(key: &str) -> Option<&'static str> {
    let found = LABELS.iter().find(|(name, _)| *name == key);
    found.map(|(_, value)| *value)
}

/// Whether a term of an affinity takes the node. One that says nothing takes none.
fn takes(term: &Value) -> bool {
    let labels =
        list(&term["matchExpressions"]).map(|rule| (rule, rule["key"].as_str().and_then(label)));
    let fields = list(&term["matchFields"])
        .map(|rule| (rule, (rule["key"] == "metadata.name").then_some(NODE)));
    let mut rules = labels.chain(fields).peekable();
    rules.peek().is_some()
        && rules.all(|(rule, found)| {
            let is_listed =
                found.is_some_and(|found| list(&rule["values"]).any(|value| value == found));
            match rule["operator"].as_str() {
                Some("In") => is_listed,
                Some("NotIn") => !is_listed,
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}
