//! The domain of Capstan: what a batch spec says, what its templates mean, what a run produced.
//!
//! Nothing here touches the network, a container engine, the clock or the environment. What a
//! batch spec does is decided in this crate and can be tested in milliseconds; the engine crate
//! carries it out.
//!
//! The reading order: [`spec`] (the document), [`template`] (its `${{ }}` texts), [`task`] (one
//! workspace to run it in), [`result`](mod@result) (what a step left behind), [`changeset`] (what becomes of it).

#![warn(missing_docs)]

pub mod cache_key;
pub mod changed_files;
pub mod changeset;
pub mod diff;
pub mod duration;
pub mod environment;
pub mod event;
pub mod exec_flags;
pub mod exec_input;
pub mod failure;
pub mod git_index;
pub mod glob;
pub mod go_flags;
pub mod gojson;
pub mod mounts;
pub mod output;
pub mod plugin;
pub mod redact;
pub mod resolve;
pub mod result;
pub mod slug;
pub mod source;
pub mod spec;
pub mod task;
pub mod template;
pub mod value;
pub mod wasm_step;
pub mod yaml;
