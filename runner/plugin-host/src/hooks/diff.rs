//! The hook `diff`.

use std::sync::Arc;

use capstan_core::diff::edit::Shape;
use capstan_core::plugin::Hook;
use wasmtime::component::Resource;

use super::answer::{self, Refusal};
use crate::bindings::diff as wit;
use crate::failure::{Ending, Failure};
use crate::interfaces::{Changes, DiffHandle, EditsHandle, GROWTH, JobHandle};
use crate::session::Session;

const PROCESS: &str = "diff.process";

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Worth a look.
    Warning,
    /// Wrong.
    Failure,
}

/// What a plugin says about a file of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Path, after the change.
    pub path: String,
    /// Line after the change.
    pub line: Option<u32>,
    /// How much it matters.
    pub severity: Severity,
    /// The message.
    pub message: String,
}

/// What a diff plugin made of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed {
    /// This.
    Diff {
        /// The new diff; `None` if it is the one that was handed in.
        diff: Option<Vec<u8>>,
        /// What was said about it.
        annotations: Vec<Annotation>,
    },
    /// It must not be used.
    Refused(Refusal),
}

impl Session {
    /// `diff.process`, its answer proved against the declared shape.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; [`Ending::Contract`] if the plugin did more than it declared, or declared something else before;
    /// also if the diff is none, or has more than 64 MiB.
    pub async fn process_diff(&self, diff: &Arc<[u8]>) -> Result<Processed, Failure> {
        let changes =
            Changes::read(diff).map_err(|ending| self.not_called(Hook::Diff, PROCESS, ending))?;
        self.call(Hook::Diff, PROCESS, async |store, instance| {
            let plugin = match self.plugin.hooks().diff(store, instance) {
                Ok(plugin) => plugin,
                Err(ending) => return Ok(Err(ending)),
            };
            let hook = plugin.capstan_plugin_diff();
            let shape = shape(hook.call_declare(&mut *store).await?);
            let declared = *self.shape.get_or_init(|| shape);
            if shape != declared {
                let reason = format!("it declared the shape `{declared}` before and `{shape}` now");
                return Ok(Err(Ending::Contract { reason }));
            }
            let state = store.data_mut();
            let job = state.hand_out(JobHandle)?;
            let handle = state.hand_out(DiffHandle::new(&changes))?;
            let edits = state.hand_out(EditsHandle::new(shape, &changes))?;
            let outcome = hook
                .call_process(
                    &mut *store,
                    Resource::new_borrow(job.rep()),
                    Resource::new_borrow(handle.rep()),
                    Resource::new_borrow(edits.rep()),
                )
                .await?;
            let edits = store.data_mut().table.delete(edits)?;
            Ok(match outcome {
                Ok(wit::Outcome::Done) => edited(&edits, diff).map(|diff| Processed::Diff {
                    diff,
                    annotations: edits.annotations,
                }),
                Ok(wit::Outcome::Refuse(refusal)) => Refusal::new(refusal).map(Processed::Refused),
                Err(error) => Err(answer::failed(error)),
            })
        })
        .await
    }
}

/// What the edits make of the diff; `None` if they change nothing.
fn edited(edits: &EditsHandle, diff: &[u8]) -> Result<Option<Vec<u8>>, Ending> {
    let output = edits.edits.apply(diff);
    let output = output.map_err(|error| Ending::Contract {
        reason: error.to_string(),
    })?;
    let limit = diff.len() + GROWTH;
    match output {
        Some(output) if output.len() > limit => Err(Ending::TooMuch {
            what: "made a larger diff than it may",
            limit: limit as u64,
        }),
        output => Ok(output),
    }
}

fn shape(shape: wit::Shape) -> Shape {
    match shape {
        wit::Shape::RemoveOnly => Shape::RemoveOnly,
        wit::Shape::NormalizeOnly => Shape::NormalizeOnly,
        wit::Shape::Annotate => Shape::Annotate,
        wit::Shape::Rewrite => Shape::Rewrite,
    }
}
