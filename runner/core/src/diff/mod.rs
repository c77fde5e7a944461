//! Git diffs: reading them, naming what changed, splitting them.
//!
//! A [`Diff`] borrows the bytes that git printed and says where each file's section lies and what
//! it does. It never prints a diff anew: whoever needs part of one takes [`Section::raw`], which is git's
//! own text and, sections being self-contained, a diff by itself. To change one, see [`edit`].

pub mod edit;
mod hunk;
mod name;
mod parse;
mod side;
mod stat;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use hunk::{Extent, Hunk, HunkError, Hunks};
pub use name::display as display_name;
pub use parse::DiffError;
pub use stat::render as render_stat;

use crate::changed_files::ChangedFiles;
use crate::gojson;

/// How a diff is carried inside JSON: the two versions of step results and changeset specs
/// (facts/batch-spec.md 3.7, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Version 1: as text; bytes that are not UTF-8 are lost.
    Text,
    /// Version 2: as base64.
    Base64,
}

/// What a diff says, section by section.
///
/// The form is that of `git diff --no-prefix --binary` (facts/batch-spec.md 3.6): names carry no
/// `a/` and `b/`, and a leading directory of such a name is taken for what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff<'a> {
    /// One section for each file, in the diff's order. A changed type (file to symlink) is two:
    /// a deletion and an addition.
    pub sections: Vec<Section<'a>>,
}

/// The part of a diff that is about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// Git's text from the `diff --git` line to the next section.
    pub raw: &'a [u8],
    /// What happened.
    pub kind: Kind,
    /// Name before, unquoted. For an added file, its name.
    pub old_name: Cow<'a, [u8]>,
    /// Name after, unquoted. For a deleted file, its name.
    pub new_name: Cow<'a, [u8]>,
    /// Mode before, as an octal number; `None` where the section does not tell.
    pub old_mode: Option<u32>,
    /// Mode after.
    pub new_mode: Option<u32>,
    /// Whether the content is binary (a `GIT binary patch`, or a remark that files differ).
    pub binary: bool,
    /// Lines added by the hunks.
    pub added: u64,
    /// Lines removed by the hunks.
    pub removed: u64,
    /// Where in `raw` the first hunk begins; its length if there is none.
    hunks_at: usize,
}

/// What a section does to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file is new.
    Added,
    /// The file is gone.
    Deleted,
    /// The content changed, perhaps the mode too.
    Modified,
    /// The name changed, perhaps the content and mode too.
    Renamed,
    /// The file began as a copy of another (git prints this only when asked to).
    Copied,
    /// Only the mode changed.
    ModeChanged,
}

impl<'a> Diff<'a> {
    /// Reads a diff in one pass over its bytes.
    ///
    /// Nothing is copied but quoted names. Text before the first section and after the hunks of a section
    /// is passed over, as `git apply` does; an empty diff has no sections.
    ///
    /// # Errors
    ///
    /// If the text is not blank and has no section, if a section does not name its file, or if a hunk
    /// is malformed or cut short.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DiffError> {
        parse::parse(bytes)
    }

    /// The files that differ, by what happened to them (facts/batch-spec.md 3.6).
    pub fn changed_files(&self) -> ChangedFiles {
        let mut files = ChangedFiles::default();
        for section in &self.sections {
            let list = match section.kind {
                Kind::Added => &mut files.added,
                Kind::Deleted => &mut files.deleted,
                Kind::Modified | Kind::ModeChanged => &mut files.modified,
                Kind::Renamed | Kind::Copied => &mut files.renamed,
            };
            list.push(gojson::utf8(section.name()).into_owned());
        }
        files
    }
}

impl<'a> Section<'a> {
    /// The name the section is known by: the new one, which for a deleted file is its only one.
    pub fn name(&self) -> &[u8] {
        &self.new_name
    }

    /// The hunks, one after the other.
    pub fn hunks(&self) -> Hunks<'a> {
        Hunks::new(&self.raw[self.hunks_at..])
    }

    /// The lines before the first hunk; all of the section where there is none.
    pub fn header(&self) -> &'a [u8] {
        &self.raw[..self.hunks_at]
    }
}
