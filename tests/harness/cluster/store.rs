//! The objects, and all that has happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::chance;
use super::clock;
use super::resource::Kind;

/// Where everything but what belongs to the whole cluster is.
pub(super) const NAMESPACE: &str = "capstan";

#[derive(Default)]
pub(super) struct Store {
    version: u64,
    /// Nobody can watch from a version before it.
    oldest: u64,
    objects: BTreeMap<(Kind, String), Value>,
    history: Vec<Change>,
}

/// One thing that happened.
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) kind: Kind,
    pub(super) before: Option<Value>,
    /// What it is now, or was when it went, with the version of its going.
    pub(super) after: Value,
    pub(super) is_gone: bool,
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.objects.get(&(kind, name.to_owned()))
    }

    /// All of a kind, by name.
    pub(super) fn all(&self, kind: Kind) -> Vec<Value> {
        let of_kind = self.objects.iter().filter(|((other, _), _)| *other == kind);
        of_kind.map(|(_, object)| object.clone()).collect()
    }

    /// All objects with their kinds.
    pub(super) fn everything(&self) -> impl Iterator<Item = (Kind, &Value)> {
        self.objects
            .iter()
            .map(|((kind, _), object)| (*kind, object))
    }

    /// Keeps a new object, with what the server puts into its metadata.
    pub(super) fn insert(&mut self, kind: Kind, mut object: Value) -> Value {
        stamp(kind, &mut object);
        self.insert_stamped(kind, object)
    }

    /// Keeps a new object that has its metadata.
    pub(super) fn insert_stamped(&mut self, kind: Kind, mut object: Value) -> Value {
        let name = name(&object).to_owned();
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.history.push(Change {
            version: self.version,
            kind,
            before: None,
            after: object.clone(),
            is_gone: false,
        });
        self.objects.insert((kind, name), object.clone());
        object
    }

    /// Changes an object, if it is there. What stays as it is has no new version.
    pub(super) fn update(&mut self, kind: Kind, name: &str, change: impl FnOnce(&mut Value)) {
        let Some(object) = self.objects.get_mut(&(kind, name.to_owned())) else {
            return;
        };
        let before = object.clone();
        change(object);
        if *object == before {
            return;
        }
        if kind == Kind::Job && object["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.history.push(Change {
            version: self.version,
            kind,
            before: Some(before),
            after: object.clone(),
            is_gone: false,
        });
    }

    /// Forgets an object; what it was.
    pub(super) fn remove(&mut self, kind: Kind, name: &str) -> Option<Value> {
        let before = self.objects.remove(&(kind, name.to_owned()))?;
        self.version += 1;
        let mut after = before.clone();
        after["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.history.push(Change {
            version: self.version,
            kind,
            before: Some(before.clone()),
            after,
            is_gone: true,
        });
        Some(before)
    }

    /// What happened to objects of a kind since a version.
    pub(super) fn since(&self, kind: Kind, version: u64) -> impl Iterator<Item = &Change> {
        let start = self
            .history
            .partition_point(|change| change.version <= version);
        self.history[start..]
            .iter()
            .filter(move |change| change.kind == kind)
    }

    /// Forgets the history.
    pub(super) fn expire(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.history.clear();
    }
}

/// Fills in what every object has.
pub(super) fn stamp(kind: Kind, object: &mut Value) {
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.name());
    let metadata = &mut object["metadata"];
    metadata["uid"] = json!(chance::uid());
    metadata["creationTimestamp"] = json!(clock::now());
    if kind.is_namespaced() {
        metadata["namespace"] = json!(NAMESPACE);
    }
    if kind == Kind::Job {
        metadata["generation"] = json!(1);
    }
}

/// The name of an object.
pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The id of an object.
pub(super) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// Whether somebody wants it gone.
pub(super) fn is_going(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// The elements of a list; none where there is no list.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
