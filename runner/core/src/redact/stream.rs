//! Redaction of a stream, chunk by chunk.

use super::past::Past;
use super::{Known, MASK, Secrets};

/// Most bytes that are looked at at once.
const PIECE: usize = 64 << 10;

/// Takes secrets out of a stream.
///
/// Where two spellings overlap, all of both is covered by one mask. What comes out does not depend on how the stream is cut into
/// chunks.
#[derive(Debug)]
pub struct Redactor {
    secrets: Secrets,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
    /// How many bytes of `held`, those that are looked past not counted, belong to a secret whose mask has been written.
    covered: usize,
    /// Where what is before `held` ended.
    past: Past,
}

/// Where matches begin and end, bytes that are looked past not counted.
struct Span {
    start: usize,
    end: usize,
}

impl Redactor {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            held: Vec::new(),
            covered: 0,
            past: Past::default(),
        }
    }

    /// Takes a chunk and appends to `into` what is certain by now.
    pub fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) {
        let Some(known) = self.secrets.known.clone() else {
            into.extend_from_slice(chunk);
            return;
        };
        for piece in chunk.chunks(PIECE) {
            self.held.extend_from_slice(piece);
            self.advance(&known, false, into);
        }
    }

    /// The stream has ended: appends the rest. The next stream may begin.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        if let Some(known) = self.secrets.known.clone() {
            self.advance(&known, true, into);
            self.past = Past::default();
        }
    }

    fn advance(&mut self, known: &Known, is_end: bool, into: &mut Vec<u8>) {
        let flat = Flat::of(&self.held, self.past);
        let text = &flat.text;
        let certain = if is_end {
            text.len()
        } else {
            known.beginning_in(text)
        };
        let mut spans: Vec<Span> = known
            .automaton
            .find_overlapping_iter(text)
            .map(|found| Span {
                start: found.start(),
                end: found.end(),
            })
            .filter(|span| span.start < certain)
            .collect();
        spans.sort_unstable_by_key(|span| span.start);

        let mut covered = self.covered;
        let mut at = flat.end_of(covered);
        for Span { start, end } in spans {
            if start >= covered {
                into.extend_from_slice(&self.held[at..flat.start_of(start)]);
                into.extend_from_slice(MASK.as_bytes());
            } else if end <= covered {
                continue;
            }
            covered = end;
            at = flat.end_of(covered);
        }
        let cut = if certain == text.len() {
            self.held.len()
        } else {
            flat.start_of(certain)
        };
        into.extend_from_slice(self.held.get(at..cut).unwrap_or_default());
        self.covered = covered.saturating_sub(certain);
        for byte in self.held.drain(..cut) {
            self.past.looks_past(byte);
        }
    }
}

impl Known {
    /// Where the first spelling begins that `text` may end in the middle of; its length if there is none.
    fn beginning_in(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.longest - 1);
        let begins = |&start: &usize| {
            let beginning = &text[start..];
            let next = self
                .spellings
                .partition_point(|spelling| spelling.as_slice() < beginning);
            let mut candidates = self.spellings[next..].iter();
            let is_whole = |spelling: &&Vec<u8>| spelling.as_slice() == beginning;
            candidates
                .find(|spelling| !is_whole(spelling))
                .is_some_and(|spelling| spelling.starts_with(beginning))
        };
        (first..text.len()).find(begins).unwrap_or(text.len())
    }
}

/// Bytes without those that are looked past.
struct Flat {
    text: Vec<u8>,
    /// For each byte that was left out, how many had been kept before it.
    left_out: Vec<usize>,
}

impl Flat {
    fn of(bytes: &[u8], mut past: Past) -> Self {
        let mut text = Vec::with_capacity(bytes.len());
        let mut left_out = Vec::new();
        for &byte in bytes {
            if past.looks_past(byte) {
                left_out.push(text.len());
            } else {
                text.push(byte);
            }
        }
        Self { text, left_out }
    }

    /// Where the kept byte `index` was.
    fn start_of(&self, index: usize) -> usize {
        index + self.left_out.partition_point(|&before| before <= index)
    }

    /// Where the kept bytes before `index` ended; what is looked past after them is not part of it.
    fn end_of(&self, index: usize) -> usize {
        match index.checked_sub(1) {
            Some(last) => self.start_of(last) + 1,
            None => 0,
        }
    }
}

/// A spelling as it is looked for.
pub(super) fn flat(spelling: &[u8]) -> Vec<u8> {
    Flat::of(spelling, Past::default()).text
}
