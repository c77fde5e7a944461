//! `capstan:plugin/changes`: what a plugin wants different in a diff.

use std::fmt::Display;

use capstan_core::diff::edit::{Edits, HunkRule, Shape};
use capstan_core::diff::{Hunk, display_name};
use wasmtime::component::Resource;

use super::changes::{Changes, FileHandle, HunkHandle};
use crate::bindings::host::changes::{HostEdits, Severity as Said};
use crate::bindings::host::types::Error;
use crate::failure::Ending;
use crate::hooks::{Annotation, Severity};
use crate::state::State;

/// Bytes that a diff may grow by.
pub(crate) const GROWTH: usize = 1024 * 1024;

/// Bytes that an annotation counts beside its texts.
const ANNOTATION: usize = 64;

/// Edits and annotations, as far as they were accepted.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct EditsHandle {
    pub(crate) edits: Edits,
    pub(crate) annotations: Vec<Annotation>,
    /// Bytes that new bodies may have together.
    room: usize,
}

impl EditsHandle {
    /// No edits yet of this diff.
    pub(crate) fn new(shape: Shape, diff: &Changes) -> Self {
        Self {
            edits: Edits::new(shape),
            annotations: Vec::new(),
            room: diff.bytes.len() + GROWTH,
        }
    }
}

impl State {
    /// What a guest gets to know of an edit. Where it is not allowed, the call has failed with that.
    fn allowed(
        &mut self,
        result: Result<(), HunkRule>,
        place: impl Display,
    ) -> wasmtime::Result<Result<(), Error>> {
        let Err(rule) = result else {
            return Ok(Ok(()));
        };
        let message = format!("{place}: {rule}");
        self.violate(Ending::Contract {
            reason: message.clone(),
        });
        Ok(Err(Error {
            code: "not-allowed".to_owned(),
            message,
            retryable: false,
        }))
    }
}

/// A hunk as errors name it.
fn place(hunk: &HunkHandle) -> String {
    let file = display_name(&hunk.file.path);
    format!("{file}, hunk at line {}", hunk.old.start)
}

impl HostEdits for State {
    fn drop_file(
        &mut self,
        this: Resource<EditsHandle>,
        file: Resource<FileHandle>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let facts = self.table.get(&file)?.facts.clone();
        let edits = &mut self.table.get_mut(&this)?.edits;
        let result = edits.drop_file(facts.subject.section);
        self.allowed(result, display_name(&facts.path))
    }

    fn drop_hunk(
        &mut self,
        this: Resource<EditsHandle>,
        hunk: Resource<HunkHandle>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let hunk = self.table.get(&hunk)?.clone();
        let edits = &mut self.table.get_mut(&this)?.edits;
        let result = edits.drop_hunk(hunk.file.subject, hunk.number);
        self.allowed(result, place(&hunk))
    }

    fn replace_hunk(
        &mut self,
        this: Resource<EditsHandle>,
        hunk: Resource<HunkHandle>,
        body: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let EditsHandle { edits, room, .. } = self.table.get(&this)?;
        if edits.size().saturating_add(body.len()) > *room {
            let limit = *room as u64;
            return self.stop(Ending::TooMuch {
                what: "replaced hunks by more bytes than it may",
                limit,
            });
        }
        let hunk = self.table.get(&hunk)?.clone();
        let text = Hunk::read(hunk.text())?;
        let edits = &mut self.table.get_mut(&this)?.edits;
        let result = edits.replace_hunk(hunk.file.subject, hunk.number, &text, body);
        self.allowed(result, place(&hunk))
    }

    fn annotate(
        &mut self,
        this: Resource<EditsHandle>,
        file: Resource<FileHandle>,
        line: Option<u32>,
        severity: Said,
        message: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let path = String::from_utf8_lossy(&self.table.get(&file)?.facts.path).into_owned();
        self.keep(ANNOTATION + path.len() + message.len())?;
        self.table.get_mut(&this)?.annotations.push(Annotation {
            path,
            line,
            severity: match severity {
                Said::Notice => Severity::Notice,
                Said::Warning => Severity::Warning,
                Said::Failure => Severity::Failure,
            },
            message,
        });
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<EditsHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
