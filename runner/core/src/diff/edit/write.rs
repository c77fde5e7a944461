//! Writing the diff that edits make.

use std::collections::BTreeMap;

use super::super::side::Sides;
use super::super::{Diff, Extent, Section};
use super::{Edits, FileEdit, HunkEdit, form, room};

/// What `edits` make of `diff`.
pub(super) fn write(diff: &Diff<'_>, edits: &Edits) -> Vec<u8> {
    let dropped = |number| matches!(edits.files.get(&number), Some(FileEdit::Drop));
    let mut output = Vec::new();
    for (number, section) in diff.sections.iter().enumerate() {
        let other_half = room::other_half(&diff.sections, number);
        if dropped(number) || other_half.is_some_and(dropped) {
            continue;
        }
        match edits.files.get(&number) {
            Some(FileEdit::Hunks(hunks)) => write_section(&mut output, section, hunks),
            Some(FileEdit::Drop) | None => output.extend_from_slice(section.raw),
        }
    }
    output
}

fn write_section(output: &mut Vec<u8>, section: &Section<'_>, edits: &BTreeMap<usize, HunkEdit>) {
    let mut hunks = Vec::new();
    let mut shift = 0;
    for (number, hunk) in section.hunks().enumerate() {
        let (lines, body) = match edits.get(&number) {
            Some(HunkEdit::Drop) => continue,
            Some(HunkEdit::Replace(body)) => {
                let sides = Sides::of(body);
                if sides.change_nothing() {
                    continue;
                }
                (sides.new_lines, body.as_slice())
            }
            None => (hunk.new.lines, hunk.body),
        };
        // There is no such place in a diff whose hunks overlap; the proof will not hold for it.
        let new = form::moved(hunk.old, lines, shift).unwrap_or(Extent { start: 0, lines });
        shift += i128::from(lines) - i128::from(hunk.old.lines);
        let header = format!("@@ -{} +{} @@", display(hunk.old), display(new));
        hunks.extend_from_slice(header.as_bytes());
        hunks.extend_from_slice(hunk.heading);
        hunks.extend_from_slice(body);
    }
    if !hunks.is_empty() {
        output.extend_from_slice(section.header());
        output.extend_from_slice(&hunks);
    } else if form::more_than_content(section) {
        output.extend_from_slice(&form::header_without_content(section.header()));
    }
}

/// As git writes it: a count of one is left out.
fn display(extent: Extent) -> String {
    match extent.lines {
        1 => extent.start.to_string(),
        lines => format!("{},{lines}", extent.start),
    }
}
