//! YAML read as go-yaml v3 reads it, with places.
//!
//! [`load`] gives a tree in which every value knows where it was written. Aliases and merge keys
//! are resolved, scalars have go-yaml's types (facts/batch-spec.md 1.2), and hostile documents
//! (alias bombs, deep nesting, megabytes) are refused early.
//!
//! One known difference: go-yaml lets the lines of a quoted text or of a `[…]` inside a block start
//! left of that block, YAML itself and this reader do not.

mod convert;
mod events;
mod expand;
mod flow;
mod place;
mod scalar;
mod time;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::source::{Diagnostic, Diagnostics, Span};
use crate::value::Time;

pub use convert::{OutputError, output_value};

/// Largest document that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;
/// Most values in a document, those that aliases repeat included.
pub const MAX_NODES: usize = 250_000;
/// Most bytes of text in a document, that repeated by aliases included.
pub const MAX_TEXT: usize = 2 * MAX_BYTES;
/// Deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 200;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Where it is written; for what an alias stands for, where its anchor is.
    pub span: Span,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; `yes`, `on` and the like are text.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number too large for [`Kind::Int`].
    Unsigned(u64),
    /// Any other number, infinities and not-a-number included.
    Float(f64),
    /// A date or a date with a time.
    Time(Time),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in source order, merged keys last; no two keys have the same text.
    Map(Vec<Entry>),
}

/// One pair of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key: a scalar of any kind.
    pub key: Node,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The place to show for a problem with the value as a whole: for a mapping its first key,
    /// for a list its first entry, as far as there is one.
    pub fn head(&self) -> Span {
        match &self.kind {
            Kind::Map(entries) => match entries.first() {
                Some(first) if first.key.span.start >= self.span.start => first.key.span,
                _ => self.span,
            },
            _ => self.span,
        }
    }
}

impl Kind {
    /// The text that the value has in JSON form if it is text there: strings and timestamps
    /// (`2024-01-02T00:00:00Z`).
    pub fn as_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::String(text) => Some(text.as_str().into()),
            Self::Time(time) => Some(time::rfc3339(*time).into()),
            _ => None,
        }
    }

    /// The whole number it is; `1.0` counts as 1.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            Self::Float(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(*n as i64),
            _ => None,
        }
    }

    /// The JSON schema name of its type: `integer` for whole numbers, else `number`, and so on.
    pub fn json_type(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Unsigned(_) => "integer",
            Self::Float(n) if n.fract() == 0.0 => "integer",
            Self::Float(_) => "number",
            Self::Time(_) | Self::String(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }
}

/// Why a text is no YAML document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// The problems: one if the text cannot be read, all duplicate keys if it can.
    pub problems: Diagnostics,
    /// Whether the text could be read, but not its values.
    unmarshal: bool,
}

impl YamlError {
    fn syntax(problem: Diagnostic) -> Self {
        Self {
            problems: problem.into(),
            unmarshal: false,
        }
    }
}

/// The form of go-yaml: `yaml: line 2: …`, or `yaml: unmarshal errors:` and the list.
impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("yaml: ")?;
        if self.unmarshal {
            f.write_str("unmarshal errors:")?;
        }
        for problem in self.problems.iter() {
            if self.unmarshal {
                f.write_str("\n  ")?;
            }
            write!(f, "line {}: {}", problem.span.line, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for YamlError {}

/// Reads the first document of `text`. `None`: there is no document, not even an empty one.
///
/// A byte order mark and CRLF line ends are read. Errors name the place; what is refused beyond
/// bad YAML is bytes that are not UTF-8 and what exceeds [`MAX_BYTES`], [`MAX_NODES`], [`MAX_TEXT`]
/// or [`MAX_DEPTH`],
/// and more than 512 KiB in brackets.
pub fn load(text: &[u8]) -> Result<Option<Node>, YamlError> {
    if text.len() > MAX_BYTES {
        let message = format!("the document is larger than {} MiB", MAX_BYTES >> 20);
        let problem = Diagnostic::error("", message, Span::default());
        return Err(YamlError::syntax(problem.with_hint(
            "keep long texts and scripts in files beside the spec, and show them to steps with `mount`",
        )));
    }
    let places = place::Places::new(text).map_err(YamlError::syntax)?;
    if let Some(at) = flow::too_long(places.text) {
        let message = format!(
            "the rest of the document has more than {} KiB, and may be one bracket that stays open",
            flow::MAX_FLOW >> 10
        );
        let problem = Diagnostic::error("", message, places.at_byte(at));
        return Err(YamlError::syntax(problem.with_hint(
            "write large documents in block style, one value a line, and long texts with `|`",
        )));
    }
    match events::read(&places).map_err(YamlError::syntax)? {
        None => Ok(None),
        Some(document) => expand::expand(&document).map(Some),
    }
}
