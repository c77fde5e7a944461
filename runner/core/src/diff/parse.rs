//! The reader of diffs: one pass, line by line, on bytes.

use super::hunk::{Hunk, HunkError};
use super::name::{self, Name};
use super::{Diff, Kind, Section};

const SECTION: &[u8] = b"diff --git ";

/// A text that is not a git diff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// Not blank, and without a single section.
    #[error("not a git diff: no line begins with \"diff --git \"")]
    NoSection,
    /// A section from which no file name can be read.
    #[error("line {line}: cannot tell which file this section of the diff is about")]
    Names {
        /// Line of its `diff --git`, from 1.
        line: usize,
    },
    /// A hunk that does not hold together.
    #[error("line {line}: {source}")]
    Hunk {
        /// Line of its `@@`, from 1.
        line: usize,
        /// What is wrong.
        source: HunkError,
    },
}

/// Splits off the first line, its `\n` included; empty at the end of the text.
pub(super) fn next_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
    text.split_at(end)
}

/// A line without its end. (A `\r` can only come from a conversion: in names, git quotes it.)
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Diff<'_>, DiffError> {
    let mut sections = Vec::new();
    let mut reader = Reader {
        bytes,
        at: 0,
        line: 1,
    };
    reader.skip_to_section();
    while reader.at < bytes.len() {
        sections.push(reader.section()?);
    }
    if sections.is_empty() && !bytes.trim_ascii().is_empty() {
        return Err(DiffError::NoSection);
    }
    Ok(Diff { sections })
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte, always at the start of a line.
    at: usize,
    /// Number of the line that starts there.
    line: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn advance(&mut self, bytes: usize, lines: usize) {
        self.at += bytes;
        self.line += lines;
    }

    fn skip_to_section(&mut self) {
        while !self.rest().is_empty() && !self.rest().starts_with(SECTION) {
            let (line, _) = next_line(self.rest());
            self.advance(line.len(), 1);
        }
    }

    /// Reads the section that starts here, up to the next one or the end.
    fn section(&mut self) -> Result<Section<'a>, DiffError> {
        let (start, start_line) = (self.at, self.line);
        let mut header = self.header();
        let mut hunks_at = None;
        let (mut added, mut removed) = (0, 0);
        while !header.binary && self.rest().starts_with(b"@@ ") {
            let hunk = Hunk::read(self.rest()).map_err(|source| DiffError::Hunk {
                line: self.line,
                source,
            })?;
            hunks_at.get_or_insert(self.at - start);
            added += hunk.added;
            removed += hunk.removed;
            self.advance(hunk.raw.len(), hunk.lines);
        }
        self.skip_to_section();
        let raw = &self.bytes[start..self.at];
        let (old_name, new_name) = header
            .names()
            .ok_or(DiffError::Names { line: start_line })?;
        Ok(Section {
            raw,
            kind: header.kind(old_name != new_name),
            old_name,
            new_name,
            old_mode: header.old_mode,
            new_mode: header.new_mode,
            binary: header.binary,
            added,
            removed,
            hunks_at: hunks_at.unwrap_or(raw.len()),
        })
    }

    /// Reads the lines of a section up to its content.
    fn header(&mut self) -> Header<'a> {
        let (line, _) = next_line(self.rest());
        self.advance(line.len(), 1);
        let mut header = Header {
            git_line: content(&line[SECTION.len()..]),
            ..Header::default()
        };
        loop {
            let (line, _) = next_line(self.rest());
            if line.is_empty() || line.starts_with(b"@@ ") || line.starts_with(SECTION) {
                return header;
            }
            self.advance(line.len(), 1);
            header.read(content(line));
            if header.binary {
                return header;
            }
        }
    }
}

