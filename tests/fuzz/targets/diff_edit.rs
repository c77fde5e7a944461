//! Any bytes as a diff with hostile edits of it: whatever is made of them is proved, and so is no other output that is not.
#![no_main]

use std::collections::HashSet;

use capstan_core::diff::Diff;
use capstan_core::diff::edit::{Edits, Shape, Subject, prove};

const SHAPES: [Shape; 4] = [
    Shape::RemoveOnly,
    Shape::NormalizeOnly,
    Shape::Annotate,
    Shape::Rewrite,
];

// The first byte chooses the shape; what lies between two NULs is the next body or, if it is short, another edit. The last part is the diff.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let shape = SHAPES[usize::from(first % 4)];
    let mut parts: Vec<&[u8]> = data.split(|byte| *byte == 0).collect();
    let Some(input) = parts.pop() else { return };
    let Ok(diff) = Diff::parse(input) else { return };
    let mut parts = parts.into_iter();
    let mut edits = Edits::new(shape);
    'parts: for (number, section) in diff.sections.iter().enumerate() {
        let subject = Subject::of(number, section);
        for (place, hunk) in section.hunks().enumerate() {
            let _ = match parts.next() {
                None => break 'parts,
                Some(b"") => Ok(()),
                Some(b"f") => edits.drop_file(number),
                Some(b"h") => edits.drop_hunk(subject, place),
                Some(body) => edits.replace_hunk(subject, place, &hunk, body.to_vec()),
            };
        }
    }
    if let Ok(Some(output)) = edits.apply(input) {
        let after = Diff::parse(&output).expect("an edited diff is a diff");
        assert!(after.sections.len() <= diff.sections.len());
        match shape {
            Shape::Annotate => panic!("nothing may change"),
            Shape::RemoveOnly => {
                for hunk in after.sections.iter().flat_map(|section| section.hunks()) {
                    let mut known = diff.sections.iter().flat_map(|section| section.hunks());
                    assert!(
                        known.any(|other| other.body == hunk.body),
                        "a hunk that was not there"
                    );
                }
            }
            Shape::NormalizeOnly => {
                let known: HashSet<Vec<u8>> = lines(&diff).collect();
                assert!(
                    lines(&after).all(|line| known.contains(&line)),
                    "a line that was not there"
                );
            }
            Shape::Rewrite => {}
        }
        // As if somebody else had made it.
        assert_eq!(
            prove(input, &output, Shape::Rewrite).is_ok(),
            shape != Shape::Annotate
        );
    }
    // An output of which nobody knows how it came to be.
    let _ = prove(input, data, shape);
});

/// All lines of all hunks, without signs, blanks and markers, and those with nothing left.
fn lines(diff: &Diff<'_>) -> impl Iterator<Item = Vec<u8>> {
    let hunks = diff.sections.iter().flat_map(|section| section.hunks());
    hunks
        .flat_map(|hunk| hunk.body.split(|byte| *byte == b'\n'))
        .filter(|line| line.len() > 1 && line[0] != b'\\')
        .map(|line| {
            line[1..]
                .iter()
                .copied()
                .filter(|byte| !b" \t\r".contains(byte))
                .collect::<Vec<u8>>()
        })
        .filter(|line| !line.is_empty())
}
