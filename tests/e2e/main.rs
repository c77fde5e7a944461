//! End-to-end tests of the `capstan` binary against a real container engine.

mod batch_run;
mod documents;
mod engine;
mod hostile;
mod images;
mod limits;
mod ownership;
mod podman;
mod registry;
mod scene;
