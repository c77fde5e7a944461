//! What a pod may be.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{names, required, wrong};
use crate::cluster::api::Cause;
use crate::cluster::quantity;
use crate::cluster::store::list;

/// Kinds of volumes that there are here.
const VOLUMES: &[&str] = &[
    "emptyDir",
    "secret",
    "configMap",
    "ephemeral",
    "hostPath",
    "persistentVolumeClaim",
];

pub(super) fn check(causes: &mut Vec<Cause>, spec: &Value, at: &str) {
    if list(&spec["containers"]).next().is_none() {
        causes.push(required(&format!("{at}.containers"), ""));
    }
    let mut volumes = BTreeSet::new();
    for (index, volume) in list(&spec["volumes"]).enumerate() {
        let field = format!("{at}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        check_name(causes, name, &field, &mut volumes);
        let kinds = VOLUMES.iter().filter(|kind| volume.get(**kind).is_some());
        if kinds.count() != 1 {
            causes.push(required(&field, "must specify a volume type"));
        }
        if let Some(limit) = volume["emptyDir"].get("sizeLimit") {
            check_quantity(causes, limit, &format!("{field}.emptyDir.sizeLimit"));
        }
    }
    let mut containers = BTreeSet::new();
    for kind in ["initContainers", "containers"] {
        for (index, container) in list(&spec[kind]).enumerate() {
            let field = format!("{at}.{kind}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            check_name(causes, name, &field, &mut containers);
            check_container(causes, container, &field, &volumes);
        }
    }
}

fn check_name(causes: &mut Vec<Cause>, name: &str, at: &str, known: &mut BTreeSet<String>) {
    let field = format!("{at}.name");
    if name.is_empty() {
        causes.push(required(&field, ""));
    } else if !names::is_label(name) {
        causes.push(wrong(&field, name, names::LABEL));
    } else if !known.insert(name.to_owned()) {
        causes.push(Cause {
            reason: "FieldValueDuplicate",
            field,
            message: format!("Duplicate value: {name:?}"),
        });
    }
}

fn check_container(
    causes: &mut Vec<Cause>,
    container: &Value,
    at: &str,
    volumes: &BTreeSet<String>,
) {
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        causes.push(required(&format!("{at}.image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        causes.push(wrong(&format!("{at}.image"), image, why));
    }
    for (index, variable) in list(&container["env"]).enumerate() {
        let name = variable["name"].as_str().unwrap_or_default();
        let field = format!("{at}.env[{index}].name");
        if name.is_empty() {
            causes.push(required(&field, ""));
        } else if name.contains('=') || !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            causes.push(wrong(&field, name, why));
        }
    }
    let mut paths = BTreeSet::new();
    for (index, mount) in list(&container["volumeMounts"]).enumerate() {
        let text = |field: &str| mount[field].as_str().unwrap_or_default();
        let field = |name: &str| format!("{at}.volumeMounts[{index}].{name}");
        if !volumes.contains(text("name")) {
            causes.push(Cause {
                reason: "FieldValueNotFound",
                field: field("name"),
                message: format!("Not found: {:?}", text("name")),
            });
        }
        let path = text("mountPath");
        if path.is_empty() {
            causes.push(required(&field("mountPath"), ""));
        } else if !paths.insert(path.to_owned()) {
            causes.push(wrong(&field("mountPath"), path, "must be unique"));
        }
        let sub = text("subPath");
        if sub.starts_with('/') {
            causes.push(wrong(&field("subPath"), sub, "must be a relative path"));
        }
        if sub.split('/').any(|part| part == "..") {
            causes.push(wrong(&field("subPath"), sub, "must not contain '..'"));
        }
    }
    for what in ["limits", "requests"] {
        let amounts = container["resources"][what].as_object();
        for (name, amount) in amounts.into_iter().flatten() {
            check_quantity(causes, amount, &format!("{at}.resources.{what}[{name}]"));
        }
    }
}

fn check_quantity(causes: &mut Vec<Cause>, amount: &Value, field: &str) {
    if quantity::of(amount).is_none() {
        let why = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        causes.push(wrong(field, amount.as_str().unwrap_or_default(), why));
    }
}
