//! Diffs, and what a plugin wants different about them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::types::Error;

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The file is new.
    Added,
    /// The file is gone.
    Deleted,
    /// The content changed.
    Modified,
    /// The name changed, perhaps the content, too.
    Renamed,
    /// It was made from another file.
    Copied,
    /// Nothing but the mode changed.
    ModeChanged,
}

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Worth a look.
    Warning,
    /// Wrong.
    Failure,
}

/// The part of a diff that is about one file.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) header: Vec<u8>,
    pub(crate) path: String,
    pub(crate) old_path: Option<String>,
    pub(crate) status: Status,
    pub(crate) old_mode: Option<u32>,
    pub(crate) new_mode: Option<u32>,
    pub(crate) binary: bool,
    pub(crate) hunks: Vec<HunkText>,
}

#[derive(Debug, Clone)]
pub(crate) struct HunkText {
    pub(crate) old_start: u32,
    pub(crate) old_lines: u32,
    pub(crate) new_start: u32,
    pub(crate) new_lines: u32,
    pub(crate) heading: String,
    pub(crate) body: Vec<u8>,
}

impl Section {
    pub(crate) fn named(path: &str) -> Self {
        Self {
            header: Vec::new(),
            path: path.to_owned(),
            old_path: None,
            status: Status::Modified,
            old_mode: None,
            new_mode: None,
            binary: false,
            hunks: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = self.header.clone();
        for hunk in &self.hunks {
            hunk.write_to(&mut text);
        }
        text
    }

    fn count(&self, sign: u8) -> u32 {
        let lines = self.hunks.iter().flat_map(HunkText::lines);
        length(lines.filter(|line| line.first() == Some(&sign)).count())
    }
}

impl HunkText {
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.body.split_inclusive(|&b| b == b'\n')
    }

    fn write_to(&self, text: &mut Vec<u8>) {
        let range = |start: u32, lines: u32| match lines {
            1 => start.to_string(),
            _ => format!("{start},{lines}"),
        };
        let old = range(self.old_start, self.old_lines);
        let new = range(self.new_start, self.new_lines);
        text.extend_from_slice(format!("@@ -{old} +{new} @@{}\n", self.heading).as_bytes());
        text.extend_from_slice(&self.body);
    }
}

fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn slice(text: &[u8], offset: u32, length: u32) -> Vec<u8> {
    text.iter()
        .skip(offset as usize)
        .take(length as usize)
        .copied()
        .collect()
}

/// A diff, cumulative against the commit that the job starts from. Owned by the host.
#[derive(Debug)]
pub struct Diff {
    pub(crate) sections: Rc<Vec<Section>>,
    next: Cell<usize>,
}

impl Diff {
    pub(crate) fn new(text: &[u8]) -> Self {
        Self {
            sections: Rc::new(super::parse::sections(text)),
            next: Cell::new(0),
        }
    }

    /// How many files it touches.
    pub fn file_count(&self) -> u32 {
        length(self.sections.len())
    }

    /// Lines it adds, over all files; binary files count none.
    pub fn added(&self) -> u32 {
        self.sections
            .iter()
            .map(|section| section.count(b'+'))
            .sum()
    }

    /// Lines it removes, over all files.
    pub fn removed(&self) -> u32 {
        self.sections
            .iter()
            .map(|section| section.count(b'-'))
            .sum()
    }

    /// Bytes of its text.
    pub fn size(&self) -> u32 {
        length(
            self.sections
                .iter()
                .map(|section| section.text().len())
                .sum(),
        )
    }

    /// The next file, in the diff's order; none after the last. [`files`](Self::files) is more pleasant.
    pub fn next_file(&self) -> Option<File> {
        let at = self.next.get();
        if at == self.sections.len() {
            return None;
        }
        self.next.set(at + 1);
        Some(File {
            sections: Rc::clone(&self.sections),
            at,
            next: Cell::new(0),
        })
    }
}

/// What a diff does to one file.
#[derive(Debug)]
pub struct File {
    sections: Rc<Vec<Section>>,
    pub(crate) at: usize,
    next: Cell<usize>,
}

impl File {
    pub(crate) fn section(&self) -> &Section {
        &self.sections[self.at]
    }

    /// Path in the repository, after the change; the only one of a deleted file. What is not UTF-8 in it is U+FFFD.
    pub fn path(&self) -> String {
        self.section().path.clone()
    }

    /// The same, as the repository has it.
    pub fn path_bytes(&self) -> Vec<u8> {
        self.path().into_bytes()
    }

    /// Path before the change, where it was another.
    pub fn old_path(&self) -> Option<String> {
        self.section().old_path.clone()
    }

    /// What happened.
    pub fn status(&self) -> Status {
        self.section().status
    }

    /// Mode before as git has it (0o100644, 0o100755, 0o120000, ...); none for an added file.
    pub fn old_mode(&self) -> Option<u32> {
        self.section().old_mode
    }

