//! The `output` hook.

use crate::{Result, Step};

/// Which of a step's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Filters what steps print, and derives outputs from it. What is not implemented lets everything pass and derives nothing.
pub trait Output {
    /// The filter for this stream of this step. An error is reported when the stream's first chunk comes.
    fn filter(step: &Step, channel: Channel) -> Result<Filter> {
        let _ = (step, channel);
        Ok(Filter::none())
    }

    /// Outputs of a step that succeeded, from its filtered streams as far as they are kept. They are set before those that the
    /// batch spec declares, which win.
    fn derive_outputs(step: &Step, stdout: &[u8], stderr: &[u8]) -> Result<Outputs> {
        let _ = (step, stdout, stderr);
        Ok(Outputs::default())
    }
}

/// What a filter does to a stream. It lives as long as the stream does.
pub trait Transform: 'static {
    /// Takes a chunk and appends to `into` what is to follow in its place. What it keeps back it appends to a later one.
    fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<()>;

    /// The stream has ended: appends the rest.
    fn finish(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let _ = into;
        Ok(())
    }
}

/// A filter: a transform, and how it wants its chunks.
pub struct Filter {
    pub(crate) chunks: Chunks,
    pub(crate) transform: Option<Box<dyn Transform>>,
}

/// How a filter wants its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    Any,
    Lines,
    None,
}

impl Filter {
    /// No filter: the stream passes as it is, at no cost.
    pub fn none() -> Self {
        Self {
            chunks: Chunks::None,
            transform: None,
        }
    }

    /// Chunks as they come, up to 64 KiB, cut anywhere.
    pub fn chunks(transform: impl Transform) -> Self {
        Self {
            chunks: Chunks::Any,
            transform: Some(Box::new(transform)),
        }
    }

    /// Whole lines, several at a time; a line longer than 64 KiB is cut, and the last may lack its end.
    pub fn lines(transform: impl Transform) -> Self {
        Self {
            chunks: Chunks::Lines,
            transform: Some(Box::new(transform)),
        }
    }
}

/// Named outputs, each with a JSON value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs(pub(crate) Vec<(String, String)>);

impl Outputs {
    /// Adds a text.
    #[must_use]
    pub fn text(self, name: impl Into<String>, value: &str) -> Self {
        self.json(name, quoted(value))
    }

    /// Adds a value that is JSON text already.
    #[must_use]
    pub fn json(mut self, name: impl Into<String>, json: impl Into<String>) -> Self {
        self.0.push((name.into(), json.into()));
        self
    }

    /// Names and JSON texts, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, json)| (name.as_str(), json.as_str()))
    }
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\u{0}'..='\u{1f}' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_json() {
        let outputs = Outputs::default().text("a", "x \"y\" \\ \n\t\u{1}é");
        let (_, json) = outputs.iter().next().unwrap();
        assert_eq!(json, r#""x \"y\" \\ \n\u0009\u0001é""#);
    }
}
