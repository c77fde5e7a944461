//! A gzip stream (RFC 1952), decompressed as it is read.

use std::io::{Error, ErrorKind, Read, Result};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

/// Decompresses what it reads. Members after the first are read, too; checksums are not looked at, for a broken stream shows
/// itself in what is made of it.
pub(crate) struct Gzip<R> {
    inflater: Inflater<R>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Content,
    End,
}

impl<R: Read> Gzip<R> {
    /// Reads from the beginning of a stream.
    pub(crate) fn new(reader: R) -> Self {
        Self {
            inflater: Inflater::new(reader),
            state: State::Header,
        }
    }

    /// Whether there is a member.
    fn header(&mut self) -> Result<bool> {
        let Some(first) = self.inflater.byte()? else {
            return Ok(false);
        };
        let mut header = [first, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for byte in &mut header[1..] {
            *byte = self.inflater.needed()?;
        }
        if header[..3] != [0x1f, 0x8b, 8] {
            return Err(broken("it is not compressed with gzip"));
        }
        let flags = header[3];
        if flags & 4 != 0 {
            let length = u16::from_le_bytes([self.inflater.needed()?, self.inflater.needed()?]);
            for _ in 0..length {
                self.inflater.needed()?;
            }
        }
        // A name and a comment, each up to a NUL.
        for flag in [8, 16] {
            if flags & flag != 0 {
                while self.inflater.needed()? != 0 {}
            }
        }
        if flags & 2 != 0 {
            self.inflater.needed()?;
            self.inflater.needed()?;
        }
        Ok(true)
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::End => return Ok(0),
                State::Header => {
                    self.state = if self.header()? {
                        State::Content
                    } else {
                        State::End
                    };
                }
                State::Content => match self.inflater.read(buffer)? {
                    0 => {
                        // Checksum and length.
                        for _ in 0..8 {
                            self.inflater.needed()?;
                        }
                        self.inflater.restart();
                        self.state = State::Header;
                    }
                    length => return Ok(length),
                },
            }
        }
    }
}

/// A raw deflate stream, and what follows it.
pub(crate) struct Inflater<R> {
    reader: R,
    state: Box<InflateState>,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Inflater<R> {
    /// Reads from the beginning of a stream.
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            state: InflateState::new_boxed(DataFormat::Raw),
            buffer: Vec::new(),
            at: 0,
            ended: false,
        }
    }

    fn restart(&mut self) {
        self.state = InflateState::new_boxed(DataFormat::Raw);
        self.ended = false;
    }

    /// Whether there is anything to read.
    fn fill(&mut self) -> Result<bool> {
        if self.at == self.buffer.len() {
            self.buffer.resize(PIECE, 0);
            let length = self.reader.read(&mut self.buffer)?;
            self.buffer.truncate(length);
            self.at = 0;
        }
        Ok(self.at < self.buffer.len())
    }

    /// The next byte as it is; `None` at the end.
    fn byte(&mut self) -> Result<Option<u8>> {
        if !self.fill()? {
            return Ok(None);
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        Ok(Some(byte))
    }

    fn needed(&mut self) -> Result<u8> {
        self.byte()?.ok_or_else(|| broken("it ends too early"))
    }
}

impl<R: Read> Read for Inflater<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while !self.ended && !buffer.is_empty() {
            let more = self.fill()?;
            let result = inflate(
                &mut self.state,
                &self.buffer[self.at..],
                buffer,
                MZFlush::None,
            );
            self.at += result.bytes_consumed;
            match result.status {
                Ok(MZStatus::StreamEnd) => self.ended = true,
                Ok(_) => {}
                Err(MZError::Buf) if more => {}
                Err(MZError::Buf) => return Err(broken("it ends too early")),
                Err(_) => return Err(broken("its compressed data is damaged")),
            }
            if result.bytes_written > 0 {
                return Ok(result.bytes_written);
            }
            if !more && !self.ended && result.bytes_consumed == 0 {
                return Err(broken("it ends too early"));
            }
        }
        Ok(0)
    }
}

fn broken(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}
