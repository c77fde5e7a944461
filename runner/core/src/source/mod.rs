//! Places in a document, and problems that point at them.

mod render;

use std::fmt;

/// A place in a document: where it starts, and the bytes it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            start: 0,
            end: 0,
            line: 1,
            column: 1,
        }
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Severity {
    /// The document cannot be used.
    #[default]
    Error,
    /// The document can be used, but probably does not mean what its author thinks.
    Warning,
}

/// One problem in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Dotted path of the value, list indexes from 0 (`steps.0.env.B`); empty at the root.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What to do about it, for example ``did you mean `container`?``.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

impl Diagnostic {
    /// An error without a hint.
    pub fn error(path: impl Into<String>, message: impl Into<String>, span: Span) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            span,
            hint: None,
            severity: Severity::Error,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `path: message`, the form of facts/batch-spec.md 1.4; at the root only the message.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// All problems of a document, in document order. Never unbounded: see [`Diagnostics::push`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    dropped: usize,
}

impl Diagnostics {
    /// How many problems are kept; the rest are only counted.
    pub const KEPT: usize = 200;

    /// Adds a problem; beyond [`Self::KEPT`] it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.items.len() < Self::KEPT {
            self.items.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are, those only counted included.
    pub fn len(&self) -> usize {
        self.items.len() + self.dropped
    }

    /// The kept ones.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// Puts them in document order; those at one place stay in the order of discovery.
    pub fn sort(&mut self) {
        self.items.sort_by_key(|d| d.span.start);
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            items: vec![diagnostic],
            dropped: 0,
        }
    }
}

/// A single problem prints as itself, N problems as the list of facts/batch-spec.md 1.1.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([only], 0) = (self.items.as_slice(), self.dropped) {
            return only.fmt(f);
        }
        write!(f, "{} errors occurred:", self.len())?;
        for item in &self.items {
            write!(f, "\n\t* {item}")?;
        }
        if self.dropped > 0 {
            write!(f, "\n\t* and {} more", self.dropped)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
