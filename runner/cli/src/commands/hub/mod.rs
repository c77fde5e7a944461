//! `capstan hub`: the queue for those without Sourcegraph. One file per command.

mod cancel;
mod contact;
mod follow;
mod list;
mod logs;
mod mounted;
mod retry;
mod serve;
mod show;
mod submit;
mod tokens;

use std::path::Path;

use crate::args::hub::Hub;
use crate::config::Environment;
use crate::failure::{Exit, Failed};

/// Runs the command that was asked for.
pub(super) async fn run(
    command: Hub,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    match command {
        Hub::Serve(args) => serve::run(&args, config_file, environment).await,
        Hub::Submit(args) => submit::run(&args, environment).await,
        Hub::List(args) => list::run(&args, environment).await,
        Hub::Show(args) => show::run(&args, environment).await,
        Hub::Logs(args) => logs::run(&args, environment).await,
        Hub::Cancel(args) => cancel::run(&args, environment).await,
        Hub::Retry(args) => retry::run(&args, environment).await,
    }
}
