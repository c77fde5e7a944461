//! The stripping itself: a machine that reads bytes, so that chunks may be cut anywhere.

/// The most of one line that is held back to see whether it is overwritten.
const LONGEST_LINE: usize = 64 * 1024;

/// Strips one stream.
#[derive(Debug)]
pub(crate) struct Strip {
    /// Whether only the last state of a line that overwrites itself is kept.
    progress: bool,
    state: State,
    /// The line so far, with `progress`; without, what is to be written.
    line: Vec<u8>,
    /// The line begins anew with the next character that is written, for a carriage return came.
    returned: bool,
}

/// Where in an escape sequence the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In none.
    Text,
    /// After ESC.
    Escape,
    /// After ESC and characters that announce a final one: `ESC ( B`.
    Intermediate,
    /// In a control sequence: `ESC [ 1 ; 31 m`.
    Control,
    /// In a string, which BEL or `ESC \` ends: a window's title, a link.
    String,
    /// In a string, after ESC.
    StringEscape,
}

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
/// Cancel and substitute: they end any sequence.
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

impl Strip {
    /// For a stream that begins.
    pub(crate) fn new(progress: bool) -> Self {
        Self {
            progress,
            state: State::Text,
            line: Vec::new(),
            returned: false,
        }
    }

    /// Takes a chunk; appends what is settled.
    pub(crate) fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) {
        let mut rest = chunk;
        // As a rule little is taken out.
        into.reserve(self.line.len() + chunk.len());
        while let Some(&byte) = rest.first() {
            let ends_returned = self.returned && byte == b'\n';
            if self.state == State::Text && !is_special(byte) && !ends_returned {
                let (plain, after) = rest.split_at(plain_length(rest));
                self.lines(plain, into);
                rest = after;
                continue;
            }
            self.byte(byte, into);
            rest = &rest[1..];
        }
        if !self.progress {
            into.append(&mut self.line);
        }
    }

    /// The stream has ended: appends the rest. A sequence that was not finished is dropped.
    pub(crate) fn finish(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.line);
    }

    /// Lines without special characters, and perhaps a beginning of one.
    fn lines(&mut self, lines: &[u8], into: &mut Vec<u8>) {
        if std::mem::take(&mut self.returned) {
            self.line.clear();
        }
        let whole = lines.iter().rposition(|&byte| byte == b'\n');
        let (whole, begun) = lines.split_at(whole.map_or(0, |end| end + 1));
        if !whole.is_empty() {
            into.append(&mut self.line);
            into.extend_from_slice(whole);
        }
        self.text(begun, into);
    }

    /// Text of one line without special characters.
    fn text(&mut self, text: &[u8], into: &mut Vec<u8>) {
        if std::mem::take(&mut self.returned) {
            self.line.clear();
        }
        self.line.extend_from_slice(text);
        if self.line.len() > LONGEST_LINE {
            into.append(&mut self.line);
        }
    }

    fn byte(&mut self, byte: u8, into: &mut Vec<u8>) {
        self.state = match (self.state, byte) {
            (State::String, ESC) => State::StringEscape,
            (_, ESC) => State::Escape,
            (_, CAN | SUB) => State::Text,
            (State::Text, byte) => {
                self.control_character(byte, into);
                State::Text
            }
            (State::Escape, b'[') => State::Control,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            (State::Escape | State::Intermediate, 0x20..=0x2f) => State::Intermediate,
            (State::Escape | State::Intermediate, 0x30..=0x7e) => State::Text,
            (State::Control, 0x20..=0x3f) => State::Control,
            (State::Control, 0x40..=0x7e) => State::Text,
            (State::String, BEL) | (State::StringEscape, b'\\') => State::Text,
            // A line does not end within a string: whoever printed this forgot the end.
            (State::String | State::StringEscape, b'\n') => {
                self.control_character(byte, into);
                State::Text
            }
            (State::String | State::StringEscape, _) => State::String,
            // Not a sequence after all: terminals obey control characters and carry on.
            (state, byte) if byte < 0x20 => {
                self.control_character(byte, into);
                if byte == b'\n' { State::Text } else { state }
            }
            (_, byte) => {
                self.text(&[byte], into);
                State::Text
            }
        };
    }

    fn control_character(&mut self, byte: u8, into: &mut Vec<u8>) {
        match byte {
            b'\n' => {
                if std::mem::take(&mut self.returned) {
                    self.line.push(b'\r');
                }
                self.line.push(b'\n');
                into.append(&mut self.line);
            }
            b'\r' if self.progress => self.returned = true,
            b'\r' => self.line.push(b'\r'),
            b'\t' => self.text(b"\t", into),
            // Backspace: what it was to overwrite is gone, a character of UTF-8 as a whole.
            0x08 if self.progress => {
                while self.line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            _ => {}
        }
    }
}

