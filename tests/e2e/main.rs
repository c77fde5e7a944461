//! End-to-end tests of the `capstan` binary against a real container engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![expect(
    clippy::needless_pass_by_value,
    reason = "literals are easier to read without borrowing"
)]

mod apply;
mod bad_spec;
mod batch_exec;
mod batch_run;
mod cache;
mod checkouts;
mod cluster;
mod commands;
mod daemon;
mod deploy;
mod diffs;
mod display;
mod documents;
mod door;
mod engine;
mod executor;
mod executor_answers;
mod executor_cancel;
mod executor_daemon;
mod executor_faults;
mod executor_limits;
mod executor_network;
mod executor_payloads;
mod executor_secrets;
mod executor_uploads;
mod hostile;
mod hub;
mod images;
mod interrupt;
mod kubernetes;
mod limits;
mod manifests;
mod ownership;
mod parallel;
mod plugin_distribution;
mod plugin_tools;
mod plugins;
mod podman;
mod pods;
mod registry;
mod scene;
mod spec_features;
mod specs;
mod wasm_steps;
mod workspaces;
