//! Edited diffs against git itself: it takes them, and makes of the base what they say.

use std::fs;

use proptest::prelude::*;

use super::super::super::Extent;
use super::super::super::tests::repository::{self, Directory, File, Tree};
use super::*;

/// Long enough for several hunks, with blanks at ends and lines that look like a diff's.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let lines: &[&[u8]] = &[
        b"one\n",
        b"two  \n",
        b"\n",
        b" \t\n",
        b"crlf\r\n",
        b"-- x\n",
        b"++ y\n",
        b"@@ -1 +1 @@\n",
        b"diff --git x x\n",
        b"fn heading() {\n",
        b"\xff\n",
    ];
    let lines = prop::collection::vec(prop::sample::select(lines), 0..50);
    let ends: &[&[u8]] = &[b"", b"end", b"blank ", b"\n\n"];
    let end = prop::sample::select(ends);
    (lines, end).prop_map(|(lines, end)| [lines.concat(), end.to_vec()].concat())
}

/// Replaces the line at a place, modulo the number of lines.
#[derive(Debug, Clone)]
struct Change(usize, &'static [u8]);

fn change() -> impl Strategy<Value = Change> {
    let lines: &[&[u8]] = &[b"", b"changed\n", b"changed \n", b"more\nlines\t\n", b"\n"];
    (0..1000_usize, prop::sample::select(lines)).prop_map(|(place, line)| Change(place, line))
}

fn changed(text: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for Change(place, line) in changes {
        if lines.is_empty() {
            lines.push(line);
        } else {
            let place = place % lines.len();
            lines[place] = line;
        }
    }
    lines.concat()
}

/// A body with the lines after the change made different, or only their blanks.
fn replacement(body: &[u8], shape: Shape) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    // A `+` line need not stay without its newline.
    let mut index = 1;
    while index < lines.len() {
        if lines[index][0] == b'\\' && lines[index - 1][0] == b'+' {
            lines.remove(index);
        }
        index += 1;
    }
    let mut output = Vec::new();
    let mut context_changed = false;
    for (index, line) in lines.iter().enumerate() {
        let marked = lines.get(index + 1).is_some_and(|next| next[0] == b'\\');
        match line[0] {
            b'+' if shape == Shape::NormalizeOnly => {
                let end = line.trim_ascii_end();
                output.extend_from_slice(end);
                output.push(b'\n');
            }
            b'+' => match index % 3 {
                0 => {}
                1 => output.extend_from_slice(b"+rewritten\n"),
                _ => output.extend_from_slice(&line.repeat(2)),
            },
            b' ' if shape == Shape::Rewrite && !context_changed && !marked => {
                context_changed = true;
                output.push(b'-');
                output.extend_from_slice(&line[1..]);
                output.extend_from_slice(b"+context\n");
            }
            _ => output.extend_from_slice(line),
        }
    }
    output
}

/// What a body says of the content after the change.
fn new_side(body: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::new();
    let mut was_new = false;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        match line[0] {
            b'\\' if was_new => drop(text.pop()),
            b'\\' => {}
            sign => {
                was_new = sign != b'-';
                if was_new {
                    text.extend_from_slice(&line[1..]);
                }
            }
        }
    }
    text
}

