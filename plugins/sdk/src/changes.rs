//! What the SDK adds to diffs: iterators over files, hunks and lines.

use crate::{Changes, File, Hunk};

/// How much of a hunk is fetched from the host at a time: no hunk is too large to be walked.
const PIECE: u32 = 64 * 1024;

impl Changes {
    /// The files, in the diff's order. The host hands each out once: a second walk begins where the first one ended.
    pub fn files(&self) -> Files<'_> {
        Files(self)
    }
}

/// The files of a diff.
#[derive(Debug)]
pub struct Files<'a>(&'a Changes);

impl Iterator for Files<'_> {
    type Item = File;

    fn next(&mut self) -> Option<File> {
        self.0.next_file()
    }
}

impl File {
    /// The hunks, in order; none for a binary file. The host hands each out once.
    pub fn hunks(&self) -> Hunks<'_> {
        Hunks(self)
    }
}

/// The hunks of a file.
#[derive(Debug)]
pub struct Hunks<'a>(&'a File);

impl Iterator for Hunks<'_> {
    type Item = Hunk;

    fn next(&mut self) -> Option<Hunk> {
        self.0.next_hunk()
    }
}

impl Hunk {
    /// The lines. They are fetched piece by piece, as often as they are asked for.
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            hunk: self,
            size: self.size(),
            fetched: 0,
            buffer: Vec::new(),
            at: 0,
            ahead: None,
            old: self.old_start(),
            new: self.new_start(),
        }
    }
}

/// What happened to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// It stands around those that changed.
    Context,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// A line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What happened to it.
    pub kind: LineKind,
    /// Its bytes, without the character in front and the line feed at the end; a carriage return is part of them.
    pub text: Vec<u8>,
    /// Whether a line feed ends it. The last line of a file may have none.
    pub newline: bool,
    /// Its number after the change, from 1; for a removed line, that of the line that follows.
    pub number: u32,
    /// Its number before the change; for an added line, that of the line that follows.
    pub old_number: u32,
}

impl Line {
    /// Whether it is new.
    pub fn is_added(&self) -> bool {
        self.kind == LineKind::Added
    }

    /// Whether it is gone.
    pub fn is_removed(&self) -> bool {
        self.kind == LineKind::Removed
    }

    /// Appends it to the body of a hunk, for [`Edits::replace_hunk`](crate::Edits::replace_hunk).
    pub fn write_to(&self, body: &mut Vec<u8>) {
        body.push(match self.kind {
            LineKind::Context => b' ',
            LineKind::Added => b'+',
            LineKind::Removed => b'-',
        });
        body.extend_from_slice(&self.text);
        body.push(b'\n');
        if !self.newline {
            body.extend_from_slice(b"\\ No newline at end of file\n");
        }
    }
}

/// The lines of a hunk.
#[derive(Debug)]
pub struct Lines<'a> {
    hunk: &'a Hunk,
    size: u32,
    fetched: u32,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    at: usize,
    /// A line that was read to see that it is none of `\ No newline at end of file`.
    ahead: Option<Vec<u8>>,
    old: u32,
    new: u32,
}

impl Lines<'_> {
    /// The next line of the body with the character in front, without its line feed.
    fn raw(&mut self) -> Option<Vec<u8>> {
        let mut searched = self.at;
        loop {
            if let Some(length) = self.buffer[searched..].iter().position(|&b| b == b'\n') {
                let line = self.buffer[self.at..searched + length].to_vec();
                self.at = searched + length + 1;
                return Some(line);
            }
            let piece = if self.fetched < self.size {
                self.hunk.slice(self.fetched, PIECE)
            } else {
                Vec::new()
            };
            if piece.is_empty() {
                self.fetched = self.size;
                let rest = self.buffer.split_off(self.at);
                self.buffer.clear();
                self.at = 0;
                return Some(rest).filter(|rest| !rest.is_empty());
            }
            self.fetched += u32::try_from(piece.len()).unwrap_or(u32::MAX);
            self.buffer.drain(..self.at);
            self.at = 0;
            searched = self.buffer.len();
            self.buffer.extend_from_slice(&piece);
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let mut text = match self.ahead.take() {
            Some(line) => line,
            None => self.raw()?,
        };
        let mut newline = true;
        match self.raw() {
            Some(line) if line.first() == Some(&b'\\') => newline = false,
            other => self.ahead = other,
        }
        let kind = match text.first() {
            Some(b'+') => LineKind::Added,
            Some(b'-') => LineKind::Removed,
            _ => LineKind::Context,
        };
        if !text.is_empty() {
            text.remove(0);
        }
        let line = Line {
            kind,
            text,
            newline,
            number: self.new,
            old_number: self.old,
        };
        if kind != LineKind::Removed {
            self.new += 1;
        }
        if kind != LineKind::Added {
            self.old += 1;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn lines_have_numbers_and_know_how_they_end() {
        let changes = test::changes(
            "diff --git a.txt a.txt\nindex 1..2 100644\n--- a.txt\n+++ a.txt\n@@ -7,3 +7,3 @@ fn\n same\n-old\r\n+new\n last\n\\ No newline at end of file\n",
        );
        let file = changes.files().next().unwrap();
        let hunk = file.hunks().next().unwrap();
        let lines: Vec<_> = hunk
            .lines()
            .map(|line| {
                (
                    line.kind,
                    String::from_utf8(line.text).unwrap(),
                    line.newline,
                    line.old_number,
                    line.number,
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                (LineKind::Context, "same".to_owned(), true, 7, 7),
                (LineKind::Removed, "old\r".to_owned(), true, 8, 8),
                (LineKind::Added, "new".to_owned(), true, 9, 8),
                (LineKind::Context, "last".to_owned(), false, 9, 9),
            ]
        );
    }

    #[test]
    fn hunks_larger_than_a_piece_are_walked_whole_and_written_back() {
        let mut body = Vec::new();
        for n in 0..20_000 {
            body.extend_from_slice(format!("+line {n}\n").as_bytes());
        }
        body.extend_from_slice(&vec![b'+'; 200_000]);
        body.extend_from_slice(b"\n\\ No newline at end of file\n");
        let mut text = b"diff --git a a\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ a\n@@ -0,0 +1,20001 @@\n".to_vec();
        text.extend_from_slice(&body);

        let changes = test::changes(text);
        let file = changes.files().next().unwrap();
        let hunk = file.hunks().next().unwrap();
        let mut written = Vec::new();
        for line in hunk.lines() {
            line.write_to(&mut written);
        }
        assert!(written == body);
        assert_eq!(hunk.lines().count(), 20_001);
    }
}
