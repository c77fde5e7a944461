//! Tar archives: POSIX's (ustar and pax) and GNU's, as far as files and directories go.

use std::io::Read;

use capstan_plugin::{Error, Result};

use super::{Entry, Kind};

const BLOCK: usize = 512;
/// The longest name or header with names that is read.
const LONGEST_NAME: u64 = 64 * 1024;

/// Reads an archive, entry by entry.
///
/// # Errors
///
/// If it is broken, or what `each` returns.
pub(crate) fn read(
    reader: &mut dyn Read,
    mut each: impl FnMut(&mut Entry<'_>) -> Result<()>,
) -> Result<()> {
    // What a header of its own says about the next entry.
    let mut next = Extra::default();
    let mut found = false;
    loop {
        let mut block = [0; BLOCK];
        if !fill(reader, &mut block)? || block.iter().all(|&b| b == 0) {
            return if found {
                Ok(())
            } else {
                Err(broken("there is nothing in it"))
            };
        }
        found = true;
        let header = Header(&block);
        header.check()?;
        let size = match next.size {
            Some(size) => size,
            None => header.number(124..136)?,
        };
        let kind = block[156];
        let mut content = reader.take(size);
        match kind {
            b'L' => next.path = Some(text(until_nul(&all(&mut content, size)?))),
            b'x' => next.read_pax(&all(&mut content, size)?)?,
            // The target of a link, and what is true of all entries.
            b'K' | b'g' => {}
            kind => {
                let extra = std::mem::take(&mut next);
                let path = extra.path.unwrap_or_else(|| header.path());
                let executable = header.number(100..108)? & 0o100 != 0;
                let kind = match kind {
                    b'5' => Kind::Directory,
                    b'0' | 0 if path.ends_with('/') => Kind::Directory,
                    b'0' | b'7' | 0 => Kind::File { executable },
                    _ => Kind::Other,
                };
                each(&mut Entry {
                    path,
                    kind,
                    content: &mut content,
                })?;
            }
        }
        // What nobody read, and up to the next block.
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        let unread = content.limit();
        let mut rest = reader.take(unread.saturating_add(padding));
        let skipped = std::io::copy(&mut rest, &mut std::io::sink()).map_err(io)?;
        if skipped < unread {
            return Err(broken("it ends too early"));
        }
    }
}

/// What headers of their own say about the next entry.
#[derive(Default)]
struct Extra {
    path: Option<String>,
    size: Option<u64>,
}

impl Extra {
    /// Records of `LENGTH KEY=VALUE\n`.
    fn read_pax(&mut self, records: &[u8]) -> Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let record = (|| {
                let space = rest.iter().position(|&b| b == b' ')?;
                let length: usize = str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
                let record = rest.get(space + 1..length)?;
                rest = &rest[length..];
                let equals = record.iter().position(|&b| b == b'=')?;
                Some((&record[..equals], record[equals + 1..].strip_suffix(b"\n")?))
            })();
            let (key, value) = record.ok_or_else(|| broken("a header in it is damaged"))?;
            match key {
                b"path" => self.path = Some(text(value)),
                b"size" => {
                    let size = str::from_utf8(value)
                        .ok()
                        .and_then(|value| value.parse().ok());
                    self.size = Some(size.ok_or_else(|| broken("a header in it is damaged"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    /// Compares the checksum: the sum of all bytes, with blanks in place of itself.
    fn check(&self) -> Result<()> {
        let sum = |range: std::ops::Range<usize>| -> u64 {
            self.0[range].iter().map(|&b| u64::from(b)).sum()
        };
        let expected = sum(0..148) + 8 * u64::from(b' ') + sum(156..BLOCK);
        if self.number(148..156)? == expected {
            Ok(())
        } else {
            Err(broken("it is no tar archive, or damaged"))
        }
    }

    /// An octal number, or after GNU a binary one with its highest bit set.
    fn number(&self, range: std::ops::Range<usize>) -> Result<u64> {
        let field = &self.0[range];
        if field[0] & 0x80 != 0 {
            let first = u64::from(field[0] & 0x7f);
            let number = field[1..].iter().try_fold(first, |number, &b| {
                Some(number.checked_mul(256)? | u64::from(b))
            });
            return number.ok_or_else(|| broken("a number in it is too large"));
        }
        let digits = until_nul(field).trim_ascii();
        digits.iter().try_fold(0u64, |number, &b| match b {
            b'0'..=b'7' => Ok(number << 3 | u64::from(b - b'0')),
            _ => Err(broken("it is no tar archive, or damaged")),
        })
    }

    fn path(&self) -> String {
        let name = until_nul(&self.0[..100]);
        let prefix = until_nul(&self.0[345..500]);
        if &self.0[257..263] == b"ustar\0" && !prefix.is_empty() {
            format!("{}/{}", text(prefix), text(name))
        } else {
            text(name)
        }
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether there was a block; nothing at all is the end.
fn fill(reader: &mut dyn Read, block: &mut [u8; BLOCK]) -> Result<bool> {
    let mut length = 0;
    while length < BLOCK {
        match reader.read(&mut block[length..]).map_err(io)? {
            0 if length == 0 => return Ok(false),
            0 => return Err(broken("it ends too early")),
            more => length += more,
        }
    }
    Ok(true)
}

fn all(content: &mut dyn Read, size: u64) -> Result<Vec<u8>> {
    if size > LONGEST_NAME {
        return Err(broken("a name in it is too long"));
    }
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn broken(reason: &str) -> Error {
    Error::new("input", reason)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn io(error: std::io::Error) -> Error {
    Error::new("input", error.to_string())
}
