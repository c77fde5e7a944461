//! End-to-end tests of the `capstan` binary against a real container engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bad_spec;
mod batch_exec;
mod batch_run;
mod diffs;
mod documents;
mod engine;
mod hostile;
mod images;
mod limits;
mod ownership;
mod podman;
mod registry;
mod scene;
mod spec_features;
mod specs;
mod workspaces;