/// Lines of `base` that are replaced by bodies' new sides.
fn patched(base: &[u8], hunks: &[(Extent, Vec<u8>)]) -> Vec<u8> {
    let lines: Vec<&[u8]> = base.split_inclusive(|byte| *byte == b'\n').collect();
    let mut output = Vec::new();
    let mut at = 0;
    for (old, body) in hunks {
        let start = usize::try_from(old.start).unwrap() - usize::from(old.lines > 0);
        output.extend(lines[at..start].concat());
        output.extend(new_side(body));
        at = start + usize::try_from(old.lines).unwrap();
    }
    output.extend(lines[at..].concat());
    output
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn git_makes_of_it_what_it_says(
        texts in prop::collection::vec((text(), prop::collection::vec(change(), 0..6)), 1..4),
        others in prop::collection::vec((repository::name(), repository::file()), 0..4),
        tree_edits in prop::collection::vec(repository::edit(), 0..5),
        shape in prop::sample::select(vec![Shape::RemoveOnly, Shape::NormalizeOnly, Shape::Rewrite]),
        choices in prop::collection::vec(0..3_u8, 1..12),
        injected in any::<prop::sample::Index>(),
    ) {
        let mut base = Tree::new();
        for (number, (text, _)) in texts.iter().enumerate() {
            base.insert(format!("text{number}").into(), File::Text(text.clone(), false));
        }
        for (name, file) in others {
            repository::add(&mut base, name, file);
        }
        let directory = Directory::of(&base);
        let mut after = base.clone();
        for (number, (text, changes)) in texts.iter().enumerate() {
            after.insert(format!("text{number}").into(), File::Text(changed(text, changes), false));
        }
        for edit in tree_edits {
            repository::apply(&mut after, edit);
        }
        let input = directory.diff(&after);
        let diff = Diff::parse(&input).unwrap();

        // What is asked for, and what it should come to.
        let mut edits = Edits::new(shape);
        prop_assert_eq!(edits.apply(&input), Ok(None), "no edits are no change");
        let mut expected = base.clone();
        let mut added: Tree = Tree::new();
        let mut choices = choices.iter().cycle().copied();
        let mut half_dropped = None;
        for (number, section) in diff.sections.iter().enumerate() {
            let subject = Subject::of(number, section);
            let may_drop = shape != Shape::NormalizeOnly;
            let second_half = room::other_half(&diff.sections, number).is_some_and(|half| half < number);
            let drop_it = match half_dropped.take().filter(|_| second_half) {
                Some(first) => first,
                None => may_drop && choices.next() == Some(0),
            };
            half_dropped = Some(drop_it);
            if drop_it {
                edits.drop_file(number).unwrap();
                continue;
            }
            let before = base.get(section.old_name.as_ref()).filter(|_| section.kind != Kind::Added);
            if matches!(section.kind, Kind::Deleted | Kind::Renamed) {
                expected.remove(section.old_name.as_ref());
            }
            let Some(result) = after.get(section.name()).filter(|_| section.kind != Kind::Deleted) else {
                continue;
            };
            let mut bodies = Vec::new();
            for (place, hunk) in section.hunks().enumerate() {
                let whole = section.kind == Kind::Added;
                let choice = if subject.regular() { choices.next() } else { None };
                match (choice, shape) {
                    (Some(1), Shape::RemoveOnly | Shape::Rewrite) if !whole => {
                        edits.drop_hunk(subject, place).unwrap();
                        continue;
                    }
                    (Some(2), Shape::NormalizeOnly | Shape::Rewrite) => {
                        let body = replacement(hunk.body, shape);
                        edits.replace_hunk(subject, place, &hunk, body.clone()).unwrap();
                        bodies.push((hunk.old, body));
                    }
                    _ => bodies.push((hunk.old, hunk.body.to_vec())),
                }
            }
            let result = match (result, before) {
                (File::Text(_, executable), before) if section.hunks().next().is_some() => {
                    let text = match before {
                        Some(File::Text(text, _)) => text.as_slice(),
                        _ => b"",
                    };
                    File::Text(patched(text, &bodies), *executable)
                }
                (result, _) => result.clone(),
            };
            added.insert(section.name().to_vec(), result);
        }
        expected.extend(added);

        let output = match edits.apply(&input) {
            Ok(output) => output.unwrap_or_else(|| input.clone()),
            Err(EditError::Refused(Violation { rule: Rule::Blocked(_), .. })) => return Ok(()),
            Err(error) => panic!("{error}\n{}", String::from_utf8_lossy(&input)),
        };

        directory.git(&["reset", "-q", "--hard"]);
        if !output.is_empty() {
            fs::write(directory.0.join(".git/edited"), &output).unwrap();
            directory.git(&["apply", "-p0", "--index", "--whitespace=nowarn", ".git/edited"]);
        }
        let applied = directory.git(&["write-tree"]);
        directory.write(&expected);
        directory.git(&["add", "--all"]);
        let difference = directory.git(&["diff", "--cached", std::str::from_utf8(&applied).unwrap().trim_end()]);
        prop_assert!(difference.is_empty(), "{}", String::from_utf8_lossy(&difference));

        inject(&input, &output, &injected)?;
    }
}

/// Changes to a proved output that nobody may make.
fn inject(input: &[u8], output: &[u8], place: &prop::sample::Index) -> Result<(), TestCaseError> {
    let diff = Diff::parse(output).unwrap();
    let hunks: Vec<Hunk<'_>> = diff.sections.iter().flat_map(Section::hunks).collect();
    if hunks.is_empty() {
        return Ok(());
    }
    let hunk = hunks[place.index(hunks.len())];
    let at = hunk.raw.as_ptr().addr() - output.as_ptr().addr();
    let header = hunk.raw.len() - hunk.body.len();
    for (sign, shapes) in [
        ('+', [Shape::RemoveOnly, Shape::NormalizeOnly]),
        ('-', [Shape::Rewrite, Shape::NormalizeOnly]),
        (' ', [Shape::Rewrite, Shape::RemoveOnly]),
    ] {
        let grown = |extent: Extent, by: bool| {
            format!("{},{}", extent.start.max(1), extent.lines + u64::from(by))
        };
        let mut injected = output[..at].to_vec();
        let (old, new) = (grown(hunk.old, sign != '+'), grown(hunk.new, sign != '-'));
        injected.extend(format!("@@ -{old} +{new} @@").into_bytes());
        injected.extend(hunk.heading);
        injected.extend(format!("{sign}injected\n").into_bytes());
        injected.extend(&output[at + header..]);
        for shape in shapes {
            prop_assert!(prove(input, &injected, shape).is_err(), "{shape} {sign}");
        }
    }
    let mut flipped = output.to_vec();
    flipped[place.index(output.len())] ^= 1;
    prop_assert!(prove(input, &flipped, Shape::RemoveOnly).is_err());
    prop_assert!(prove(input, &flipped, Shape::Annotate).is_err());
    Ok(())
}
