//! Data that a step hands on through its `outputs`.

use std::collections::BTreeMap;

/// A value read from a step's output: JSON data, or what YAML can say beyond it.
///
/// Numbers keep their kind, since templates compare by kind (facts/batch-spec.md 2.3): a `json` output
/// has only [`Value::Float`], a `yaml` output has both.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON `null`, YAML null.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A whole number from YAML.
    Int(i64),
    /// Any number from JSON, a fractional one from YAML.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Self>),
    /// A mapping with text keys, in sorted order.
    Map(BTreeMap<String, Self>),
    /// A YAML timestamp.
    Time(Time),
}

/// A YAML timestamp: an instant and the offset from UTC it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The instant.
    pub instant: jiff::Timestamp,
    /// Offset from UTC, in seconds east.
    pub offset_seconds: i32,
}

/// All outputs set so far, by name.
pub type Outputs = BTreeMap<String, Value>;
