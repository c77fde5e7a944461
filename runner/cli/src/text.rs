//! Text for people, made from what others control: names, output, messages that quote them.

/// What a terminal shows of a piece of output: its last line that is not blank, without escape sequences and
/// control characters, which could move the cursor or worse. At most `width` characters.
pub(crate) fn last_line(bytes: &[u8], width: usize) -> Option<String> {
    // A step may write megabytes at a time; only the end matters.
    let tail = &bytes[bytes.len().saturating_sub(4096)..];
    let text = String::from_utf8_lossy(tail);
    text.split(['\n', '\r'])
        .rev()
        .map(|line| printable(line, width))
        .find(|line| !line.trim().is_empty())
}

/// `1 workspace`, `2 workspaces`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A name of any length without what [`printable`] takes away.
pub(crate) fn name(text: &str) -> String {
    printable(text, usize::MAX)
}

/// Several lines, each without what [`printable`] takes away; tabs in front of a line stay.
pub(crate) fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            shown.push('\n');
        }
        let content = line.trim_start_matches('\t');
        shown.push_str(&line[..line.len() - content.len()]);
        shown.push_str(&printable(content, usize::MAX));
    }
    shown
}

/// `text` without escape sequences, control characters and marks that turn the direction of writing, cut to `width`
/// characters.
pub(crate) fn printable(text: &str, width: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    let mut left = width;
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\t' => shown.push(' '),
            _ if character.is_control() || turns_around(character) => {}
            _ if left == 0 => {
                shown.push('…');
                break;
            }
            _ => {
                shown.push(character);
                left -= 1;
            }
        }
    }
    shown
}

/// Whether a character makes what follows it appear elsewhere.
fn turns_around(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Passes the rest of an escape sequence: up to the final letter of a CSI, up to BEL or ST of an OSC.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    match characters.next() {
        Some('[') => {
            characters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        Some(']') => {
            let end = characters.find(|c| matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}'));
            // ST is an escape sequence itself.
            if end == Some('\u{1b}') {
                characters.next();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_last_line_with_something_on_it() {
        assert_eq!(last_line(b"one\ntwo\n\n", 80).as_deref(), Some("two"));
        assert_eq!(last_line(b"10%\r20%\r", 80).as_deref(), Some("20%"));
        assert_eq!(last_line(b"\n \n", 80), None);
    }

    #[test]
    fn takes_the_power_from_escape_sequences() {
        assert_eq!(
            printable("\x1b[31mred\x1b[0m \x1b]0;title\x07x\x08y", 80),
            "red xy"
        );
        assert_eq!(
            printable("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", 80),
            "link"
        );
        assert_eq!(printable("\x1b[2J\x1b[", 80), "");
    }

    #[test]
    fn messages_keep_their_lines_and_indents() {
        assert_eq!(
            lines("failed:\n\t\x1b[31mred\x1b[0m\r\n\n\u{202e}end"),
            "failed:\n\tred\n\nend"
        );
    }

    #[test]
    fn cuts_long_lines() {
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("äöü", 3), "äöü");
    }
}
