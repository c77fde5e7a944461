//! The `capstan` command: arguments, configuration, printing, exit codes. What happens in between is the
//! engine's.

mod apply;
mod args;
mod cluster;
mod commands;
mod config;
mod engines;
mod failure;
mod interrupt;
mod jobs;
mod logging;
mod plugin_host;
mod plugins;
mod pods;
mod printer;
mod report;
mod results;
mod sources;
mod spec_file;
mod summary;
mod telemetry;
mod text;
mod tools;
mod workplace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::logging::Log;
use crate::telemetry::Telemetry;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::CompilePlugin = cli.command {
        return capstan_plugin_host::compile_worker();
    }
    let environment = Environment::of_process();
    let log = match cli.command {
        Command::Executor { .. } => Log::of_executor(&environment),
        Command::Pod(_) => Log::of_pod(&environment),
        _ => Log::of_commands(cli.verbose, &environment),
    };
    let exit = match run(cli, &environment, &log) {
        Ok(exit) => exit,
        Err(failed) => {
            printer::failure(&failed);
            failed.exit
        }
    };
    ExitCode::from(exit as u8)
}

fn run(cli: Cli, environment: &Environment, log: &Log) -> Result<Exit, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failed::environment(format!("starting the runtime: {error}")))?;
    let telemetry = log.start(|log| match cli.command {
        Command::Executor { .. } | Command::Hub(_) | Command::Batch(_) => {
            Telemetry::open(environment, log.traced(), runtime.handle())
        }
        // They run no jobs.
        _ => Telemetry::none(),
    });
    let ended = runtime.block_on(commands::run(cli, environment));
    telemetry.close();
    // A blocked read of standard input must not hold the program back.
    runtime.shutdown_background();
    ended
}
