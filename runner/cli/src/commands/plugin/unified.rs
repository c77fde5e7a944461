//! What differs between what is expected and what is: as people read it.

use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use crate::text;

/// Lines of one difference that are shown.
const MOST_LINES: usize = 200;

/// A unified diff of two texts; of what is no text, a sentence.
pub(super) fn difference(expected: &[u8], actual: &[u8]) -> String {
    let (Ok(expected), Ok(actual)) = (std::str::from_utf8(expected), std::str::from_utf8(actual))
    else {
        return binary(expected, actual);
    };
    let diff = TextDiff::from_lines(expected, actual);
    let mut lines = vec![
        format!("{}", "--- expected".bold()),
        format!("{}", "+++ actual".bold()),
    ];
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        lines.push(hunk.header().to_string().cyan().to_string());
        for change in hunk.iter_changes() {
            let line = shown(change.value());
            lines.push(match change.tag() {
                ChangeTag::Equal => format!(" {line}"),
                ChangeTag::Delete => format!("{}", format_args!("-{line}").red()),
                ChangeTag::Insert => format!("{}", format_args!("+{line}").green()),
            });
            if change.missing_newline() {
                lines.push("\\ No newline at end of file".to_owned());
            }
        }
    }
    if lines.len() > MOST_LINES {
        let more = lines.len() - MOST_LINES;
        lines.truncate(MOST_LINES);
        lines.push(format!("... {}", text::plural(more, "more line")));
    }
    lines.join("\n")
}

/// A line whose control characters can be seen: they may be all that differs.
fn shown(line: &str) -> String {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => shown.push('\t'),
            c if c.is_control() || text::name(c.encode_utf8(&mut [0; 4])).is_empty() => {
                shown.extend(c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

fn binary(expected: &[u8], actual: &[u8]) -> String {
    let same = expected
        .iter()
        .zip(actual)
        .take_while(|(a, b)| a == b)
        .count();
    format!(
        "{} are expected, {} came; they differ from byte {same} on",
        text::plural(expected.len(), "byte"),
        text::plural(actual.len(), "byte")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(expected: &str, actual: &str) -> String {
        let text = difference(expected.as_bytes(), actual.as_bytes());
        text::lines(&text)
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        insta::assert_snapshot!(plain("one\ntwo\n\u{1b}[31mred\n", "one\ntwo\r\nred"), @r"
        --- expected
        +++ actual
        @@ -1,3 +1,3 @@
         one
        -two
        -\u{1b}[31mred
        +two\r
        +red
        \ No newline at end of file
        ");
    }

    #[test]
    fn bytes_are_counted() {
        insta::assert_snapshot!(difference(b"a\xff", b"a\xfe\xff"), @"2 bytes are expected, 3 bytes came; they differ from byte 1 on");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let text = plain("", &"x\n".repeat(1000));
        assert_eq!(text.lines().count(), MOST_LINES + 1);
        assert!(text.ends_with("... 803 more lines"), "{text}");
    }
}
