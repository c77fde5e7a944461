//! How objects go, and what goes with them.

use serde_json::{Value, json};

use super::clock;
use super::resource::Kind;
use super::state::State;
use super::store::{self, list};

/// The finalizer of an object that goes after what depends on it.
const FOREGROUND: &str = "foregroundDeletion";

/// What becomes of the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Propagation {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

impl Propagation {
    /// What a request says, or what is done without a word: Jobs leave their pods behind.
    pub(super) fn of(kind: Kind, policy: Option<&str>) -> Option<Self> {
        match policy {
            Some("Background") => Some(Self::Background),
            Some("Foreground") => Some(Self::Foreground),
            Some("Orphan") => Some(Self::Orphan),
            Some(_) => None,
            None if kind == Kind::Job => Some(Self::Orphan),
            None => Some(Self::Background),
        }
    }
}

/// Deletes an object, or begins to.
pub(super) fn delete(
    state: &mut State,
    kind: Kind,
    name: &str,
    propagation: Propagation,
    grace: Option<i64>,
) {
    let Some(object) = state.store.get(kind, name).cloned() else {
        return;
    };
    if propagation == Propagation::Orphan {
        disown(state, store::uid(&object));
    }
    if kind == Kind::Pod {
        return delete_pod(state, &object, grace);
    }
    if propagation == Propagation::Foreground {
        state.store.update(kind, name, |object| {
            let metadata = &mut object["metadata"];
            metadata["deletionTimestamp"] = json!(clock::now());
            metadata["deletionGracePeriodSeconds"] = json!(0);
            metadata["finalizers"] = json!([FOREGROUND]);
        });
        return;
    }
    state.store.remove(kind, name);
}

/// A pod on a node goes when its containers have ended; others go at once.
fn delete_pod(state: &mut State, pod: &Value, grace: Option<i64>) {
    let name = store::name(pod);
    let of_pod = pod["spec"]["terminationGracePeriodSeconds"].as_i64();
    let grace = grace.or(of_pod).unwrap_or(30).max(0);
    let is_over = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    let is_bound = pod["spec"].get("nodeName").is_some();
    if grace == 0 || is_over || !is_bound {
        state.store.remove(Kind::Pod, name);
        return;
    }
    // It can be shortened, but not made longer.
    let before = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if before.is_some_and(|before| before <= grace) {
        return;
    }
    state.store.update(Kind::Pod, name, |pod| {
        let metadata = &mut pod["metadata"];
        metadata["deletionTimestamp"] = json!(clock::after(grace));
        metadata["deletionGracePeriodSeconds"] = json!(grace);
    });
}

/// Nothing belongs to this owner any more.
fn disown(state: &mut State, owner: &str) {
    for (kind, name) in owned(state, owner) {
        state.store.update(kind, &name, |object| {
            if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|reference| reference["uid"] != owner);
            }
        });
    }
}

/// What names an object as an owner.
fn owned(state: &State, owner: &str) -> Vec<(Kind, String)> {
    let all = state.store.everything();
    let owned = all.filter(|(_, object)| {
        list(&object["metadata"]["ownerReferences"]).any(|reference| reference["uid"] == owner)
    });
    owned
        .map(|(kind, object)| (kind, store::name(object).to_owned()))
        .collect()
}

/// Collects what has lost its owners, or has to go before one of them.
pub(super) fn collect_garbage(state: &mut State) {
    let alive = |state: &State, uid: &Value| {
        let mut all = state.store.everything();
        let owner = all.find(|(_, object)| object["metadata"]["uid"] == *uid);
        owner.is_some_and(|(_, owner)| !is_foreground(owner))
    };
    let all = state.store.everything();
    let garbage: Vec<(Kind, String)> = all
        .filter(|(_, object)| !store::is_going(object))
        .filter(|(_, object)| {
            let mut owners = list(&object["metadata"]["ownerReferences"]).peekable();
            owners.peek().is_some() && !owners.any(|owner| alive(state, &owner["uid"]))
        })
        .map(|(kind, object)| (kind, store::name(object).to_owned()))
        .collect();
    for (kind, name) in garbage {
        delete(state, kind, &name, Propagation::Background, None);
    }
    let waiting = state
        .store
        .everything()
        .filter(|(_, object)| is_foreground(object));
    let free: Vec<(Kind, String)> = waiting
        .filter(|(_, object)| owned(state, store::uid(object)).is_empty())
        .map(|(kind, object)| (kind, store::name(object).to_owned()))
        .collect();
    for (kind, name) in free {
        state.store.remove(kind, &name);
    }
}

fn is_foreground(object: &Value) -> bool {
    store::is_going(object)
        && list(&object["metadata"]["finalizers"]).any(|name| name == FOREGROUND)
}
