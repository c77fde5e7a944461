//! Zip archives: stored and deflated files, found through the central directory.

use std::io::{BufReader, Read, Seek, SeekFrom};

use capstan_plugin::{Error, Result};

use super::gzip::Inflater;
use super::{Entry, Kind};

/// Signatures.
const END: [u8; 4] = *b"PK\x05\x06";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";

/// Bytes of the end record without its comment, and the longest comment.
const END_LENGTH: u64 = 22;
const LONGEST_COMMENT: u64 = 65_535;

/// The largest central directory that is read.
const LARGEST_DIRECTORY: u64 = 32 * 1024 * 1024;

/// A field with this in it is in an extension for large archives.
const ELSEWHERE: u32 = u32::MAX;

/// Reads an archive, entry by entry.
///
/// # Errors
///
/// If it is broken, encrypted or compressed in another way, or what `each` returns.
pub(crate) fn read(
    mut file: impl Read + Seek,
    mut each: impl FnMut(&mut Entry<'_>) -> Result<()>,
) -> Result<()> {
    let directory = directory(&mut file)?;
    let mut rest = directory.as_slice();
    while !rest.is_empty() {
        let header = Fields(take(&mut rest, 46)?);
        if header.0[..4] != CENTRAL {
            return Err(broken("its directory is damaged"));
        }
        let path = String::from_utf8_lossy(take(&mut rest, header.u16(28).into())?).into_owned();
        take(&mut rest, header.u16(30).into())?;
        take(&mut rest, header.u16(32).into())?;
        let flags = header.u16(8);
        let method = header.u16(10);
        let (compressed, offset) = (header.u32(20), header.u32(42));
        if compressed == ELSEWHERE || offset == ELSEWHERE {
            return Err(broken("it is larger than 4 GiB"));
        }
        if flags & 1 != 0 {
            return Err(broken(&format!("{path} is encrypted")));
        }
        // The upper half is Unix's mode, if a Unix made the archive.
        let made_by_unix = header.0[5] == 3;
        let mode = if made_by_unix {
            header.u32(38) >> 16
        } else {
            0
        };
        let kind = match mode & 0o170_000 {
            _ if path.ends_with('/') => Kind::Directory,
            0o040_000 => Kind::Directory,
            0 | 0o100_000 => Kind::File {
                executable: mode & 0o100 != 0,
            },
            _ => Kind::Other,
        };
        let content = content(&mut file, u64::from(offset))?.take(u64::from(compressed));
        let mut stored;
        let mut inflated;
        let content: &mut dyn Read = match method {
            0 => {
                stored = content;
                &mut stored
            }
            8 => {
                inflated = Inflater::new(content);
                &mut inflated
            }
            _ => {
                let reason =
                    format!("{path} is compressed in a way that is not known here: use deflate");
                return Err(broken(&reason));
            }
        };
        each(&mut Entry {
            path,
            kind,
            content,
        })?;
    }
    Ok(())
}

/// The central directory, which the record at the end of the file leads to.
fn directory(file: &mut (impl Read + Seek)) -> Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let tail_length = length.min(END_LENGTH + LONGEST_COMMENT);
    let tail = range(file, length - tail_length, tail_length)?;
    let end = tail
        .windows(4)
        .rposition(|window| window == END)
        .and_then(|at| tail.get(at..at + 22))
        .ok_or_else(|| broken("it is no zip archive, or ends too early"))?;
    let end = Fields(end);
    let (size, offset) = (end.u32(12), end.u32(16));
    if size == ELSEWHERE || offset == ELSEWHERE {
        return Err(broken("it is larger than 4 GiB"));
    }
    if u64::from(size) > LARGEST_DIRECTORY {
        return Err(broken("its directory is too large"));
    }
    range(file, offset.into(), size.into())
}

/// What follows a local header.
fn content<F: Read + Seek>(file: &mut F, offset: u64) -> Result<BufReader<&mut F>> {
    let header = range(file, offset, 30)?;
    let header = Fields(&header);
    if header.0[..4] != LOCAL {
        return Err(broken("its directory is damaged"));
    }
    let names = u64::from(header.u16(26)) + u64::from(header.u16(28));
    file.seek(SeekFrom::Start(offset + 30 + names))
        .map_err(io)?;
    Ok(BufReader::new(file))
}

fn range(file: &mut (impl Read + Seek), offset: u64, length: u64) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(broken("it ends too early"))
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (taken, after) = rest
        .split_at_checked(length)
        .ok_or_else(|| broken("its directory is damaged"))?;
    *rest = after;
    Ok(taken)
}

/// Numbers at fixed places, the lowest byte first. Whoever makes one has seen to its length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }
}

fn broken(reason: &str) -> Error {
    Error::new("input", reason)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn io(error: std::io::Error) -> Error {
    Error::new("input", error.to_string())
}
