//! Finds in a container's output the marks by which the gate tells that it is ready and that the step ended.
//!
//! A mark is the container's secret token, a colon, a word and a newline, written by the gate on both
//! streams. The streams are pipes, so once the mark has come, all that the script wrote has come.

use std::hash::{BuildHasher, Hasher, RandomState};

use memchr::memmem;

/// Longest word after the token; longer ones are not the gate's.
const WORD_LIMIT: usize = 16;

/// What the gate writes around its words: unlike anything a step prints by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// First half. The gate gets the halves apart, so that no file or command line shows the token itself.
    pub(crate) first: String,
    /// Second half.
    pub(crate) second: String,
}

impl Token {
    /// A fresh random one. It begins with a control character, so that output which merely ends like the
    /// beginning of a token is rare.
    pub(crate) fn random() -> Self {
        let half = || RandomState::new().build_hasher().finish();
        Self {
            first: format!("\u{1e}{:016x}", half()),
            second: format!("{:016x}:", half()),
        }
    }

    /// Both halves.
    pub(crate) fn whole(&self) -> String {
        format!("{}{}", self.first, self.second)
    }
}

/// What a piece of output came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Bytes before the mark.
    pub(crate) before: Vec<u8>,
    /// The mark's word, once it is complete.
    pub(crate) word: Option<String>,
    /// Bytes after the mark; only when `word` is there.
    pub(crate) after: Vec<u8>,
}

/// Cuts one stream at its next mark, wherever the chunks' borders fall.
#[derive(Debug)]
pub(crate) struct Cutter {
    finder: memmem::Finder<'static>,
    held: Vec<u8>,
}

impl Cutter {
    pub(crate) fn new(token: &Token) -> Self {
        Self {
            finder: memmem::Finder::new(&token.whole()).into_owned(),
            held: Vec::new(),
        }
    }

    /// Takes the next bytes. What may be the beginning of a mark is held back.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Cut {
        let mut data = std::mem::take(&mut self.held);
        data.extend_from_slice(bytes);
        let token = self.finder.needle();
        let mut from = 0;
        while let Some(found) = self.finder.find(&data[from..]) {
            let at = from + found;
            let rest = &data[at + token.len()..];
            let window = &rest[..rest.len().min(WORD_LIMIT + 1)];
            match memchr::memchr(b'\n', window) {
                Some(end) => {
                    let word = String::from_utf8_lossy(&window[..end]).into_owned();
                    let after = rest[end + 1..].to_vec();
                    data.truncate(at);
                    return Cut {
                        before: data,
                        word: Some(word),
                        after,
                    };
                }
                None if window.len() > WORD_LIMIT => from = at + token.len(),
                None => return self.hold(data, at),
            }
        }
        let longest = (token.len() - 1).min(data.len() - from);
        let at = (data.len() - longest..data.len())
            .find(|start| token.starts_with(&data[*start..]))
            .unwrap_or(data.len());
        self.hold(data, at)
    }

    fn hold(&mut self, mut data: Vec<u8>, at: usize) -> Cut {
        self.held = data.split_off(at);
        Cut {
            before: data,
            ..Cut::default()
        }
    }

    /// What was held back when the stream ends without a mark.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token {
            first: "\u{1e}ab".to_owned(),
            second: "ab:".to_owned(),
        }
    }

    /// Feeds `stream` in pieces and returns what came before the mark, the word, and what came after.
    fn feed(stream: &[u8], pieces: &[usize]) -> (Vec<u8>, Option<String>, Vec<u8>) {
        let mut cutter = Cutter::new(&token());
        let mut before = Vec::new();
        let mut rest = stream;
        let mut pieces = pieces.iter().copied().cycle();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(pieces.next().unwrap_or(1).clamp(1, rest.len()));
            rest = more;
            let cut = cutter.push(piece);
            before.extend(cut.before);
            if cut.word.is_some() {
                return (before, cut.word, [&cut.after, rest].concat());
            }
        }
        before.extend(cutter.finish());
        (before, None, Vec::new())
    }

    proptest! {
        #[test]
        fn the_mark_is_found_however_the_stream_is_cut(
            before in "[\u{1e}ab:x\n]{0,60}",
            after in "[\u{1e}ab:x\n]{0,20}",
            code in 0..256u32,
            pieces in proptest::collection::vec(1..9usize, 1..20),
        ) {
            prop_assume!(!before.contains("\u{1e}abab:"));
            let stream = format!("{before}\u{1e}abab:{code}\n{after}");
            let (got_before, word, got_after) = feed(stream.as_bytes(), &pieces);
            prop_assert_eq!(got_before, before.as_bytes());
            prop_assert_eq!(word, Some(code.to_string()));
            prop_assert_eq!(got_after, after.as_bytes());
        }

        #[test]
        fn output_without_a_mark_passes_unchanged(
            bytes in proptest::collection::vec(prop_oneof![Just(0x1e), Just(b'a'), Just(b'b'), Just(b':'), any::<u8>()], 0..80),
            pieces in proptest::collection::vec(1..9usize, 1..20),
        ) {
            prop_assume!(memmem::find(&bytes, b"\x1eabab:").is_none());
            let (before, word, after) = feed(&bytes, &pieces);
            prop_assert_eq!((before, word, after), (bytes, None, Vec::new()));
        }
    }

    #[test]
    fn a_token_without_its_newline_is_output() {
        let stream = b"x\x1eabab:this is much too long to be a word of the gate";
        assert_eq!(feed(stream, &[7]), (stream.to_vec(), None, Vec::new()));
    }

    #[test]
    fn tokens_differ_and_their_halves_do_not_show_them() {
        let (a, b) = (Token::random(), Token::random());
        assert_ne!(a.whole(), b.whole());
        assert!(a.whole().len() > 32);
    }
}
