//! `capstan:plugin/changes`: reading a diff, of which nothing is copied before a guest asks for it.

use std::ops::Range;
use std::sync::Arc;

use capstan_core::diff::edit::Subject;
use capstan_core::diff::{Diff, Extent, Hunk, Kind};
use wasmtime::component::Resource;

use crate::bindings::host::changes::{Host, HostDiff, HostFile, HostHunk, Status};
use crate::failure::Ending;
use crate::state::State;

/// Largest diff that plugins are given, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// A diff, and where its sections lie in it.
pub(crate) struct Changes {
    pub(crate) bytes: Arc<[u8]>,
    sections: Vec<Range<usize>>,
    added: u64,
    removed: u64,
}

/// A diff with the place up to which it was read.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct DiffHandle {
    pub(crate) diff: Arc<Changes>,
    next: usize,
}

/// What is known of a section without looking at its text again.
pub(crate) struct Facts {
    diff: Arc<Changes>,
    pub(crate) subject: Subject,
    text: Range<usize>,
    hunks: Range<usize>,
    pub(crate) path: Vec<u8>,
    old_path: Option<Vec<u8>>,
    old_mode: Option<u32>,
    new_mode: Option<u32>,
    binary: bool,
    added: u64,
    removed: u64,
}

/// A section with the place up to which it was read.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct FileHandle {
    pub(crate) facts: Arc<Facts>,
    /// Number of the next hunk, and where it would begin.
    next: (usize, usize),
}

/// A hunk.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
#[derive(Clone)]
pub struct HunkHandle {
    pub(crate) file: Arc<Facts>,
    /// Its place in the section, from 0.
    pub(crate) number: usize,
    text: Range<usize>,
    body: Range<usize>,
    pub(crate) old: Extent,
    new: Extent,
}

impl Changes {
    /// Reads a diff.
    pub(crate) fn read(bytes: &Arc<[u8]>) -> Result<Arc<Self>, Ending> {
        let failed = |reason| Ending::Host { reason };
        if bytes.len() > LARGEST {
            return Err(failed(format!(
                "the diff has {} bytes, and plugins are given {LARGEST} at most",
                bytes.len()
            )));
        }
        let diff = Diff::parse(bytes)
            .map_err(|error| failed(format!("the diff cannot be read: {error}")))?;
        let sections = diff.sections.iter();
        Ok(Arc::new(Self {
            bytes: Arc::clone(bytes),
            added: sections.clone().map(|section| section.added).sum(),
            removed: sections.clone().map(|section| section.removed).sum(),
            sections: sections.map(|section| place(bytes, section.raw)).collect(),
        }))
    }
}

impl DiffHandle {
    /// A diff of which nothing was read yet.
    pub(crate) fn new(diff: &Arc<Changes>) -> Self {
        Self {
            diff: Arc::clone(diff),
            next: 0,
        }
    }

    fn next_file(&mut self) -> Option<FileHandle> {
        let number = self.next;
        let text = self.diff.sections.get(number)?.clone();
        self.next += 1;
        // A section is a diff by itself.
        let alone = Diff::parse(&self.diff.bytes[text.clone()]).ok()?;
        let section = alone.sections.first()?;
        let hunks = text.start + section.header().len()..text.end;
        let renamed = section.old_name != section.new_name;
        Some(FileHandle {
            next: (0, hunks.start),
            facts: Arc::new(Facts {
                diff: Arc::clone(&self.diff),
                subject: Subject::of(number, section),
                text,
                hunks,
                path: section.name().to_vec(),
                old_path: renamed.then(|| section.old_name.to_vec()),
                old_mode: section.old_mode,
                new_mode: section.new_mode,
                binary: section.binary,
                added: section.added,
                removed: section.removed,
            }),
        })
    }
}

impl FileHandle {
    fn next_hunk(&mut self) -> Option<HunkHandle> {
        let (number, start) = self.next;
        let bytes = &self.facts.diff.bytes;
        let hunk = Hunk::read(&bytes[start..self.facts.hunks.end]).ok()?;
        let text = place(bytes, hunk.raw);
        self.next = (number + 1, text.end);
        Some(HunkHandle {
            file: Arc::clone(&self.facts),
            number,
            body: place(bytes, hunk.body),
            text,
            old: hunk.old,
            new: hunk.new,
        })
    }
}

impl HunkHandle {
    /// Its text, from `@@` to the end of the last line.
    pub(crate) fn text(&self) -> &[u8] {
        &self.file.diff.bytes[self.text.clone()]
    }

    fn body(&self) -> &[u8] {
        &self.file.diff.bytes[self.body.clone()]
    }
}

