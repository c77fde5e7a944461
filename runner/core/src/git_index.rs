//! Git's index, read and written (gitformat-index(5), versions 2 and 3).
//!
//! An entry is kept as git wrote it, with what it knows of the file's times, so that git need not look into a file again.

use std::ops::Range;

/// Length of the header: signature, version, number of entries.
const HEADER: usize = 12;

/// Length of what stands before the id of an entry: times, device, inode, mode, owner, size.
const STATUS: usize = 40;

/// Where an entry has the file's times, its device and its inode.
const TIMES: Range<usize> = 0..24;

/// Where an entry has the file's owner and size.
const OWNER_AND_SIZE: Range<usize> = 28..STATUS;

/// Bit of the flags: more flags follow.
const EXTENDED: u16 = 0x4000;

/// What is wrong with an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It does not begin like one.
    #[error("it is no index of git's")]
    Signature,
    /// Of another version.
    #[error("version {0} of the index is not supported")]
    Version(u32),
    /// It is shorter than it says.
    #[error("it ends too early")]
    Short,
    /// Names do not follow each other in order.
    #[error("its entries are not in order")]
    Order,
}

/// An index that was read.
#[derive(Debug)]
pub struct Index {
    bytes: Vec<u8>,
    /// Where the entries are, in the order of their paths.
    entries: Vec<Range<u32>>,
    id_length: usize,
}

/// A file in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// All of it but the padding.
    raw: &'a [u8],
    id_length: usize,
}

impl<'a> Entry<'a> {
    /// Its path, from the root of the work tree.
    pub fn path(&self) -> &'a [u8] {
        &self.raw[self.path_at()..]
    }

    /// Its mode, such as `0o100644`.
    pub fn mode(&self) -> u32 {
        number(&self.raw[24..28])
    }

    /// The id of its object, in bytes.
    pub fn id(&self) -> &'a [u8] {
        &self.raw[STATUS..STATUS + self.id_length]
    }

    /// Seconds and nanoseconds at which the file was written, as far as git knows.
    pub fn modified(&self) -> (u32, u32) {
        (number(&self.raw[8..12]), number(&self.raw[12..16]))
    }

    /// Whether it is a commit of another repository.
    pub fn is_repository(&self) -> bool {
        self.mode() & 0o170_000 == 0o160_000
    }

    /// The size of the file in bytes, as far as git knows; of large ones the lower 32 bits.
    pub fn size(&self) -> u32 {
        number(&self.raw[36..40])
    }

    /// Whether there are flags that only version 3 has.
    fn is_extended(&self) -> bool {
        self.flags() & EXTENDED != 0
    }

    fn flags(&self) -> u16 {
        let at = STATUS + self.id_length;
        u16::from_be_bytes([self.raw[at], self.raw[at + 1]])
    }

    fn path_at(&self) -> usize {
        STATUS + self.id_length + if self.is_extended() { 4 } else { 2 }
    }
}

