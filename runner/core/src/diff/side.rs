//! What the body of a hunk says of the content before and after the change.

use super::parse::next_line;

/// Both sides of a body as plain text: signs taken off, and the last line without its end where a marker says so.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    /// Before the change.
    pub(super) old: Vec<u8>,
    /// Lines of `old`.
    pub(super) old_lines: u64,
    /// After the change.
    pub(super) new: Vec<u8>,
    /// Lines of `new`.
    pub(super) new_lines: u64,
    /// Lines of context at the end.
    pub(super) trailing: u64,
}

impl Sides {
    /// Reads a body whose lines are well-formed.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut sides = Self::default();
        let mut rest = body;
        // Which sides the line before belongs to.
        let (mut old, mut new) = (false, false);
        while !rest.is_empty() {
            let (line, after) = next_line(rest);
            rest = after;
            if line[0] == b'\\' {
                for (text, meant) in [(&mut sides.old, old), (&mut sides.new, new)] {
                    if meant && text.last() == Some(&b'\n') {
                        text.pop();
                    }
                }
                continue;
            }
            // An empty line is context whose only space was lost on the way.
            let text = if line[0] == b'\n' { line } else { &line[1..] };
            (old, new) = (line[0] != b'+', line[0] != b'-');
            if old {
                sides.old.extend_from_slice(text);
                sides.old_lines += 1;
            }
            if new {
                sides.new.extend_from_slice(text);
                sides.new_lines += 1;
            }
            sides.trailing = if old && new { sides.trailing + 1 } else { 0 };
        }
        sides
    }

    /// Whether both are the same.
    pub(super) fn change_nothing(&self) -> bool {
        (&self.old, self.old_lines) == (&self.new, self.new_lines)
    }
}

/// Whether two texts differ in nothing but blanks (space, tab, CR) at the ends of lines, blank lines at the end, and the final newline.
pub(super) fn differ_in_blanks_only(one: &[u8], other: &[u8]) -> bool {
    fn without_blanks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
        trimmed(text, b" \t\r\n")
            .split(|byte| *byte == b'\n')
            .map(|line| trimmed(line, b" \t\r"))
    }
    fn trimmed<'a>(text: &'a [u8], blanks: &[u8]) -> &'a [u8] {
        let end = text.iter().rposition(|byte| !blanks.contains(byte));
        &text[..end.map_or(0, |last| last + 1)]
    }
    without_blanks(one).eq(without_blanks(other))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::changed(" a\n-b\n+c\n+d\n e\n", "a\nb\ne\n", "a\nc\nd\ne\n", 1)]
    #[case::no_newline_before("-a\n\\ No newline at end of file\n+a\n", "a", "a\n", 0)]
    #[case::no_newline_after("-a\n+a\n\\ No newline at end of file\n", "a\n", "a", 0)]
    #[case::no_newline_at_all("-a\n a\n\\ No newline at end of file\n", "a\na", "a", 1)]
    #[case::context_without_its_space(" a\n\n-b\n", "a\n\nb\n", "a\n\n", 0)]
    #[case::nothing("", "", "", 0)]
    fn sides(#[case] body: &str, #[case] old: &str, #[case] new: &str, #[case] trailing: u64) {
        let sides = Sides::of(body.as_bytes());
        assert_eq!(sides.old, old.as_bytes());
        assert_eq!(sides.new, new.as_bytes());
        assert_eq!(sides.trailing, trailing);
    }

    #[rstest]
    #[case("a\nb\n", "a\nb\n", true)]
    #[case("a \t\nb\r\n", "a\nb\n", true)]
    #[case("a\n", "a", true)]
    #[case("a\n\n \n", "a\n", true)]
    #[case("\n\n", "", true)]
    #[case("a\n\nb\n", "a\nb\n", false)]
    #[case("\na\n", "a\n", false)]
    #[case(" a\n", "a\n", false)]
    #[case("a b\n", "ab\n", false)]
    #[case("a\rb\n", "ab\n", false)]
    #[case("a\nb\n", "a\n", false)]
    #[case("a\x0c\n", "a\n", false)]
    fn blanks(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        assert_eq!(
            differ_in_blanks_only(one.as_bytes(), other.as_bytes()),
            same
        );
        assert_eq!(
            differ_in_blanks_only(other.as_bytes(), one.as_bytes()),
            same
        );
    }
}
