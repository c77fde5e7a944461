//! How a job ended, in the words that servers show (facts/executor-protocol.md 1.8, 4.6).

use std::time::Duration;

use capstan_engine::fault::Fault;
use capstan_engine::run::{Cause, Failure, go_duration};
use serde::{Deserialize, Serialize};

/// What the runner of a pod says of a job if it was told to stop, by whoever stops pods.
pub const STOPPED: &str = "the pod was stopped before the job had ended";

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// All of its steps are done.
    Complete,
    /// A step, or the work around it, failed. The text is shown to the user.
    Errored(String),
    /// It must not be tried again, or was cancelled. The text is shown to the user.
    Failed(String),
}

impl Ending {
    /// With its text as `change` makes it.
    pub(crate) fn map(self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Complete => Self::Complete,
            Self::Errored(text) => Self::Errored(change(&text)),
            Self::Failed(text) => Self::Failed(change(&text)),
        }
    }
}

/// A command ended with an error.
pub(super) fn command_failed(key: &str, code: i32) -> String {
    format!("running command {key:?}: command failed with exit code {code}")
}

/// Of a failure of the engine, in the entry `key` if it was in one.
///
/// What a plugin refuses must not be tried again; everything else may be.
pub(super) fn of_failure(failure: &Failure, key: Option<&str>) -> Ending {
    let hint = failure.hint.as_ref();
    let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    match (failure.cause, key) {
        (Cause::Refused, _) => Ending::Failed(format!("{}{hint}", failure.message)),
        (Cause::Script { code, .. }, Some(key)) => {
            Ending::Errored(format!("{}{hint}", command_failed(key, code)))
        }
        (_, Some(key)) => Ending::Errored(format!(
            "running command {key:?}: {}{hint}",
            failure.message
        )),
        (_, None) => Ending::Errored(format!("{}{hint}", failure.message)),
    }
}

/// Somebody has cancelled it.
pub(super) fn cancelled() -> Ending {
    Ending::Failed("the job was cancelled".to_owned())
}

/// It took too long.
pub(super) fn too_long(limit: Duration) -> Ending {
    let limit = go_duration(limit);
    Ending::Errored(format!(
        "job exceeded the maximum execution time of {limit}"
    ))
}

/// The machine, or what the job needs of it, is not fit.
pub(super) fn of_fault(fault: &Fault) -> Ending {
    let hint = fault.hint.as_ref();
    let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    Ending::Errored(format!("{fault}{hint}"))
}

/// Whether the machine is to blame, and may be fit again in a moment: its engine was restarted, for example.
pub(super) fn may_pass(failure: &Failure) -> bool {
    let is_full = failure
        .hint
        .as_ref()
        .is_some_and(|hint| hint.contains("disk"));
    failure.cause == Cause::Environment && !is_full
}
