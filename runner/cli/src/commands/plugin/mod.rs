//! `capstan plugin`: what authors of plugins use. One file per command.

use std::path::Path;

use crate::args::plugin::Plugin;
use crate::config::Environment;
use crate::failure::{Exit, Failed};

/// Runs the command that was asked for.
pub(super) async fn run(
    command: Plugin,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    match command {
        Plugin::New(args) => todo!("{args:?}"),
        Plugin::Build(args) => todo!("{args:?}"),
        Plugin::Test(args) => todo!("{args:?}"),
        Plugin::Inspect(args) => todo!("{args:?}"),
        Plugin::Bench(args) => todo!("{args:?} {config_file:?} {environment:?}"),
    }
}
