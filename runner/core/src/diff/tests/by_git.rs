//! The parser against git itself: random trees, random edits, and what git says of them.

use std::fs;

use proptest::prelude::*;

use super::super::{Diff, Kind};
use super::repository::{Directory, Tree, add, apply, edit, file, name};

/// What `git diff --name-status -z` says, with a changed type as a deletion and an addition.
fn name_status(output: &[u8]) -> Vec<(char, Vec<u8>, Vec<u8>)> {
    let mut fields = output
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty());
    let mut entries = Vec::new();
    while let Some(status) = fields.next() {
        let old = fields.next().unwrap().to_vec();
        match status[0] {
            b'R' => entries.push(('R', old, fields.next().unwrap().to_vec())),
            b'T' => entries.extend([('D', old.clone(), old.clone()), ('A', old.clone(), old)]),
            status => entries.push((char::from(status), old.clone(), old)),
        }
    }
    entries
}

/// What `git diff --numstat -z` says: lines added and removed, `None` for binary files. Empty if there is a
/// changed type, which it counts as one file and the diff as two sections.
fn num_stat(output: &[u8], sections: usize) -> Vec<Option<(u64, u64)>> {
    let number = |text: &[u8]| str::from_utf8(text).unwrap().parse().ok();
    let mut fields = output.split(|byte| *byte == 0);
    let mut entries = Vec::new();
    while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
        let mut columns = field.splitn(3, |byte| *byte == b'\t');
        let added = columns.next().and_then(number);
        let removed = columns.next().and_then(number);
        entries.push(added.zip(removed));
        if columns.next() == Some(b"") {
            // A renamed file: its two names follow.
            fields.next();
            fields.next();
        }
    }
    if entries.len() == sections {
        entries
    } else {
        Vec::new()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_name_status_and_numstat(
        before in prop::collection::vec((name(), file()), 0..8),
        edits in prop::collection::vec(edit(), 1..10),
    ) {
        let mut tree = Tree::new();
        for (name, file) in before {
            add(&mut tree, name, file);
        }
        let directory = Directory::of(&tree);
        for edit in edits {
            apply(&mut tree, edit);
        }
        let text = directory.diff(&tree);
        let diff = Diff::parse(&text).unwrap();

        let status = name_status(&directory.git(&["diff", "--cached", "--name-status", "-z"]));
        let parsed: Vec<_> = diff.sections.iter().map(|section| {
            let letter = match section.kind {
                Kind::Added => 'A',
                Kind::Deleted => 'D',
                Kind::Renamed => 'R',
                Kind::Copied => 'C',
                Kind::Modified | Kind::ModeChanged => 'M',
            };
            (letter, section.old_name.to_vec(), section.new_name.to_vec())
        }).collect();
        prop_assert_eq!(parsed, status);

        let numbers = directory.git(&["diff", "--cached", "--numstat", "-z"]);
        for (section, numbers) in diff.sections.iter().zip(num_stat(&numbers, diff.sections.len())) {
            // Of a file that was only renamed or changed its mode, the diff does not say if it is binary.
            if section.raw.windows(7).any(|bytes| bytes == b"\nindex ") {
                let parsed = (!section.binary).then_some((section.added, section.removed));
                prop_assert_eq!(parsed, numbers);
            }
        }

        let raw: Vec<u8> = diff.sections.iter().flat_map(|section| section.raw).copied().collect();
        prop_assert_eq!(&raw, &text, "sections cover the diff");

        // Any selection of sections is a diff that git applies.
        directory.git(&["reset", "-q", "--hard"]);
        if let Some(section) = diff.sections.iter().find(|section| section.kind == Kind::Modified) {
            fs::write(directory.0.join(".git/one"), section.raw).unwrap();
            directory.git(&["apply", "-p0", "--index", ".git/one"]);
            let again = directory.git(&["diff", "--cached", "--no-prefix", "--binary"]);
            prop_assert_eq!(again.as_slice(), section.raw);
        }
    }
}