/// Where `part` of `whole` lies.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// As much of a range as there is.
fn slice(text: &[u8], offset: u32, length: u32) -> Vec<u8> {
    let from = text.get(offset as usize..).unwrap_or_default();
    from[..from.len().min(length as usize)].to_vec()
}

/// Diffs are too small for more, but for numbers that somebody made up.
fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Host for State {}

impl HostDiff for State {
    fn file_count(&mut self, diff: Resource<DiffHandle>) -> wasmtime::Result<u32> {
        Ok(size(self.table.get(&diff)?.diff.sections.len()))
    }

    fn added(&mut self, diff: Resource<DiffHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.table.get(&diff)?.diff.added))
    }

    fn removed(&mut self, diff: Resource<DiffHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.table.get(&diff)?.diff.removed))
    }

    fn size(&mut self, diff: Resource<DiffHandle>) -> wasmtime::Result<u32> {
        Ok(size(self.table.get(&diff)?.diff.bytes.len()))
    }

    fn next_file(
        &mut self,
        diff: Resource<DiffHandle>,
    ) -> wasmtime::Result<Option<Resource<FileHandle>>> {
        match self.table.get_mut(&diff)?.next_file() {
            Some(file) => self.hand_out(file).map(Some),
            None => Ok(None),
        }
    }

    fn drop(&mut self, diff: Resource<DiffHandle>) -> wasmtime::Result<()> {
        self.table.delete(diff)?;
        Ok(())
    }
}

impl State {
    fn facts(&self, file: &Resource<FileHandle>) -> wasmtime::Result<&Facts> {
        Ok(&self.table.get(file)?.facts)
    }
}

impl HostFile for State {
    fn path(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<String> {
        Ok(String::from_utf8_lossy(&self.facts(&file)?.path).into_owned())
    }

    fn path_bytes(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.facts(&file)?.path.clone())
    }

    fn old_path(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<Option<String>> {
        let path = self.facts(&file)?.old_path.as_ref();
        Ok(path.map(|path| String::from_utf8_lossy(path).into_owned()))
    }

    fn status(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<Status> {
        Ok(match self.facts(&file)?.subject.kind {
            Kind::Added => Status::Added,
            Kind::Deleted => Status::Deleted,
            Kind::Modified => Status::Modified,
            Kind::Renamed => Status::Renamed,
            Kind::Copied => Status::Copied,
            Kind::ModeChanged => Status::ModeChanged,
        })
    }

    fn old_mode(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.facts(&file)?.old_mode)
    }

    fn new_mode(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<Option<u32>> {
        Ok(self.facts(&file)?.new_mode)
    }

    fn binary(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<bool> {
        Ok(self.facts(&file)?.binary)
    }

    fn added(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.facts(&file)?.added))
    }

    fn removed(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.facts(&file)?.removed))
    }

    fn size(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<u32> {
        Ok(size(self.facts(&file)?.text.len()))
    }

    fn slice(
        &mut self,
        file: Resource<FileHandle>,
        offset: u32,
        length: u32,
    ) -> wasmtime::Result<Vec<u8>> {
        let facts = self.facts(&file)?;
        Ok(slice(&facts.diff.bytes[facts.text.clone()], offset, length))
    }

    fn next_hunk(
        &mut self,
        file: Resource<FileHandle>,
    ) -> wasmtime::Result<Option<Resource<HunkHandle>>> {
        match self.table.get_mut(&file)?.next_hunk() {
            Some(hunk) => self.hand_out(hunk).map(Some),
            None => Ok(None),
        }
    }

    fn drop(&mut self, file: Resource<FileHandle>) -> wasmtime::Result<()> {
        self.table.delete(file)?;
        Ok(())
    }
}

impl HostHunk for State {
    fn old_start(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.table.get(&hunk)?.old.start))
    }

    fn old_lines(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.table.get(&hunk)?.old.lines))
    }

    fn new_start(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.table.get(&hunk)?.new.start))
    }

    fn new_lines(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<u32> {
        Ok(number(self.table.get(&hunk)?.new.lines))
    }

    fn size(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<u32> {
        Ok(size(self.table.get(&hunk)?.body.len()))
    }

    fn text(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&hunk)?.body().to_vec())
    }

    fn slice(
        &mut self,
        hunk: Resource<HunkHandle>,
        offset: u32,
        length: u32,
    ) -> wasmtime::Result<Vec<u8>> {
        Ok(slice(self.table.get(&hunk)?.body(), offset, length))
    }

    fn drop(&mut self, hunk: Resource<HunkHandle>) -> wasmtime::Result<()> {
        self.table.delete(hunk)?;
        Ok(())
    }
}
