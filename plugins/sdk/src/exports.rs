//! From what wit-bindgen calls to the traits of this crate.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::path::Path;

use crate::bindings::{diff, output, policy, workspace};
use crate::output::Chunks;
use crate::{
    Changes, Channel, Decision, Diff, Edits, Error, Filter, Job, Outcome, Output, Policy, Result,
    Shape, Step, Verdict, Workspace,
};

use diff::exports::capstan::plugin::diff as diff_hook;
use output::exports::capstan::plugin::output as output_hook;
use policy::exports::capstan::plugin::policy as policy_hook;
use workspace::exports::capstan::plugin::workspace as workspace_hook;

/// Where the host mounts the workspace (`wit/workspace.wit`).
const WORKSPACE: &str = "/work";

/// A plugin as wit-bindgen wants it.
pub struct Adapter<P>(PhantomData<P>);

impl<P: Policy> policy_hook::Guest for Adapter<P> {
    fn check_job(job: &Job) -> Result<policy_hook::Decision> {
        P::check_job(job).map(decision)
    }

    fn check_step(job: &Job, step: &Step) -> Result<policy_hook::Decision> {
        P::check_step(job, step).map(decision)
    }

    fn check_diff(job: &Job, changes: &Changes) -> Result<policy_hook::Verdict> {
        P::check_diff(job, changes).map(|verdict| match verdict {
            Verdict::Keep => policy_hook::Verdict::Keep,
            Verdict::Refuse(refusal) => policy_hook::Verdict::Refuse(refusal),
        })
    }
}

fn decision(decision: Decision) -> policy_hook::Decision {
    match decision {
        Decision::Keep => policy_hook::Decision::Keep,
        Decision::Change(amendment) => policy_hook::Decision::Change(amendment),
        Decision::Refuse(refusal) => policy_hook::Decision::Refuse(refusal),
    }
}

impl<P: Workspace> workspace_hook::Guest for Adapter<P> {
    fn prepare(job: &Job) -> Result<()> {
        P::prepare(job, Path::new(WORKSPACE))
    }
}

impl<P: Diff> diff_hook::Guest for Adapter<P> {
    fn declare() -> diff_hook::Shape {
        match P::SHAPE {
            Shape::RemoveOnly => diff_hook::Shape::RemoveOnly,
            Shape::NormalizeOnly => diff_hook::Shape::NormalizeOnly,
            Shape::Annotate => diff_hook::Shape::Annotate,
            Shape::Rewrite => diff_hook::Shape::Rewrite,
        }
    }

    fn process(job: &Job, changes: &Changes, edits: &Edits) -> Result<diff_hook::Outcome> {
        P::process(job, changes, edits).map(|outcome| match outcome {
            Outcome::Done => diff_hook::Outcome::Done,
            Outcome::Refuse(refusal) => diff_hook::Outcome::Refuse(refusal),
        })
    }
}

impl<P: Output + 'static> output_hook::Guest for Adapter<P> {
    type Filter = FilterResource<P>;

    fn chunking(step: &Step, channel: output_hook::Channel) -> output_hook::Chunks {
        match P::filter(step, self::channel(channel)).map(|filter| filter.chunks) {
            Ok(Chunks::None) => output_hook::Chunks::None,
            Ok(Chunks::Lines) => output_hook::Chunks::Lines,
            // An error has to wait for a function that can answer one.
            Ok(Chunks::Any) | Err(_) => output_hook::Chunks::Any,
        }
    }

    fn derive_outputs(
        step: &Step,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    ) -> Result<Vec<output_hook::Derived>> {
        P::derive_outputs(step, &stdout, &stderr).map(|outputs| outputs.0)
    }
}

fn channel(channel: output_hook::Channel) -> Channel {
    match channel {
        output_hook::Channel::Stdout => Channel::Stdout,
        output_hook::Channel::Stderr => Channel::Stderr,
    }
}

/// The filter of one stream.
pub struct FilterResource<P> {
    filter: RefCell<Result<Filter>>,
    plugin: PhantomData<P>,
}

impl<P: Output + 'static> output_hook::GuestFilter for FilterResource<P> {
    fn new(step: &Step, channel: output_hook::Channel) -> Self {
        Self {
            filter: RefCell::new(P::filter(step, self::channel(channel))),
            plugin: PhantomData,
        }
    }

    fn push(&self, chunk: Vec<u8>) -> Result<Vec<u8>> {
        let mut filter = self.filter.borrow_mut();
        let filter: &mut Filter = filter.as_mut().map_err(|error| Error::clone(error))?;
        let Some(transform) = &mut filter.transform else {
            return Ok(chunk);
        };
        let mut into = Vec::with_capacity(chunk.len());
        transform.push(&chunk, &mut into)?;
        Ok(into)
    }

    fn finish(&self) -> Result<Vec<u8>> {
        let mut filter = self.filter.borrow_mut();
        let filter: &mut Filter = filter.as_mut().map_err(|error| Error::clone(error))?;
        let mut into = Vec::new();
        if let Some(transform) = &mut filter.transform {
            transform.finish(&mut into)?;
        }
        Ok(into)
    }
}