impl Index {
    /// Reads an index whose ids have `id_length` bytes: 20 or 32. Extensions are left out.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn parse(bytes: Vec<u8>, id_length: usize) -> Result<Self, IndexError> {
        let header = bytes.get(..HEADER).ok_or(IndexError::Short)?;
        if &header[..4] != b"DIRC" {
            return Err(IndexError::Signature);
        }
        let version = number(&header[4..8]);
        if !matches!(version, 2 | 3) || u32::try_from(bytes.len()).is_err() {
            return Err(IndexError::Version(version));
        }
        let count = number(&header[8..12]) as usize;
        // Not more than there can be.
        let mut entries = Vec::with_capacity(count.min(bytes.len() / (STATUS + id_length)));
        let mut at = HEADER;
        let mut last: &[u8] = &[];
        let mut last_stage = 0;
        for _ in 0..count {
            let rest = bytes.get(at..).ok_or(IndexError::Short)?;
            let shortest = STATUS + id_length + 4;
            if rest.len() < shortest {
                return Err(IndexError::Short);
            }
            let start = Entry {
                raw: rest,
                id_length,
            };
            let (path_at, stage) = (start.path_at(), start.flags() >> 12 & 3);
            let end = memchr::memchr(0, &rest[path_at..]).ok_or(IndexError::Short)? + path_at;
            let path = &rest[path_at..end];
            if path.is_empty() || (path, stage) <= (last, last_stage) {
                return Err(IndexError::Order);
            }
            (last, last_stage) = (path, stage);
            let range = at..at + end;
            entries.push(range.start as u32..range.end as u32);
            // At least one NUL, up to a multiple of eight.
            at += (end + 8) & !7;
        }
        Ok(Self {
            bytes,
            entries,
            id_length,
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at a position, in the order of paths; there is one below [`Index::len`].
    pub fn entry(&self, position: usize) -> Entry<'_> {
        let Range { start, end } = self.entries[position];
        Entry {
            raw: &self.bytes[start as usize..end as usize],
            id_length: self.id_length,
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(|position| self.entry(position))
    }

    /// Positions of the file `path`, and of all that is below the directory `path`. That of the root is empty.
    ///
    /// Between the two there may be files such as `path-b`, so these are two ranges.
    pub fn below(&self, path: &[u8]) -> [Range<usize>; 2] {
        if path.is_empty() {
            return [0..self.len(), 0..0];
        }
        let first = self.find(path);
        let same = (first..self.len()).take_while(|&position| self.entry(position).path() == path);
        let file = first..first + same.count();
        let mut inside = path.to_vec();
        inside.push(b'/');
        let start = self.find(&inside);
        // The character after the slash.
        inside.pop();
        inside.push(b'0');
        [file, start..self.find(&inside)]
    }

    /// Whether there is the file `path`, or a file below the directory of this name.
    pub fn has(&self, path: &[u8]) -> bool {
        self.below(path).iter().any(|range| !range.is_empty())
    }

    /// Whether there is the file `path`.
    pub fn has_file(&self, path: &[u8]) -> bool {
        let position = self.find(path);
        position < self.len() && self.entry(position).path() == path
    }

    /// The first position whose path is not before `path`.
    fn find(&self, path: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle).path() < path {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// What an index that is written says of a file.
#[derive(Debug, Clone, Copy)]
pub enum Status {
    /// That it is as these numbers say: when it was changed and written, each in seconds and nanoseconds, its device and inode, the ids of its owner and
    /// group, its size; of each the lower 32 bits.
    Of([u32; 9]),
    /// What the entry says: git need not look into the file if its times are the same.
    Known,
    /// Nothing, so that git looks into the file.
    Unknown,
}

/// An index of these entries, which are in order. Its checksum is left out, which git takes for "not computed".
pub fn write(entries: &[(Entry<'_>, Status)], id_length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + entries.len() * 128);
    let version = 2 + u32::from(entries.iter().any(|(entry, _)| entry.is_extended()));
    bytes.extend_from_slice(b"DIRC");
    bytes.extend_from_slice(&version.to_be_bytes());
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&count.to_be_bytes());
    for (entry, status) in entries {
        let start = bytes.len();
        bytes.extend_from_slice(entry.raw);
        let numbers = match status {
            Status::Known => None,
            Status::Unknown => Some([0; 9]),
            Status::Of(numbers) => Some(*numbers),
        };
        let places = TIMES.chain(OWNER_AND_SIZE).step_by(4);
        for (number, place) in numbers.into_iter().flatten().zip(places) {
            let place = start + place;
            bytes[place..place + 4].copy_from_slice(&number.to_be_bytes());
        }
        let padded = (entry.raw.len() + 8) & !7;
        bytes.resize(bytes.len() + padded - entry.raw.len(), 0);
    }
    bytes.resize(bytes.len() + id_length, 0);
    bytes
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_index_is_one() {
        let index = Index::parse(write(&[], 20), 20).unwrap();
        assert_eq!(index.len(), 0);
        assert!(!index.has(b"a"));
    }

    proptest! {
        #[test]
        fn nonsense_is_an_error(
            start in prop_oneof![Just(b"DIRC\0\0\0\x02\0\0\0".to_vec()), Just(b"DIRC\0\0\0\x03\0\0\0".to_vec()), Just(Vec::new())],
            rest in prop::collection::vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..400),
            id_length in prop_oneof![Just(20_usize), Just(32)],
        ) {
            if let Ok(index) = Index::parse([start, rest].concat(), id_length) {
                for entry in index.iter() {
                    prop_assert!(index.has(entry.path()));
                    prop_assert_eq!(entry.id().len(), id_length);
                }
            }
        }

        #[test]
        fn what_was_written_is_read_again(names in prop::collection::btree_set("[a-c/]{1,5}", 0..20)) {
            let raw: Vec<Vec<u8>> = names
                .iter()
                .map(|name| [vec![0; STATUS + 20], vec![0, name.len() as u8], name.clone().into_bytes()].concat())
                .collect();
            let entries: Vec<_> = raw.iter().map(|raw| (Entry { raw, id_length: 20 }, Status::Known)).collect();
            let index = Index::parse(write(&entries, 20), 20).unwrap();
            prop_assert!(index.iter().eq(entries.iter().map(|(entry, _)| *entry)));
        }
    }
}
