//! One file per command.

mod batch_exec;
mod batch_render;
mod batch_run;
mod batch_validate;
mod completions;
mod doctor;
mod executor;
mod hub;
mod man;
mod plugin;
mod pod;

use crate::args::{Batch, Cli, Command};
use crate::config::Environment;
use crate::failure::{Exit, Failed};

/// Runs the command that was asked for.
pub(crate) async fn run(cli: Cli, environment: &Environment) -> Result<Exit, Failed> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Batch(Batch::Run(args)) => {
            batch_run::run(*args, config, cli.verbose > 0, environment).await
        }
        Command::Batch(Batch::Exec { flags }) => batch_exec::run(&flags, config, environment).await,
        Command::Batch(Batch::Validate(args)) => batch_validate::run(&args, config, environment),
        Command::Batch(Batch::Render(args)) => batch_render::run(*args, config, environment).await,
        Command::Plugin(command) => plugin::run(command, config, environment).await,
        Command::Hub(command) => hub::run(command, config, environment).await,
        Command::Executor { command } => executor::run(command, config, environment).await,
        Command::Pod(command) => pod::run(command, config, environment).await,
        Command::Doctor(args) => doctor::run(*args, config, environment).await,
        Command::Completions { shell } => completions::run(shell),
        Command::Man { output } => man::run(output.as_deref()),
        // `main` has run it: it needs nothing of what is set up in between.
        Command::CompilePlugin => Ok(Exit::Success),
    }
}
