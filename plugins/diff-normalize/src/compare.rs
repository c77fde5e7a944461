//! What is the same in lines that were removed and lines that came in their place.

use capstan_plugin::{Line, LineKind};

/// Differences up to which the shortest way is looked for: it takes time and memory with their square.
const MOST: usize = 1000;

/// Merges both, emptying them: removed and added lines that are the same become context.
pub(crate) fn compare(removed: &mut Vec<Line>, added: &mut Vec<Line>) -> Vec<Line> {
    let (old, new) = (std::mem::take(removed), std::mem::take(added));
    let same = |old: &Line, new: &Line| old.text == new.text && old.newline == new.newline;
    let above = old
        .iter()
        .zip(&new)
        .take_while(|(old, new)| same(old, new))
        .count();
    let below = old[above..]
        .iter()
        .rev()
        .zip(new[above..].iter().rev())
        .take_while(|(old, new)| same(old, new))
        .count();
    let (old_end, new_end) = (old.len() - below, new.len() - below);
    let pairs = pairs(&old[above..old_end], &new[above..new_end], same);

    let context = |line: &Line| Line {
        kind: LineKind::Context,
        ..line.clone()
    };
    let mut whole: Vec<Line> = old[..above].iter().map(context).collect();
    let (mut from_old, mut from_new) = (above, above);
    for (at_old, at_new) in pairs {
        let (at_old, at_new) = (above + at_old, above + at_new);
        whole.extend_from_slice(&old[from_old..at_old]);
        whole.extend_from_slice(&new[from_new..at_new]);
        whole.push(context(&old[at_old]));
        (from_old, from_new) = (at_old + 1, at_new + 1);
    }
    whole.extend_from_slice(&old[from_old..old_end]);
    whole.extend_from_slice(&new[from_new..new_end]);
    whole.extend(old[old_end..].iter().map(context));
    whole
}

/// Which lines stayed, as pairs of their places: Myers' greedy algorithm. None if there are too many differences.
fn pairs(old: &[Line], new: &[Line], same: impl Fn(&Line, &Line) -> bool) -> Vec<(usize, usize)> {
    // `reached[k]`: how far the old lines got on the diagonal k = old - new + shift; one copy for each number of differences.
    let most = (old.len() + new.len()).min(MOST);
    let shift = most + 1;
    let mut reached = vec![0usize; 2 * most + 3];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for differences in 0..=most {
        trace.push(reached[shift - differences - 1..=shift + differences + 1].to_vec());
        for k in (shift - differences..=shift + differences).step_by(2) {
            let mut x = if came_down(&reached, k, shift - differences, shift + differences) {
                reached[k + 1]
            } else {
                reached[k - 1] + 1
            };
            let Some(mut y) = (x + shift).checked_sub(k) else {
                continue;
            };
            while x < old.len() && y < new.len() && same(&old[x], &new[y]) {
                (x, y) = (x + 1, y + 1);
            }
            reached[k] = x;
            if x >= old.len() && y >= new.len() {
                return way_back(&trace, old.len(), new.len(), shift);
            }
        }
    }
    Vec::new()
}

/// Whether the best way to a diagonal adds a line, rather than removes one.
fn came_down(reached: &[usize], k: usize, lowest: usize, highest: usize) -> bool {
    k == lowest || (k != highest && reached[k - 1] < reached[k + 1])
}

/// The pairs on the way that the trace tells.
fn way_back(trace: &[Vec<usize>], old: usize, new: usize, shift: usize) -> Vec<(usize, usize)> {
    let (mut x, mut y) = (old, new);
    let mut pairs = Vec::new();
    for (differences, reached) in trace.iter().enumerate().rev() {
        // The copy begins one diagonal below the lowest.
        let offset = shift - differences - 1;
        let k = x + shift - y;
        let local = |k: usize| k - offset;
        let (lowest, highest) = (local(shift - differences), local(shift + differences));
        let down = came_down(reached, local(k), lowest, highest);
        let (from_x, from_y) = if differences == 0 {
            (0, 0)
        } else if down {
            let from = reached[local(k + 1)];
            (from, from + shift - (k + 1))
        } else {
            let from = reached[local(k - 1)];
            (from, from + shift - (k - 1))
        };
        while x > from_x && y > from_y {
            (x, y) = (x - 1, y - 1);
            pairs.push((x, y));
        }
        (x, y) = (from_x, from_y);
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(kind: LineKind, text: &str) -> Vec<Line> {
        let line = |text: char| Line {
            kind,
            text: text.to_string().into_bytes(),
            newline: true,
            number: 1,
            old_number: 1,
        };
        text.chars().map(line).collect()
    }

    fn compared(old: &str, new: &str) -> String {
        let mut removed = lines(LineKind::Removed, old);
        let mut added = lines(LineKind::Added, new);
        let mut text = String::new();
        for line in compare(&mut removed, &mut added) {
            text.push(match line.kind {
                LineKind::Context => ' ',
                LineKind::Added => '+',
                LineKind::Removed => '-',
            });
            text.push_str(str::from_utf8(&line.text).unwrap());
        }
        text
    }

    #[test]
    fn what_stayed_is_context() {
        for (old, new, merged) in [
            ("", "", ""),
            ("abc", "abc", " a b c"),
            ("abc", "axc", " a-b+x c"),
            ("abcd", "bd", "-a b-c d"),
            ("axbyc", "azbwvc", " a-x+z b-y+w+v c"),
            ("ab", "cd", "-a-b+c+d"),
            ("", "ab", "+a+b"),
        ] {
            assert_eq!(compared(old, new), merged, "{old} {new}");
        }
    }

    #[test]
    fn too_many_differences_are_left_as_they_are() {
        let old = "a".repeat(MOST) + "x";
        let new = "b".repeat(MOST) + "x";
        let merged = compared(&old, &new);
        assert!(merged.starts_with("-a-a") && merged.ends_with("+b x"));
    }

    /// How long the longest common subsequence is.
    fn longest(old: &[u8], new: &[u8]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for a in old {
            let mut diagonal = 0;
            for (at, b) in new.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if a == b {
                    diagonal + 1
                } else {
                    above.max(row[at])
                };
                diagonal = above;
            }
        }
        row[new.len()]
    }

    proptest! {
        #[test]
        fn both_sides_stay_and_as_much_as_can_be_is_context(old in "[abc]{0,12}", new in "[abc]{0,12}") {
            let merged = compared(&old, &new);
            let side = |without: u8| -> Vec<u8> {
                merged.as_bytes().chunks(2).filter(|line| line[0] != without).map(|line| line[1]).collect()
            };
            prop_assert_eq!(side(b'+'), old.as_bytes());
            prop_assert_eq!(side(b'-'), new.as_bytes());
            let context = merged.as_bytes().chunks(2).filter(|line| line[0] == b' ').count();
            // The lines at both ends are matched first, which never costs one in between.
            prop_assert_eq!(context, longest(old.as_bytes(), new.as_bytes()));
        }
    }
}
