//! What goes wrong in a template, told in the words authors know.

use std::fmt;

use super::quote::quote;

/// A template that does not parse, or that failed while it was rendered.
///
/// Its display is the text that batch change users have always seen (facts/batch-spec.md 2.9);
/// the parts are there for a caller that wants to point at the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError(Box<Report>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    name: String,
    line: usize,
    column: usize,
    message: String,
    execution: Option<Execution>,
    did_you_mean: Option<String>,
}

/// Where an execution error happened, beyond line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Execution {
    template: String,
    node: String,
}

impl TemplateError {
    pub(super) fn parse(name: &str, position: Position, message: String) -> Self {
        Self(Box::new(Report {
            name: name.to_owned(),
            line: position.line,
            column: position.column,
            message: shortened(message),
            execution: None,
            did_you_mean: None,
        }))
    }

    pub(super) fn execution(
        name: &str,
        position: Position,
        template: &str,
        node: String,
        message: String,
    ) -> Self {
        Self(Box::new(Report {
            name: name.to_owned(),
            line: position.line,
            column: position.column,
            message: shortened(message),
            execution: Some(Execution {
                template: template.to_owned(),
                node: shortened(node),
            }),
            did_you_mean: None,
        }))
    }

    pub(super) fn with_suggestion(mut self, suggestion: Option<String>) -> Self {
        self.0.did_you_mean = suggestion;
        self
    }

    /// Name of the template: the field it was written in (facts/batch-spec.md 2.1).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Line in the template's text, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// Byte offset in that line, from 0.
    #[must_use]
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// What went wrong, without the position.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the text is wrong by itself, whatever the values.
    #[must_use]
    pub fn is_parse(&self) -> bool {
        self.0.execution.is_none()
    }

    /// What the author probably meant, ready to be pasted in place of what they wrote.
    #[must_use]
    pub fn did_you_mean(&self) -> Option<&str> {
        self.0.did_you_mean.as_deref()
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            name,
            line,
            column,
            message,
            execution,
            ..
        } = &*self.0;
        write!(f, "template: {name}:{line}")?;
        if let Some(Execution { template, node }) = execution {
            write!(f, ":{column}: executing {} at <{node}>", quote(template))?;
        }
        write!(f, ": {message}")
    }
}

/// Values and nodes stand in messages as they are, up to a length that nobody reads to its end.
fn shortened(mut text: String) -> String {
    const MAX_BYTES: usize = 4096;
    if text.len() > MAX_BYTES {
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        text.push_str("...");
    }
    text
}

/// A place in a template's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// From 1.
    pub(super) line: usize,
    /// Bytes from the start of the line, from 0.
    pub(super) column: usize,
}

impl Position {
    /// The place of the byte at `offset`.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count();
        Self {
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column,
        }
    }
}

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if word.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
