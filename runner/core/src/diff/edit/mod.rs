//! Changing a diff without trusting who wants it changed.
//!
//! [`Edits`] collects what is to go or to be different, and [`Edits::apply`] writes the new diff. Whoever asked for the edits
//! declared a [`Shape`] beforehand, and [`prove`] holds the new diff against the old one: it reads both anew and knows
//! nothing of the edits. No result leaves without that proof.
//!
//! What a diff says of the content before the change stays true in every shape. The names of blobs in `index` lines stay
//! as they are, though the content after the change may differ: `git apply` does not look at them for text.

mod body;
mod form;
mod proof;
mod room;
mod rules;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use body::BodyError;
pub use proof::{Rule, Violation, prove};
pub use rules::HunkRule;

use super::{Diff, DiffError, Hunk, Kind, Section};

/// The most that may be done to a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Files and hunks may go; what is left is what was there.
    RemoveOnly,
    /// White space at line ends, line endings, blank lines at the end and the final newline may change.
    NormalizeOnly,
    /// Nothing.
    Annotate,
    /// Files and hunks may go, and what is there after the change may be anything.
    Rewrite,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemoveOnly => "remove-only",
            Self::NormalizeOnly => "normalize-only",
            Self::Annotate => "annotate",
            Self::Rewrite => "rewrite",
        })
    }
}

/// A section, as far as its hunks' fate depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Its place in [`Diff::sections`].
    pub section: usize,
    /// What happens to the file.
    pub kind: Kind,
    /// The file's mode after the change, or before it if it is deleted.
    pub mode: Option<u32>,
}

impl Subject {
    /// The subject that is this section.
    pub fn of(number: usize, section: &Section<'_>) -> Self {
        Self {
            section: number,
            kind: section.kind,
            mode: section.new_mode.or(section.old_mode),
        }
    }

    /// Whether it is text as people write it. A section that does not tell is taken to be.
    fn regular(self) -> bool {
        self.mode.is_none_or(|mode| mode & 0o170_000 == 0o100_000)
    }
}

/// What is to become of a diff. Nothing, to begin with.
#[derive(Debug, Clone)]
pub struct Edits {
    shape: Shape,
    files: BTreeMap<usize, FileEdit>,
    size: usize,
}

/// What is to become of a section.
#[derive(Debug, Clone)]
enum FileEdit {
    Drop,
    /// By the hunk's number.
    Hunks(BTreeMap<usize, HunkEdit>),
}

/// What is to become of a hunk.
#[derive(Debug, Clone)]
enum HunkEdit {
    Drop,
    /// It gets this body.
    Replace(Vec<u8>),
}

/// Edits that make no diff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The input is no diff.
    #[error(transparent)]
    Input(#[from] DiffError),
    /// The result is more than the shape allows.
    #[error(transparent)]
    Refused(#[from] Violation),
}

impl Edits {
    /// No edits yet, and none beyond this shape.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            files: BTreeMap::new(),
            size: 0,
        }
    }

    /// Bytes of the new bodies that it holds.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes a section out, and with it the other half of a changed type.
    ///
    /// # Errors
    ///
    /// If the shape has no such edit.
    pub fn drop_file(&mut self, section: usize) -> Result<(), HunkRule> {
        match self.shape {
            Shape::RemoveOnly | Shape::Rewrite => {}
            Shape::NormalizeOnly | Shape::Annotate => {
                let (what, shape) = ("dropping a file", self.shape);
                return Err(HunkRule::Shape { what, shape });
            }
        }
        if let Some(FileEdit::Hunks(hunks)) = self.files.insert(section, FileEdit::Drop) {
            self.size -= hunks.values().map(HunkEdit::size).sum::<usize>();
        }
        Ok(())
    }

    /// Takes a hunk out: the one with this number, from 0, of its section.
    ///
    /// # Errors
    ///
    /// If the shape has no such edit, or if the file is added or deleted.
    pub fn drop_hunk(&mut self, subject: Subject, number: usize) -> Result<(), HunkRule> {
        rules::may_drop(self.shape, subject)?;
        self.set(subject, number, HunkEdit::Drop);
        Ok(())
    }

    /// Gives a hunk another body, any bytes: the one with this number, from 0, of its section.
    ///
    /// # Errors
    ///
    /// If `body` is not well-formed or goes beyond what the shape allows.
    pub fn replace_hunk(
        &mut self,
        subject: Subject,
        number: usize,
        hunk: &Hunk<'_>,
        body: Vec<u8>,
    ) -> Result<(), HunkRule> {
        rules::may_replace(self.shape, subject, hunk, &body)?;
        self.set(subject, number, HunkEdit::Replace(body));
        Ok(())
    }

    /// The later edit of a hunk wins; that of its file wins over both.
    fn set(&mut self, subject: Subject, number: usize, edit: HunkEdit) {
        let file = self.files.entry(subject.section);
        match file.or_insert_with(|| FileEdit::Hunks(BTreeMap::new())) {
            FileEdit::Drop => {}
            FileEdit::Hunks(hunks) => {
                self.size += edit.size();
                if let Some(earlier) = hunks.insert(number, edit) {
                    self.size -= earlier.size();
                }
            }
        }
    }

    /// Writes the diff that these edits make of `input`; `None` if that is `input` itself.
    ///
    /// The `@@` lines are written anew, hunks that change nothing any more go, and so do files of which nothing is left.
    /// Text outside of sections and hunks, which git does not print, is lost where something is edited.
    ///
    /// # Errors
    ///
    /// If `input` is no diff, or the proof does not hold.
    pub fn apply(&self, input: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let output = write::write(&Diff::parse(input)?, self);
        prove(input, &output, self.shape)?;
        Ok((output != input).then_some(output))
    }
}

impl HunkEdit {
    fn size(&self) -> usize {
        match self {
            Self::Drop => 0,
            Self::Replace(body) => body.len(),
        }
    }
}
