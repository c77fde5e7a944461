//! Which objects a list or a watch is about.

use serde_json::Value;

use super::super::resource::Kind;
use super::refusal::Refusal;
use super::request::Query;

/// Labels and fields that an object has to have.
#[derive(Debug)]
pub(super) struct Selector {
    labels: Vec<Label>,
    /// JSON pointer, whether it has to be the value, the value.
    fields: Vec<(String, bool, String)>,
}

/// One requirement on labels.
#[derive(Debug)]
struct Label {
    key: String,
    /// The values it may have, or may not; `None` for all of them.
    values: Option<Vec<String>>,
    is_wanted: bool,
}

impl Selector {
    pub(super) fn of(kind: Kind, query: &Query) -> Result<Self, Refusal> {
        let labels = parts(query.get("labelSelector").unwrap_or_default());
        let fields = parts(query.get("fieldSelector").unwrap_or_default());
        Ok(Self {
            labels: labels
                .iter()
                .map(|part| label(part))
                .collect::<Result<_, _>>()?,
            fields: fields
                .iter()
                .map(|part| field(kind, part))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn takes(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let has_labels = self.labels.iter().all(|label| {
            let value = labels.get(&label.key).and_then(Value::as_str);
            let is_there = match (&label.values, value) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(values), Some(value)) => values.iter().any(|other| other == value),
            };
            is_there == label.is_wanted
        });
        has_labels
            && self.fields.iter().all(|(pointer, is_wanted, value)| {
                let found = object.pointer(pointer).and_then(Value::as_str);
                (found.unwrap_or_default() == value) == *is_wanted
            })
    }
}

/// Splits at commas, but not inside of parentheses.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match letter {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("there is one").push(letter),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn label(part: &str) -> Result<Label, Refusal> {
    let part = part.trim();
    let one = |key: &str, value: &str, is_wanted| Label {
        key: key.trim().to_owned(),
        values: Some(vec![value.trim().to_owned()]),
        is_wanted,
    };
    let label = if let Some((key, value)) = part.split_once("!=") {
        one(key, value, false)
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        one(key, value, true)
    } else if let Some((head, values)) = part.split_once('(') {
        let (key, is_wanted) = match *head.split_whitespace().collect::<Vec<_>>() {
            [key, "in"] => (key, true),
            [key, "notin"] => (key, false),
            _ => return Err(unreadable(part)),
        };
        let values = values.strip_suffix(')').ok_or_else(|| unreadable(part))?;
        Label {
            key: key.to_owned(),
            values: Some(
                values
                    .split(',')
                    .map(|value| value.trim().to_owned())
                    .collect(),
            ),
            is_wanted,
        }
    } else {
        let key = part.strip_prefix('!');
        Label {
            key: key.unwrap_or(part).trim().to_owned(),
            values: None,
            is_wanted: key.is_none(),
        }
    };
    let is_key = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    match !label.key.is_empty() && label.key.chars().all(is_key) {
        true => Ok(label),
        false => Err(unreadable(part)),
    }
}

fn unreadable(part: &str) -> Refusal {
    Refusal::bad_request(format!("unable to parse requirement: {part}"))
}

fn field(kind: Kind, part: &str) -> Result<(String, bool, String), Refusal> {
    let (key, value, is_wanted) = if let Some((key, value)) = part.split_once("!=") {
        (key, value, false)
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, value, true)
    } else {
        return Err(Refusal::bad_request(format!(
            "invalid selector: '{part}'; can't understand '{part}'"
        )));
    };
    let of_kind: &[&str] = match kind {
        Kind::Job => &["status.successful"],
        Kind::Pod => &["spec.nodeName", "spec.restartPolicy", "status.phase"],
        Kind::Secret => &["type"],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "reason",
            "type",
        ],
        Kind::StorageClass | Kind::Review => &[],
    };
    let key = key.trim();
    if !["metadata.name", "metadata.namespace"].contains(&key) && !of_kind.contains(&key) {
        return Err(Refusal::bad_request(format!(
            "field label not supported: {key}"
        )));
    }
    let pointer = format!("/{}", key.replace('.', "/"));
    Ok((pointer, is_wanted, value.trim().to_owned()))
}
