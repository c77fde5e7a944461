//! What is looked past in the search for secrets: line breaks that a tool has put into one, colours, and other marks that a terminal
//! does not show.

/// So many line breaks in a row are looked past: one as Windows writes it.
const BREAKS: usize = 2;

/// Most bytes in a row that are looked past, so that what follows half a secret is not held back for long.
const BYTES: usize = 64;

const BELL: u8 = 0x07;
const ESCAPE: u8 = 0x1b;

/// Where a stream is among the bytes that are looked past. Depends on the bytes before alone, not on how they came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// Line breaks since the last byte that counted.
    breaks: usize,
    /// Bytes since then.
    bytes: usize,
    sequence: Sequence,
}

/// Escape sequences of ECMA-48.
#[derive(Debug, Clone, Copy, Default)]
enum Sequence {
    #[default]
    None,
    /// The next byte tells which.
    Begun,
    /// CSI, up to a final byte.
    Control,
    /// OSC, up to a bell or another escape.
    Command,
}

impl Past {
    /// Whether the next byte of the stream is looked past.
    pub(super) fn looks_past(&mut self, byte: u8) -> bool {
        let past = self.bytes < BYTES && self.takes(byte);
        if past {
            self.bytes += 1;
        } else {
            *self = Self {
                // Of more line breaks than are looked past, none counts as one that a tool has put in.
                breaks: if is_break(byte) { BREAKS } else { 0 },
                ..Self::default()
            };
        }
        past
    }

    fn takes(&mut self, byte: u8) -> bool {
        let (takes, next) = match (self.sequence, byte) {
            (Sequence::None | Sequence::Control | Sequence::Command, ESCAPE) => {
                (true, Sequence::Begun)
            }
            (Sequence::Begun, b'[') => (true, Sequence::Control),
            (Sequence::Begun, b']') => (true, Sequence::Command),
            (Sequence::Begun, _) | (Sequence::Control, 0x40..=0x7e) | (Sequence::Command, BELL) => {
                (true, Sequence::None)
            }
            (Sequence::Control, 0x20..=0x3f) | (Sequence::Command, _) => (true, self.sequence),
            (Sequence::None | Sequence::Control, _) => (self.takes_alone(byte), Sequence::None),
        };
        self.sequence = next;
        takes
    }

    /// Whether a byte outside of sequences is taken.
    fn takes_alone(&mut self, byte: u8) -> bool {
        if is_break(byte) {
            self.breaks += 1;
            return self.breaks <= BREAKS;
        }
        byte.is_ascii_control() && byte != b'\t'
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}
