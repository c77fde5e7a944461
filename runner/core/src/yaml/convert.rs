//! From the tree to the value of an output with `format: yaml`.

use std::collections::BTreeMap;

use super::{Kind, Node, YamlError, load, time};
use crate::value::Value;

/// Why an output's text has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// There is no document, as in an empty text. Go's words.
    #[error("EOF")]
    Empty,
    /// The text is not YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

/// The value of the first document of an output's text (facts/batch-spec.md 3.5).
///
/// Integers stay integers (one beyond 64 bits with sign becomes a float), dates become times, keys
/// that are not text become text.
pub fn output_value(text: &str) -> Result<Value, OutputError> {
    let node = load(text.as_bytes())?.ok_or(OutputError::Empty)?;
    Ok(value(node))
}

/// Recursion is bounded by [`super::MAX_DEPTH`].
fn value(node: Node) -> Value {
    match node.kind {
        Kind::Null => Value::Nil,
        Kind::Bool(b) => Value::Bool(b),
        Kind::Int(n) => Value::Int(n),
        #[expect(
            clippy::cast_precision_loss,
            reason = "there is no wider integer in `Value`"
        )]
        Kind::Unsigned(n) => Value::Float(n as f64),
        Kind::Float(n) => Value::Float(n),
        Kind::Time(time) => Value::Time(time),
        Kind::String(text) => Value::String(text),
        Kind::List(items) => Value::List(items.into_iter().map(value).collect()),
        Kind::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|entry| (key(entry.key.kind), value(entry.value)))
                .collect::<BTreeMap<_, _>>(),
        ),
    }
}

fn key(kind: Kind) -> String {
    match kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(b) => b.to_string(),
        Kind::Int(n) => n.to_string(),
        Kind::Unsigned(n) => n.to_string(),
        Kind::Float(n) => n.to_string(),
        Kind::Time(t) => time::rfc3339(t),
        Kind::String(text) => text,
        // The reader refuses such keys.
        Kind::List(_) | Kind::Map(_) => String::new(),
    }
}
