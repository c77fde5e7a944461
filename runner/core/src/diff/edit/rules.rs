//! What may become of one hunk.

use super::super::side::{Sides, differ_in_blanks_only};
use super::super::{Hunk, Kind};
use super::body::{self, BodyError};
use super::{Shape, Subject};

/// Lines of context that git prints around a change, unless told otherwise.
const CONTEXT: u64 = 3;

/// Why a hunk must not be replaced or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HunkRule {
    /// The shape has no such edit.
    #[error("{what} is not allowed to the shape `{shape}`")]
    Shape {
        /// The edit.
        what: &'static str,
        /// The shape.
        shape: Shape,
    },
    /// The hunk is all that there is of the file.
    #[error(
        "hunks of an added or deleted file are not dropped: drop the file, or replace the hunk"
    )]
    Whole,
    /// The body is no body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body says something else of the content before the change.
    #[error(
        "the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
    )]
    OldSide,
    /// The body differs in more than white space.
    #[error(
        "`normalize-only` may change white space at line ends, line endings, blank lines at the end and the final newline; the lines after the change differ in something else"
    )]
    NewSide,
    /// White space matters: a link's target, a submodule's commit.
    #[error("`normalize-only` is for regular files; this one is a link or a submodule")]
    NotRegular,
    /// Something is left in a deleted file.
    #[error("a deleted file has no lines after the change: the body must not have any either")]
    Deleted,
    /// Git would look for the hunk at the end of the file.
    #[error(
        "the body must end with a line of context as the hunk does: git takes one that ends with a change for the end of the file"
    )]
    Context,
}

/// Whether the hunk may go.
pub(super) fn may_drop(shape: Shape, subject: Subject) -> Result<(), HunkRule> {
    match shape {
        Shape::RemoveOnly | Shape::Rewrite => {}
        Shape::NormalizeOnly | Shape::Annotate => {
            let what = "dropping a hunk";
            return Err(HunkRule::Shape { what, shape });
        }
    }
    match subject.kind {
        Kind::Added | Kind::Deleted => Err(HunkRule::Whole),
        _ => Ok(()),
    }
}

/// Whether `body`, any bytes, may stand in place of the hunk's own; its sides, if it may.
pub(super) fn may_replace(
    shape: Shape,
    subject: Subject,
    hunk: &Hunk<'_>,
    body: &[u8],
) -> Result<Sides, HunkRule> {
    match shape {
        Shape::NormalizeOnly | Shape::Rewrite => {}
        Shape::RemoveOnly | Shape::Annotate => {
            let what = "replacing a hunk";
            return Err(HunkRule::Shape { what, shape });
        }
    }
    body::check(body)?;
    let before = Sides::of(hunk.body);
    let after = Sides::of(body);
    if (&before.old, before.old_lines) != (&after.old, after.old_lines) {
        return Err(HunkRule::OldSide);
    }
    if subject.kind == Kind::Deleted && after.new_lines > 0 {
        return Err(HunkRule::Deleted);
    }
    if shape == Shape::NormalizeOnly {
        if !subject.regular() {
            return Err(HunkRule::NotRegular);
        }
        if !differ_in_blanks_only(&before.new, &after.new) {
            return Err(HunkRule::NewSide);
        }
    }
    if before.trailing >= CONTEXT && after.trailing == 0 {
        return Err(HunkRule::Context);
    }
    Ok(after)
}

/// Whether it may be that a replacement left nothing of this hunk.
pub(super) fn may_vanish(shape: Shape, subject: Subject, hunk: &Hunk<'_>) -> bool {
    match (shape, subject.kind) {
        (Shape::Annotate, _) | (_, Kind::Deleted) | (Shape::RemoveOnly, Kind::Added) => false,
        (Shape::RemoveOnly | Shape::Rewrite, _) => true,
        (Shape::NormalizeOnly, _) => {
            let sides = Sides::of(hunk.body);
            subject.regular() && differ_in_blanks_only(&sides.old, &sides.new)
        }
    }
}
