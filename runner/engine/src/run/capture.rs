//! What a step prints, kept in bounded memory.

/// The beginning of a stream, up to a limit, and how long it was.
#[derive(Debug)]
pub(super) struct Capture {
    kept: Vec<u8>,
    limit: usize,
    total: u64,
}

impl Capture {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            kept: Vec::new(),
            limit,
            total: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Bytes that were not kept.
    pub(super) fn dropped(&self) -> u64 {
        self.total - self.kept.len() as u64
    }

    /// The kept text. What is not UTF-8 is replaced, as the JSON form of a result demands; a character
    /// that the limit cut in two is left out.
    pub(super) fn into_text(mut self) -> String {
        if self.dropped() > 0 {
            let tail = self.kept.len().saturating_sub(4);
            if let Err(error) = std::str::from_utf8(&self.kept[tail..])
                && error.error_len().is_none()
            {
                self.kept.truncate(tail + error.valid_up_to());
            }
        }
        String::from_utf8(self.kept)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_beginning_and_counts_the_rest() {
        let mut capture = Capture::new(5);
        capture.push(b"abc");
        capture.push(b"defg");
        assert_eq!(capture.dropped(), 2);
        assert_eq!(capture.into_text(), "abcde");
    }

    #[test]
    fn never_ends_in_half_a_character() {
        let mut capture = Capture::new(4);
        capture.push("abcé!".as_bytes());
        assert_eq!(capture.into_text(), "abc");
    }

    #[test]
    fn replaces_what_is_not_text() {
        let mut capture = Capture::new(100);
        capture.push(b"a\xffb");
        assert_eq!(capture.into_text(), "a\u{fffd}b");
    }
}
