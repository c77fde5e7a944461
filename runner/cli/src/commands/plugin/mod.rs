//! `capstan plugin`: what authors of plugins use. One file per command.

mod anatomy;
mod bench;
mod build;
mod capability;
mod component;
mod fixture;
mod inspect;
mod list;
mod manifest;
mod measure;
mod new;
mod prune;
mod pull;
mod push;
mod starters;
mod supply;
mod test;
mod unified;
mod wit;

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
        Plugin::New(args) => new::run(&args),
        Plugin::Build(args) => build::run(&args, config_file, environment).await,
        Plugin::Test(args) => test::run(&args, config_file, environment).await,
        Plugin::Inspect(args) => inspect::run(&args, config_file, environment).await,
        Plugin::Bench(args) => bench::run(&args, config_file, environment).await,
        Plugin::Pull(args) => pull::run(&args, config_file, environment).await,
        Plugin::Push(args) => push::run(&args, environment).await,
        Plugin::List(args) => list::run(&args, config_file, environment),
        Plugin::Prune(args) => prune::run(&args, config_file, environment),
    }
}
