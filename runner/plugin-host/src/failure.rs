//! How a call can end other than with an answer.

use std::fmt::Write as _;
use std::time::Duration;

use capstan_core::plugin::Hook;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::component::Component;
use crate::limits::{CallLimits, Usage};
use crate::memory::TABLE;
use crate::state::{Caller, State};

/// Frames of a backtrace that are shown.
const FRAMES: usize = 8;

/// A call that got no answer. `Display` tells a person which plugin, which hook, why, and what it said last.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    /// Name of the plugin.
    pub plugin: String,
    /// Digest of its component, `sha256:...`.
    pub digest: String,
    /// The hook, where it was one.
    pub hook: Option<Hook>,
    /// The function: `policy.check-step`; for a step in WebAssembly `run`.
    pub call: &'static str,
    /// What happened.
    pub ending: Ending,
    /// What it used until then.
    pub usage: Usage,
    /// The last lines of its log and standard error, at most 4 KiB.
    pub last_lines: String,
}

impl Failure {
    /// Of a call that did not get as far as to have an instance.
    pub(crate) fn at_start(
        component: &Component,
        caller: &Caller,
        call: &'static str,
        ending: Ending,
    ) -> Self {
        Self {
            plugin: caller.plugin.to_string(),
            digest: component.inspection().digest.clone(),
            hook: caller.hook,
            call,
            ending,
            usage: Usage::default(),
            last_lines: String::new(),
        }
    }

    /// Which plugin, which hook, and why, without what it said last.
    pub fn reason(&self) -> String {
        let (plugin, call, ending) = (&self.plugin, self.call, &self.ending);
        match self.hook {
            Some(_) => format!("the plugin {plugin} failed in {call}: {ending}"),
            None => format!("{plugin} failed: {ending}"),
        }
    }

    fn text(&self) -> String {
        let mut text = self.reason();
        if !self.last_lines.is_empty() {
            text.push_str("\nits last messages:");
            for line in self.last_lines.lines() {
                let _ = write!(text, "\n  {line}");
            }
        }
        text
    }
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The plugin said so: an `error` of `wit/types.wit`.
    #[error("{message} ({code})")]
    Error {
        /// The plugin's code.
        code: String,
        /// The plugin's message.
        message: String,
        /// Whether the plugin thinks that the same call may succeed again.
        retryable: bool,
    },
    /// It ended in a trap: a panic, an exception, a failed bound.
    #[error("it crashed: {reason}")]
    Trap {
        /// What happened, with the functions it happened in.
        reason: String,
    },
    /// It asked for more memory than it may have.
    #[error(
        "it needs {wanted} bytes of memory and may have {limit}: raise its limit `memory`, or give it less to do"
    )]
    OutOfMemory {
        /// The limit in bytes.
        limit: u64,
        /// What it would have had.
        wanted: u64,
    },
    /// It computed for too long.
    #[error("it computed for more than {limit:?}: raise its limit `cpu`, or give it less to do")]
    OutOfCpu {
        /// The limit.
        limit: Duration,
    },
    /// It took too long.
    #[error("it took more than {limit:?}: raise its limit `wall`, or give it less to do")]
    OutOfTime {
        /// The limit.
        limit: Duration,
    },
    /// It answered or sent more than it may.
    #[error("it {what}, more than its {limit}")]
    TooMuch {
        /// What there was too much of, as the end of "it ...".
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// It called `exit` instead of answering.
    #[error("it exited with code {code} instead of answering")]
    Exit {
        /// The code.
        code: i32,
    },
    /// Its answer broke a rule of the contract.
    #[error("its answer is not allowed: {reason}")]
    Contract {
        /// Which rule, and how.
        reason: String,
    },
    /// It cannot be started by this host.
    #[error("it does not fit this host: {reason}")]
    Link {
        /// What it needs and what the host offers.
        reason: String,
    },
    /// The host itself failed: a directory that cannot be opened, a worker that cannot be started.
    #[error("{reason}")]
    Host {
        /// What happened.
        reason: String,
    },
}

impl Ending {
    /// What an error of the engine means.
    pub(crate) fn of(error: &wasmtime::Error, state: &State, limits: &CallLimits) -> Self {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exit { code: exit.0 };
        }
        // A guest that gets no more memory ends in any way it likes; that it was denied some is what counts.
        if let Some(wanted) = state.memory.denied {
            return Self::OutOfMemory {
                limit: state.memory.limit(),
                wanted,
            };
        }
        if state.memory.table_denied {
            return Self::TooMuch {
                what: "needs a table with too many entries",
                limit: TABLE as u64,
            };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) if state.budget.is_over() => Self::OutOfCpu {
                limit: state.budget.limit().unwrap_or_default(),
            },
            Some(trap) => Self::Trap {
                reason: in_functions(explain(*trap), error),
            },
            None => Self::of_engine(error, limits),
        }
    }
}

impl Ending {
    /// What an error means that has no type of its own.
    fn of_engine(error: &wasmtime::Error, limits: &CallLimits) -> Self {
        let reason = error.root_cause().to_string();
        if reason.contains("allocated for hostcalls") {
            Self::TooMuch {
                what: "sent too many bytes at once",
                limit: limits.transfer as u64,
            }
        } else if reason.contains("handle limit exceeded") {
            Self::TooMuch {
                what: "holds too many handles",
                limit: limits.handles as u64,
            }
        } else {
            Self::Trap {
                reason: in_functions(reason, error),
            }
        }
    }
}

/// A trap in words that tell the author of a plugin where to look.
fn explain(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => "it panicked, or aborted".to_owned(),
        Trap::StackOverflow => "its calls are nested too deeply".to_owned(),
        Trap::MemoryOutOfBounds => {
            "it accessed memory that it does not have; calls that are nested too deeply do so, too"
                .to_owned()
        }
        Trap::CannotEnterComponent => "it had ended before".to_owned(),
        trap => trap.to_string(),
    }
}

/// With the functions that were running, innermost first.
fn in_functions(mut reason: String, error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return reason;
    };
    let mut functions: Vec<String> = backtrace
        .frames()
        .iter()
        .map(|frame| match frame.func_name() {
            Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
            None => format!("function {}", frame.func_index()),
        })
        .collect();
    functions.dedup();
    // What every panic goes through tells nobody anything.
    let own = functions.iter().position(|name| !is_runtime(name));
    functions.drain(..own.unwrap_or(0));
    for (number, function) in functions.iter().take(FRAMES).enumerate() {
        reason.push_str(if number == 0 { ", in " } else { " < " });
        reason.push_str(function);
    }
    if functions.len() > FRAMES {
        reason.push_str(" < ...");
    }
    reason
}

/// Whether a function belongs to the machinery of a language and not to the plugin.
fn is_runtime(function: &str) -> bool {
    let function = function.trim_start_matches('<');
    ["std::", "core::", "alloc::", "__rustc::"]
        .iter()
        .any(|library| function.starts_with(library))
        || ["abort", "rust_panic", "__rust_abort"].contains(&function)
}
