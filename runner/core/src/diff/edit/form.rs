//! The form that an edited section has: git's.

use super::super::parse::next_line;
use super::super::{Extent, Kind, Section};

/// Where `lines` lines come to lie in place of `old`, when what is above grew by `shift` lines; `None` where that cannot be.
pub(super) fn moved(old: Extent, lines: u64, shift: i128) -> Option<Extent> {
    // Extents without lines name the line above them.
    let above = i128::from(old.start) - i128::from(old.lines > 0) + shift;
    let start = u64::try_from(above + i128::from(lines > 0)).ok()?;
    Some(Extent { start, lines })
}

/// Whether a section does something to its file beside changing its content.
pub(super) fn more_than_content(section: &Section<'_>) -> bool {
    section.kind != Kind::Modified || section.old_mode != section.new_mode
}

/// A header as git writes it where the content stays the same: without `index`, `---` and `+++`.
pub(super) fn header_without_content(header: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut rest = header;
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        rest = after;
        let of_content: [&[u8]; 3] = [b"index ", b"--- ", b"+++ "];
        if !of_content.iter().any(|prefix| line.starts_with(prefix)) {
            kept.extend_from_slice(line);
        }
    }
    kept
}
