//! Hunks: `@@ -1,2 +3,4 @@` and as many lines as that announces.

use super::parse::next_line;

/// The text of the hunks of a section; see [`Section::hunks`](super::Section::hunks).
#[derive(Debug, Clone)]
pub struct Hunks<'a> {
    rest: &'a [u8],
}

impl<'a> Hunks<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Hunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Parsing found these hunks complete; what follows the last of them is no hunk.
        let hunk = Hunk::read(self.rest).ok()?;
        let (text, rest) = self.rest.split_at(hunk.len);
        self.rest = rest;
        Some(text)
    }
}

/// The extent of one hunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Bytes, from `@@` to the end of the last line.
    pub(super) len: usize,
    /// Lines, including the `@@` line.
    pub(super) lines: usize,
    /// Lines that begin with `+`.
    pub(super) added: u64,
    /// Lines that begin with `-`.
    pub(super) removed: u64,
}

/// What is wrong with a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HunkError {
    /// The `@@` line does not read `@@ -<line>,<count> +<line>,<count> @@`.
    #[error("the hunk header is malformed")]
    Header,
    /// The hunk has fewer lines than its header announces.
    #[error("the hunk ends before the lines that its header announces")]
    Short,
    /// A line is neither context nor added nor removed, or one more than announced.
    #[error("the hunk has a line that is neither context nor added nor removed as announced")]
    Line,
}

impl Hunk {
    /// Reads the hunk at the beginning of `text`.
    ///
    /// Its header alone says where it ends: its lines may look like anything, other headers included.
    pub(super) fn read(text: &[u8]) -> Result<Self, HunkError> {
        let (header, mut rest) = next_line(text);
        let (mut old, mut new) = counts(header).ok_or(HunkError::Header)?;
        let mut hunk = Self {
            len: 0,
            lines: 1,
            added: 0,
            removed: 0,
        };
        while old > 0 || new > 0 {
            let (line, after) = next_line(rest);
            match line.first() {
                // An empty line is context whose only space was lost on the way.
                Some(b' ' | b'\n') if old > 0 && new > 0 => {
                    old -= 1;
                    new -= 1;
                }
                Some(b'-') if old > 0 => {
                    old -= 1;
                    hunk.removed += 1;
                }
                Some(b'+') if new > 0 => {
                    new -= 1;
                    hunk.added += 1;
                }
                // "No newline at end of file", after the old side's last line.
                Some(b'\\') => {}
                Some(_) => return Err(HunkError::Line),
                None => return Err(HunkError::Short),
            }
            hunk.lines += 1;
            rest = after;
        }
        let (line, after) = next_line(rest);
        if line.starts_with(b"\\") {
            hunk.lines += 1;
            rest = after;
        }
        hunk.len = text.len() - rest.len();
        Ok(hunk)
    }
}

/// The numbers of old and new lines that a hunk header announces.
fn counts(header: &[u8]) -> Option<(u64, u64)> {
    let rest = header.strip_prefix(b"@@ -")?;
    let (old, rest) = count(rest)?;
    let (new, rest) = count(rest.strip_prefix(b" +")?)?;
    rest.starts_with(b" @@").then_some((old, new))
}

/// Reads `<line>,<count>` or `<line>`, which stands for a count of one.
fn count(text: &[u8]) -> Option<(u64, &[u8])> {
    let (_, rest) = number(text)?;
    match rest.strip_prefix(b",") {
        Some(rest) => number(rest),
        None => Some((1, rest)),
    }
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let number = str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}
