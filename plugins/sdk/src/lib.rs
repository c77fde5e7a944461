#![doc = include_str!("../README.md")]

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod exports;
#[cfg(target_family = "wasm")]
use bindings::host::capstan::plugin as host;

#[cfg(not(target_family = "wasm"))]
mod double;
#[cfg(not(target_family = "wasm"))]
use double as host;
#[cfg(not(target_family = "wasm"))]
pub mod test;

mod answer;
mod changes;
pub mod config;
mod diff;
mod error;
mod export;
pub mod files;
pub mod glob;
pub mod log;
mod output;
mod policy;
pub mod scratch;
mod step;
mod workspace;

pub use self::answer::{Decision, Outcome, Verdict, refuse};
pub use self::changes::{Files, Hunks, Line, LineKind, Lines};
#[cfg(feature = "serde")]
pub use self::config::config;
pub use self::diff::{Diff, Shape};
pub use self::error::Result;
pub use self::glob::{Glob, Globs};
pub use self::host::changes::{Diff as Changes, Edits, File, Hunk, Severity, Status};
pub use self::host::job::Job;
pub use self::host::step::{Amendment, Mount, Step};
pub use self::host::types::{Error, Refusal};
pub use self::output::{Channel, Filter, Output, Outputs, Transform};
pub use self::policy::Policy;
pub use self::workspace::Workspace;