/// What the header lines of a section say.
#[derive(Default)]
struct Header<'a> {
    /// What follows `diff --git `.
    git_line: &'a [u8],
    moved_from: Option<Name<'a>>,
    moved_to: Option<Name<'a>>,
    copied: bool,
    added: bool,
    deleted: bool,
    old_mode: Option<u32>,
    new_mode: Option<u32>,
    /// Whether there is an `index` line, which git leaves out if the content is the same.
    content_changed: bool,
    /// Behind `--- `, unless that is `/dev/null`.
    before: Option<Name<'a>>,
    /// Behind `+++ `, unless that is `/dev/null`.
    after: Option<Name<'a>>,
    binary: bool,
}

impl<'a> Header<'a> {
    fn read(&mut self, line: &'a [u8]) {
        let after = |prefix: &str| line.strip_prefix(prefix.as_bytes());
        if let Some(mode) = after("old mode ") {
            self.old_mode = octal(mode);
        } else if let Some(mode) = after("new mode ") {
            self.new_mode = octal(mode);
        } else if let Some(mode) = after("new file mode ") {
            self.added = true;
            self.new_mode = octal(mode);
        } else if let Some(mode) = after("deleted file mode ") {
            self.deleted = true;
            self.old_mode = octal(mode);
        } else if let Some(name) = after("rename from ") {
            self.moved_from = name::whole(name);
        } else if let Some(name) = after("rename to ") {
            self.moved_to = name::whole(name);
        } else if let Some(name) = after("copy from ") {
            self.copied = true;
            self.moved_from = name::whole(name);
        } else if let Some(name) = after("copy to ") {
            self.copied = true;
            self.moved_to = name::whole(name);
        } else if let Some(blobs) = after("index ") {
            self.read_index(blobs);
        } else if let Some(name) = after("--- ") {
            match side(name) {
                Side::Nothing => self.added = true,
                Side::Name(name) => self.before = name,
            }
        } else if let Some(name) = after("+++ ") {
            match side(name) {
                Side::Nothing => self.deleted = true,
                Side::Name(name) => self.after = name,
            }
        } else if line == b"GIT binary patch"
            || (line.starts_with(b"Binary files ") && line.ends_with(b" differ"))
        {
            self.binary = true;
        }
    }

    /// `<blob>..<blob>`, and the mode where it did not change.
    fn read_index(&mut self, text: &[u8]) {
        self.content_changed = true;
        if let Some(space) = memchr::memchr(b' ', text) {
            let mode = octal(&text[space + 1..]);
            self.old_mode = self.old_mode.or(mode);
            self.new_mode = self.new_mode.or(mode);
        }
    }

    /// The old and the new name, from the lines that are least ambiguous.
    fn names(&mut self) -> Option<(Name<'a>, Name<'a>)> {
        if let (Some(old), Some(new)) = (self.moved_from.take(), self.moved_to.take()) {
            return Some((old, new));
        }
        match (self.before.take(), self.after.take()) {
            (Some(old), Some(new)) => Some((old, new)),
            (Some(old), None) if self.deleted => Some((old.clone(), old)),
            (None, Some(new)) if self.added => Some((new.clone(), new)),
            _ => name::git_line_names(self.git_line),
        }
    }

    fn kind(&self, names_differ: bool) -> Kind {
        if self.added {
            Kind::Added
        } else if self.deleted {
            Kind::Deleted
        } else if self.copied {
            Kind::Copied
        } else if names_differ {
            Kind::Renamed
        } else if self.old_mode != self.new_mode && !self.content_changed {
            Kind::ModeChanged
        } else {
            Kind::Modified
        }
    }
}

/// One side of the `---`/`+++` pair.
enum Side<'a> {
    /// `/dev/null`: the file is not there on this side.
    Nothing,
    /// Its name, if it can be read.
    Name(Option<Name<'a>>),
}

fn side(text: &[u8]) -> Side<'_> {
    if text == b"/dev/null" {
        return Side::Nothing;
    }
    // Git ends a name that has spaces with a tab; a tab in a name would be quoted.
    Side::Name(name::whole(text.strip_suffix(b"\t").unwrap_or(text)))
}

fn octal(text: &[u8]) -> Option<u32> {
    u32::from_str_radix(str::from_utf8(text).ok()?, 8).ok()
}