    /// Mode after; none for a deleted file.
    pub fn new_mode(&self) -> Option<u32> {
        self.section().new_mode
    }

    /// Whether the content is binary: it has no hunks then.
    pub fn binary(&self) -> bool {
        self.section().binary
    }

    /// Lines added.
    pub fn added(&self) -> u32 {
        self.section().count(b'+')
    }

    /// Lines removed.
    pub fn removed(&self) -> u32 {
        self.section().count(b'-')
    }

    /// Bytes of its part of the diff.
    pub fn size(&self) -> u32 {
        length(self.section().text().len())
    }

    /// A range of its part of the diff, header included; shorter at the end.
    pub fn slice(&self, offset: u32, length: u32) -> Vec<u8> {
        slice(&self.section().text(), offset, length)
    }

    /// The next hunk; none after the last. [`hunks`](Self::hunks) is more pleasant.
    pub fn next_hunk(&self) -> Option<Hunk> {
        let at = self.next.get();
        if at == self.section().hunks.len() {
            return None;
        }
        self.next.set(at + 1);
        Some(Hunk {
            sections: Rc::clone(&self.sections),
            file: self.at,
            at,
        })
    }
}

/// One hunk: lines that changed with the lines around them.
#[derive(Debug)]
pub struct Hunk {
    sections: Rc<Vec<Section>>,
    pub(crate) file: usize,
    pub(crate) at: usize,
}

impl Hunk {
    fn hunk(&self) -> &HunkText {
        &self.sections[self.file].hunks[self.at]
    }

    /// First line before the change; lines count from 1, and 0 stands before the first.
    pub fn old_start(&self) -> u32 {
        self.hunk().old_start
    }

    /// How many lines it covers before the change.
    pub fn old_lines(&self) -> u32 {
        self.hunk().old_lines
    }

    /// First line after the change.
    pub fn new_start(&self) -> u32 {
        self.hunk().new_start
    }

    /// How many lines it covers after the change.
    pub fn new_lines(&self) -> u32 {
        self.hunk().new_lines
    }

    /// Bytes of its body.
    pub fn size(&self) -> u32 {
        length(self.hunk().body.len())
    }

    /// Its body: every line with its ` `, `+`, `-` or `\` in front, without the `@@` line.
    pub fn text(&self) -> Vec<u8> {
        self.hunk().body.clone()
    }

    /// A range of its body; shorter at the end.
    pub fn slice(&self, offset: u32, length: u32) -> Vec<u8> {
        slice(&self.hunk().body, offset, length)
    }
}

#[derive(Debug)]
pub(crate) enum Edit {
    DropFile(usize),
    DropHunk(usize, usize),
    ReplaceHunk(usize, usize, Vec<u8>),
    Annotate(crate::test::Annotation),
}

/// What a diff plugin wants different. An edit that the plugin's declared shape does not allow is answered with an error and
/// fails the call, whatever the plugin does with the answer. What is not touched stays as it is.
#[derive(Debug, Default)]
pub struct Edits(pub(crate) RefCell<Vec<Edit>>);

impl Edits {
    fn push(&self, edit: Edit) {
        self.0.borrow_mut().push(edit);
    }

    /// Takes a file out of the diff. Allowed to `RemoveOnly` and `Rewrite`.
    pub fn drop_file(&self, file: &File) -> Result<(), Error> {
        self.push(Edit::DropFile(file.at));
        Ok(())
    }

    /// Takes a hunk out of the diff. Allowed to `RemoveOnly` and `Rewrite`. Not for added and deleted files: those are dropped
    /// whole.
    pub fn drop_hunk(&self, hunk: &Hunk) -> Result<(), Error> {
        self.push(Edit::DropHunk(hunk.file, hunk.at));
        Ok(())
    }

    /// Replaces the body of a hunk; the host writes the `@@` line. The lines before the change (` ` and `-`) must stay what they
    /// are. Allowed to `Rewrite`, and to `NormalizeOnly` where nothing but white space at the ends of lines, line
    /// endings, blank lines at the end and the final newline differ. A body that changes nothing takes the hunk out, and a file of
    /// which nothing else changes with its last hunk.
    pub fn replace_hunk(&self, hunk: &Hunk, body: &[u8]) -> Result<(), Error> {
        self.push(Edit::ReplaceHunk(hunk.file, hunk.at, body.to_vec()));
        Ok(())
    }

    /// Says something about a file, or a line of it after the change. Allowed to every shape; the diff stays as it is.
    pub fn annotate(
        &self,
        file: &File,
        line: Option<u32>,
        severity: Severity,
        message: &str,
    ) -> Result<(), Error> {
        self.push(Edit::Annotate(crate::test::Annotation {
            path: file.path(),
            line,
            severity,
            message: message.to_owned(),
        }));
        Ok(())
    }
}
