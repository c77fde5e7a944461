//! End-to-end tests of the `capstan` binary against a real container engine.

mod apply;
mod batch_run;
mod cache;
mod diffs;
mod display;
mod documents;
mod interrupt;
mod parallel;
mod specs;
mod workspaces;
