//! Hunks: `@@ -1,2 +3,4 @@` and as many lines as that announces.

use super::parse::next_line;

/// The hunks of a section; see [`Section::hunks`](super::Section::hunks).
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
    type Item = Hunk<'a>;

    fn next(&mut self) -> Option<Hunk<'a>> {
        // Parsing found these hunks complete; what follows the last of them is no hunk.
        let hunk = Hunk::read(self.rest).ok()?;
        self.rest = &self.rest[hunk.raw.len()..];
        Some(hunk)
    }
}

/// One hunk, as git printed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// All of it, from `@@` to the end of the last line.
    pub raw: &'a [u8],
    /// What it covers before the change.
    pub old: Extent,
    /// What it covers after the change.
    pub new: Extent,
    /// What follows the second `@@`, the end of the line included.
    pub heading: &'a [u8],
    /// The lines below the `@@` line.
    pub body: &'a [u8],
    /// Lines that begin with `+`.
    pub added: u64,
    /// Lines that begin with `-`.
    pub removed: u64,
    /// Lines of `raw`.
    pub(super) lines: usize,
}

/// Lines that a hunk covers on one side of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first line, from 1; where there are no lines, the one before them, and 0 before the first.
    pub start: u64,
    /// How many there are.
    pub lines: u64,
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

impl<'a> Hunk<'a> {
    /// Reads the hunk at the beginning of `text`.
    ///
    /// Its header alone says where it ends: its lines may look like anything, other headers included.
    ///
    /// # Errors
    ///
    /// If there is none, or it is cut short.
    pub fn read(text: &'a [u8]) -> Result<Self, HunkError> {
        let (header, mut rest) = next_line(text);
        let (extents, heading) = extents(header).ok_or(HunkError::Header)?;
        let mut hunk = Self {
            raw: text,
            old: extents.0,
            new: extents.1,
            heading,
            body: rest,
            added: 0,
            removed: 0,
            lines: 1,
        };
        let (mut old, mut new) = (hunk.old.lines, hunk.new.lines);
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
        hunk.raw = &text[..text.len() - rest.len()];
        hunk.body = &hunk.body[..hunk.body.len() - rest.len()];
        Ok(hunk)
    }
}

/// What a hunk header announces of the old and the new side, and what follows its second `@@`.
fn extents(header: &[u8]) -> Option<((Extent, Extent), &[u8])> {
    let rest = header.strip_prefix(b"@@ -")?;
    let (old, rest) = extent(rest)?;
    let (new, rest) = extent(rest.strip_prefix(b" +")?)?;
    Some(((old, new), rest.strip_prefix(b" @@")?))
}

/// Reads `<line>,<count>` or `<line>`, which stands for a count of one.
fn extent(text: &[u8]) -> Option<(Extent, &[u8])> {
    let (start, rest) = number(text)?;
    let (lines, rest) = match rest.strip_prefix(b",") {
        Some(rest) => number(rest)?,
        None => (1, rest),
    };
    Some((Extent { start, lines }, rest))
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let number = str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}
