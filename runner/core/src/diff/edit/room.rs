//! Sections that need each other.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::super::{Kind, Section};

/// The other half of a changed type (file to symlink), which git prints as a deletion and an addition.
pub(super) fn other_half(sections: &[Section<'_>], number: usize) -> Option<usize> {
    let halves = |first: usize| {
        let second = sections.get(first + 1)?;
        let first = &sections[first];
        (first.kind == Kind::Deleted && second.kind == Kind::Added && first.name() == second.name())
            .then_some(())
    };
    if halves(number).is_some() {
        return Some(number + 1);
    }
    let before = number.checked_sub(1)?;
    halves(before).map(|()| before)
}

/// A file among `kept` that cannot be made, because what is in its way stays: its name and that of a section among `gone` that would
/// have taken that away.
pub(super) fn blocked<'a>(
    kept: &[&'a Section<'_>],
    gone: &[&'a Section<'_>],
) -> Option<(&'a [u8], &'a [u8])> {
    let in_the_way: BTreeSet<&[u8]> = gone
        .iter()
        .filter(|section| matches!(section.kind, Kind::Deleted | Kind::Renamed))
        .map(|section| section.old_name.as_ref())
        .collect();
    if in_the_way.is_empty() {
        return None;
    }
    for section in kept {
        if !matches!(section.kind, Kind::Added | Kind::Renamed | Kind::Copied) {
            continue;
        }
        let name = section.name();
        // The name itself, and the directories it needs.
        let directories = memchr::memchr_iter(b'/', name).map(|slash| &name[..slash]);
        let mut needed = directories.chain([name]);
        if let Some(file) = needed.find_map(|path| in_the_way.get(path)) {
            return Some((name, file));
        }
        // A file where there is a directory.
        let directory = [name, b"/"].concat();
        let from = (Bound::Included(directory.as_slice()), Bound::Unbounded);
        let inside = in_the_way.range::<[u8], _>(from).next();
        if let Some(file) = inside.filter(|file| file.starts_with(&directory)) {
            return Some((name, file));
        }
    }
    None
}