/// How many bytes come before the first special character.
fn plain_length(text: &[u8]) -> usize {
    // Looked at in blocks, without a branch for every byte: so the compiler can look at many at once.
    let (blocks, _) = text.as_chunks::<64>();
    let is_plain = |block: &&[u8; 64]| {
        !block
            .iter()
            .fold(false, |any, &byte| any | is_special(byte))
    };
    let passed = 64 * blocks.iter().take_while(is_plain).count();
    let rest = &text[passed..];
    passed
        + rest
            .iter()
            .position(|&byte| is_special(byte))
            .unwrap_or(rest.len())
}

/// Whether a character may be other than text and the ends of lines.
fn is_special(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\n') & (byte != b'\t') | (byte == 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stripped(progress: bool, chunks: &[&[u8]]) -> Vec<u8> {
        let mut strip = Strip::new(progress);
        let mut out = Vec::new();
        for chunk in chunks {
            strip.push(chunk, &mut out);
        }
        strip.finish(&mut out);
        out
    }

    #[test]
    fn sequences_go_and_text_stays() {
        for (input, output) in [
            ("plain é\ttext\n", "plain é\ttext\n"),
            ("\x1b[1;31mred\x1b[0m\n", "red\n"),
            ("\x1b[?25l\x1b[2Kx\x1b[38:2::1:2:3my", "xy"),
            ("\x1b]0;title\x07x", "x"),
            ("\x1b]8;;http://a/\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bPq#0\x1b\\x\x1b_apc\x1b\\y", "xy"),
            ("\x1b(Bx\x1b)0y\x1b#8z", "xyz"),
            ("\x1bcx\x1b7y\x1b=z", "xyz"),
            ("a\x07b\x00c\x0bd\x7fe", "abcde"),
            ("\x1b[31\x1b[32mx", "x"),
            ("\x1b[3\x18x", "x"),
            ("\x1b]title without end\nnext\n", "\nnext\n"),
            ("\x1b[1\nx", "\nx"),
            ("end\x1b[3", "end"),
            ("end\x1b", "end"),
            ("\x1b[é", "é"),
        ] {
            let out = stripped(true, &[input.as_bytes()]);
            assert_eq!(String::from_utf8(out).unwrap(), output, "{input:?}");
        }
    }

    #[test]
    fn of_a_progress_line_the_last_state_is_kept() {
        for (input, output) in [
            ("1%\r50%\r100%\ndone\n", "100%\ndone\n"),
            ("1%\r\x1b[K2%\r\x1b[Kdone\n", "done\n"),
            ("50%\r", "50%"),
            ("windows\r\nlines\r\n", "windows\r\nlines\r\n"),
            ("a\r\r\nb", "a\r\nb"),
            ("a\rb\r\n", "b\r\n"),
            ("|\x08/\x08-\x08ok\n", "ok\n"),
            ("é\x08x\n", "x\n"),
            ("\x08\x08x\n", "x\n"),
            ("kept\n\x08x\n", "kept\nx\n"),
        ] {
            let out = stripped(true, &[input.as_bytes()]);
            assert_eq!(String::from_utf8(out).unwrap(), output, "{input:?}");
        }
        assert_eq!(stripped(false, &[b"1%\r2%\x08\n"]), b"1%\r2%\n");
    }

    #[test]
    fn a_line_without_end_is_not_held_back_for_ever() {
        let mut strip = Strip::new(true);
        let mut out = Vec::new();
        for _ in 0..100 {
            strip.push(&[b'x'; 10_000], &mut out);
        }
        assert!(out.len() >= 1_000_000 - LONGEST_LINE);
        strip.finish(&mut out);
        assert_eq!(out.len(), 1_000_000);
    }

    proptest! {
        #[test]
        fn chunks_may_be_cut_anywhere(
            text in "(\x1b\\[[0-9;]{0,3}m|\x1b\\]a\x07|\x1b|\\[|m|\r|\n|\x08|é|\t|[a-z]{1,90}){0,30}",
            cut in 0usize..600,
            progress: bool,
        ) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let whole = stripped(progress, &[bytes]);
            prop_assert_eq!(&whole, &stripped(progress, &[&bytes[..cut], &bytes[cut..]]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&whole, &stripped(progress, &single));
            prop_assert!(!whole.contains(&ESC));
        }
    }
}
