//! Holding a diff against the one it was made from.

use super::super::{Diff, DiffError, Kind, Section, display_name};
use super::rules::{self, HunkRule};
use super::{Shape, Subject, form, room};

/// A diff that is not what may have become of another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{rule}")]
pub struct Violation {
    /// The file, and the line before the change at which the hunk begins: `a.txt, hunk at line 3: `. Empty if it is the whole.
    pub place: String,
    /// What was violated.
    pub rule: Rule,
}

/// A rule that edited diffs keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// One of the two is no diff.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// Nothing may change.
    #[error("the diff was changed, which is not allowed to the shape `annotate`")]
    Annotate,
    /// There is text that belongs to no file or no hunk.
    #[error("there is text that belongs to no hunk")]
    Text,
    /// A section that was not there, or not at this place.
    #[error("the diff it was made from has no such file, or not at this place")]
    NewFile,
    /// A section must not go.
    #[error("the file was dropped, which is not allowed to the shape `{0}`")]
    FileGone(Shape),
    /// A changed type is two sections.
    #[error("one half of a changed type was dropped and the other kept")]
    HalfGone,
    /// What would have made room is gone.
    #[error("it cannot be made, as {0}, which is in its way, is not taken away any more")]
    Blocked(String),
    /// A header says something else.
    #[error("what is above the first hunk was changed")]
    Header,
    /// A binary file, or one without hunks.
    #[error("the content cannot be edited: it is binary, or there are no hunks")]
    NoHunks,
    /// Nothing is left, and the section is still there.
    #[error("nothing is left of the change, and it is still there")]
    Empty,
    /// A hunk that was not there, or not at this place.
    #[error("the diff it was made from has no such hunk, or not at this place")]
    NewHunk,
    /// A hunk must not go.
    #[error("a hunk was dropped that must stay")]
    HunkGone,
    /// A `@@` line is not what it must be.
    #[error("the `@@` line is not the one that follows from the hunks above")]
    HunkHeader,
    /// A hunk that must not be what it is.
    #[error(transparent)]
    Hunk(#[from] HunkRule),
}

/// Proves that `output` is what edits of this shape can make of `input`, whoever made them and however.
///
/// # Errors
///
/// The first rule that does not hold.
pub fn prove(input: &[u8], output: &[u8], shape: Shape) -> Result<(), Violation> {
    if input == output {
        return Ok(());
    }
    let whole = |rule| Violation {
        place: String::new(),
        rule,
    };
    if shape == Shape::Annotate {
        return Err(whole(Rule::Annotate));
    }
    let before = Diff::parse(input).map_err(|error| whole(error.into()))?;
    let after = Diff::parse(output).map_err(|error| whole(error.into()))?;
    let covered: usize = after.sections.iter().map(|section| section.raw.len()).sum();
    if covered != output.len() {
        return Err(whole(Rule::Text));
    }

    let mut candidates = after.sections.iter().peekable();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    let mut first_half_gone = None;
    for (number, section) in before.sections.iter().enumerate() {
        let stays = match candidates.next_if(|candidate| same_file(section, candidate)) {
            Some(candidate) => {
                prove_section(Subject::of(number, section), section, candidate, shape)?;
                kept.push(section);
                true
            }
            None if file_may_go(Subject::of(number, section), section, shape) => {
                gone.push(section);
                false
            }
            None => return Err(at(section, None, Rule::FileGone(shape))),
        };
        match room::other_half(&before.sections, number) {
            Some(other) if other > number => first_half_gone = Some(!stays),
            Some(_) if first_half_gone == Some(stays) => {
                return Err(at(section, None, Rule::HalfGone));
            }
            _ => {}
        }
    }
    if let Some(extra) = candidates.next() {
        return Err(at(extra, None, Rule::NewFile));
    }
    if let Some((name, obstacle)) = room::blocked(&kept, &gone) {
        return Err(Violation {
            place: format!("{}: ", display_name(name)),
            rule: Rule::Blocked(display_name(obstacle).into_owned()),
        });
    }
    Ok(())
}

/// A violation in this section, and in the hunk that begins at this line before the change.
fn at(section: &Section<'_>, hunk: Option<u64>, rule: Rule) -> Violation {
    let file = display_name(section.name());
    let place = match hunk {
        Some(line) => format!("{file}, hunk at line {line}: "),
        None => format!("{file}: "),
    };
    Violation { place, rule }
}

/// Whether two sections are about the same file. What else their headers say is compared later.
fn same_file(section: &Section<'_>, candidate: &Section<'_>) -> bool {
    let is = |kind| (section.kind == kind) == (candidate.kind == kind);
    section.old_name == candidate.old_name
        && section.new_name == candidate.new_name
        && is(Kind::Added)
        && is(Kind::Deleted)
}

/// Whether all of a section may be gone.
fn file_may_go(subject: Subject, section: &Section<'_>, shape: Shape) -> bool {
    match shape {
        Shape::RemoveOnly | Shape::Rewrite => true,
        Shape::Annotate => false,
        // It went because its hunks did.
        Shape::NormalizeOnly => {
            !form::more_than_content(section)
                && section.hunks().next().is_some()
                && section
                    .hunks()
                    .all(|hunk| rules::may_vanish(shape, subject, &hunk))
        }
    }
}

fn prove_section(
    subject: Subject,
    section: &Section<'_>,
    candidate: &Section<'_>,
    shape: Shape,
) -> Result<(), Violation> {
    if section.raw == candidate.raw {
        return Ok(());
    }
    if section.binary || section.hunks().next().is_none() {
        return Err(at(section, None, Rule::NoHunks));
    }
    if candidate.hunks().next().is_none() {
        if candidate.raw != form::header_without_content(section.header()) {
            return Err(at(section, None, Rule::Header));
        }
        if !form::more_than_content(section) {
            return Err(at(section, None, Rule::Empty));
        }
    } else if candidate.header() != section.header() {
        return Err(at(section, None, Rule::Header));
    }
    let hunks: usize = candidate.hunks().map(|hunk| hunk.raw.len()).sum();
    if candidate.header().len() + hunks != candidate.raw.len() {
        return Err(at(section, None, Rule::Text));
    }

    let mut candidates = candidate.hunks().peekable();
    let mut shift = 0;
    for hunk in section.hunks() {
        let here = |rule| at(section, Some(hunk.old.start), rule);
        let Some(candidate) = candidates.next_if(|candidate| candidate.old == hunk.old) else {
            if !rules::may_vanish(shape, subject, &hunk) {
                return Err(here(Rule::HunkGone));
            }
            continue;
        };
        if candidate.heading != hunk.heading
            || Some(candidate.new) != form::moved(hunk.old, candidate.new.lines, shift)
        {
            return Err(here(Rule::HunkHeader));
        }
        if candidate.body != hunk.body {
            let sides = rules::may_replace(shape, subject, &hunk, candidate.body)
                .map_err(|rule| here(rule.into()))?;
            if sides.change_nothing() {
                return Err(here(Rule::Empty));
            }
        }
        shift += i128::from(candidate.new.lines) - i128::from(hunk.old.lines);
    }
    match candidates.next() {
        Some(extra) => Err(at(section, Some(extra.old.start), Rule::NewHunk)),
        None => Ok(()),
    }
}
