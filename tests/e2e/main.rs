//! End-to-end tests of the `capstan` binary against a real container engine.

mod batch_run;
mod diffs;
mod documents;
mod specs;
mod workspaces;
