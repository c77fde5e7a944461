//! End-to-end tests of the `capstan` binary against a real container engine.

mod bad_spec;
mod batch_exec;
mod batch_run;
mod commands;
mod documents;
mod spec_features;
