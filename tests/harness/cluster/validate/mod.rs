//! What the server does not take.

mod names;
mod pod;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::api::Cause;
use super::resource::Kind;
use super::store;

/// Most bytes of a Secret's data.
const SECRET: usize = 1 << 20;

/// What is wrong with a new object.
pub(super) fn object(kind: Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = store::name(object);
    if name.is_empty() {
        causes.push(required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if !names::is_subdomain(name) {
        causes.push(wrong("metadata.name", name, names::SUBDOMAIN));
    }
    labels(&mut causes, &object["metadata"], "metadata");
    match kind {
        Kind::Job => job(&mut causes, object),
        Kind::Secret => secret(&mut causes, object),
        _ => {}
    }
    causes
}

/// What is wrong with a change of an object.
pub(super) fn change(kind: Kind, before: &Value, after: &Value) -> Vec<Cause> {
    let mut causes = object(kind, after);
    let fields: &[&str] = match kind {
        Kind::Job => &["template", "selector", "completions", "completionMode"],
        Kind::Pod => &["containers", "initContainers", "volumes", "nodeName"],
        _ => &[],
    };
    for field in fields {
        if before["spec"].get(field) != after["spec"].get(field) {
            causes.push(Cause {
                reason: "FieldValueInvalid",
                field: format!("spec.{field}"),
                message: format!(
                    "Invalid value: {}: field is immutable",
                    after["spec"][field]
                ),
            });
        }
    }
    causes
}

fn job(causes: &mut Vec<Cause>, job: &Value) {
    // Its pods carry its name as a label.
    let name = store::name(job);
    if name.len() > 63 {
        causes.push(wrong(
            "spec.template.labels",
            name,
            "must be no more than 63 characters",
        ));
    }
    for field in [
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        let number = job["spec"].get(field).filter(|value| !value.is_null());
        if number.is_some_and(|number| number.as_u64().is_none()) {
            let value = &job["spec"][field];
            causes.push(Cause {
                reason: "FieldValueInvalid",
                field: format!("spec.{field}"),
                message: format!("Invalid value: {value}: must be greater than or equal to 0"),
            });
        }
    }
    let template = &job["spec"]["template"];
    labels(causes, &template["metadata"], "spec.template");
    pod::check(causes, &template["spec"], "spec.template.spec");
    let policy = &template["spec"]["restartPolicy"];
    let field = "spec.template.spec.restartPolicy";
    match policy.as_str() {
        Some("Never" | "OnFailure") => {}
        None | Some("Always") => {
            causes.push(required(field, r#"valid values: "OnFailure", "Never""#));
        }
        Some(other) => causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: field.to_owned(),
            message: format!(
                r#"Unsupported value: {other:?}: supported values: "OnFailure", "Never""#
            ),
        }),
    }
}

fn secret(causes: &mut Vec<Cause>, secret: &Value) {
    let mut total = 0;
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        if !names::is_key(key) {
            causes.push(wrong(&format!("data[{key}]"), key, names::KEY));
        }
        match value.as_str().map(|text| STANDARD.decode(text)) {
            Some(Ok(bytes)) => total += bytes.len(),
            _ => causes.push(wrong(&format!("data[{key}]"), "", "illegal base64 data")),
        }
    }
    if total > SECRET {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "data".to_owned(),
            message: format!("Too long: may not be more than {SECRET} bytes"),
        });
    }
}

/// Labels and the names of annotations.
fn labels(causes: &mut Vec<Cause>, metadata: &Value, at: &str) {
    for what in ["labels", "annotations"] {
        let field = format!("{at}.{what}");
        for (key, value) in metadata[what].as_object().into_iter().flatten() {
            if !names::is_qualified(key) {
                causes.push(wrong(&field, key, names::QUALIFIED));
            }
            let text = value.as_str();
            if text.is_none() || what == "labels" && !text.is_some_and(names::is_label_value) {
                causes.push(wrong(&field, &value.to_string(), names::LABEL_VALUE));
            }
        }
    }
}

fn required(field: &str, why: &str) -> Cause {
    let message = match why {
        "" => "Required value".to_owned(),
        _ => format!("Required value: {why}"),
    };
    Cause {
        reason: "FieldValueRequired",
        field: field.to_owned(),
        message,
    }
}

fn wrong(field: &str, value: &str, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        field: field.to_owned(),
        message: format!("Invalid value: {value:?}: {why}"),
    }
}
