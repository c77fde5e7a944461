//! From the parser's character counts to bytes, lines and columns.

use saphyr_parser::Marker;

use crate::source::{Diagnostic, Span};

/// Every how many characters the byte offset is noted.
const STRIDE: usize = 64;

/// A text that can be parsed, and where its characters are.
pub(super) struct Places<'a> {
    /// The text without its byte order mark.
    pub(super) text: &'a str,
    /// Bytes of the byte order mark.
    skipped: usize,
    /// Byte offset of every [`STRIDE`]th character; empty if all characters are ASCII.
    offsets: Vec<u32>,
}

impl<'a> Places<'a> {
    /// Checks that `bytes` are UTF-8 and have no character that YAML forbids.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Diagnostic> {
        let (text, bad) = match str::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(e) => (
                str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default(),
                Some("invalid UTF-8"),
            ),
        };
        let skipped = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut places = Self {
            text: &text[skipped..],
            skipped,
            offsets: Vec::new(),
        };
        if !places.text.is_ascii() {
            places.offsets = places
                .text
                .char_indices()
                .step_by(STRIDE)
                .map(|(at, _)| narrow(at))
                .collect();
        }
        let forbidden = places
            .text
            .char_indices()
            .find(|(_, c)| !is_allowed(*c))
            .map(|(at, _)| (at, "control characters are not allowed"));
        match forbidden.or(bad.map(|message| (places.text.len(), message))) {
            None => Ok(places),
            Some((at, message)) => Err(Diagnostic::error("", message, places.at_byte(at))
                .with_hint("a batch spec is text in UTF-8")),
        }
    }

    /// The byte, in [`Self::text`], at which the marked character starts.
    pub(super) fn byte(&self, mark: Marker) -> usize {
        let index = mark.index();
        if self.offsets.is_empty() {
            return index.min(self.text.len());
        }
        let Some(base) = self.offsets.get(index / STRIDE) else {
            return self.text.len();
        };
        let base = *base as usize;
        self.text[base..]
            .char_indices()
            .nth(index % STRIDE)
            .map_or(self.text.len(), |(at, _)| base + at)
    }

    /// The place between two marks, without white space at its end.
    pub(super) fn span(&self, start: Marker, end: Marker) -> Span {
        let from = self.byte(start);
        let to = self.byte(end).max(from);
        Span {
            start: narrow(self.skipped + from),
            end: narrow(self.skipped + from + self.text[from..to].trim_end().len()),
            line: narrow(start.line()),
            column: narrow(start.col() + 1),
        }
    }

    /// The place of the character at a byte of [`Self::text`].
    pub(super) fn at_byte(&self, at: usize) -> Span {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let length = self.text[at..].chars().next().map_or(0, char::len_utf8);
        Span {
            start: narrow(self.skipped + at),
            end: narrow(self.skipped + at + length),
            line: narrow(before.matches('\n').count() + 1),
            column: narrow(before[line_start..].chars().count() + 1),
        }
    }
}

/// The characters of YAML's `c-printable`.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// Documents are at most 8 MiB long, so that nothing is lost.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
