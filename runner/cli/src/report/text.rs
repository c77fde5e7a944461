//! Text for displays, made from output that a step controls.

/// What a terminal shows of a piece of output: its last line that is not blank, without escape sequences and
/// control characters, which could move the cursor or worse. At most `width` characters.
pub(super) fn last_line(bytes: &[u8], width: usize) -> Option<String> {
    // A step may write megabytes at a time; only the end matters.
    let tail = &bytes[bytes.len().saturating_sub(4096)..];
    let text = String::from_utf8_lossy(tail);
    text.split(['\n', '\r'])
        .rev()
        .map(|line| printable(line, width))
        .find(|line| !line.trim().is_empty())
}

/// `text` without escape sequences and control characters, cut to `width` characters.
pub(super) fn printable(text: &str, width: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    let mut left = width;
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\t' => shown.push(' '),
            _ if character.is_control() => {}
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

/// Passes the rest of an escape sequence: up to the final letter of a CSI, up to BEL or ST of an OSC.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    match characters.next() {
        Some('[') => {
            characters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        Some(']') => {
            characters.find(|c| matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}'));
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
        assert_eq!(printable("\x1b[2J\x1b[", 80), "");
    }

    #[test]
    fn cuts_long_lines() {
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("äöü", 3), "äöü");
    }
}
