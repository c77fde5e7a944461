//! Why a task failed.

use std::time::Duration;

use capstan_core::redact::Secrets;

use super::duration::go_duration;
use super::plugin_report::Refused;
use crate::fault::{Fault, FaultClass};

/// The closed list of reasons for which a task fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The step's script ended with a code other than 0.
    Script {
        /// The exit code.
        code: i32,
        /// Whether the kernel killed it for lack of memory.
        out_of_memory: bool,
    },
    /// The step or the task took too long.
    Timeout,
    /// A template could not be rendered, or an output is not what it was declared to be.
    Template,
    /// A plugin refused, or failed where that counts as a refusal.
    Refused,
    /// Something that this workspace needs could not be had: image, commit, mount.
    Workspace,
    /// The machine is not fit.
    Environment,
}

/// A failed task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// The step, from 0, if one had begun.
    pub step: Option<usize>,
    /// One line.
    pub summary: String,
    /// All of it, possibly many lines.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    pub(super) fn template(step: usize, message: String) -> Self {
        Self {
            cause: Cause::Template,
            step: Some(step),
            summary: first_line(&message),
            message,
            hint: None,
        }
    }

    pub(super) fn fault(step: Option<usize>, prefix: &str, fault: Fault) -> Self {
        let message = format!("{prefix}{}", fault.message);
        Self {
            cause: match fault.class {
                FaultClass::Environment => Cause::Environment,
                FaultClass::Workspace => Cause::Workspace,
            },
            step,
            summary: first_line(&message),
            message,
            hint: fault.hint,
        }
    }

    pub(super) fn refused(step: Option<usize>, refused: &Refused) -> Self {
        let message = refused.to_string();
        let hint = refused.rule.is_none().then(|| {
            let plugin = &refused.plugin;
            let otherwise = if refused.dispensable {
                "; on-failure = \"skip\" has runs go on without it"
            } else {
                ""
            };
            format!("mend or update the plugin {plugin}, or its configuration{otherwise}")
        });
        Self {
            cause: Cause::Refused,
            step,
            summary: first_line(&message),
            message,
            hint,
        }
    }

    /// Without secrets.
    pub(super) fn redacted(mut self, secrets: &Secrets) -> Self {
        for text in [&mut self.summary, &mut self.message] {
            *text = secrets.redact(text).into_owned();
        }
        self.hint = self.hint.map(|hint| secrets.redact(&hint).into_owned());
        self
    }

    pub(super) fn timeout(step: Option<usize>, limit: Duration) -> Self {
        let message = format!(
            "Timeout reached. Execution took longer than {}.",
            go_duration(limit)
        );
        Self {
            cause: Cause::Timeout,
            step,
            summary: message.clone(),
            message,
            hint: None,
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
