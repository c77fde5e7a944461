//! `capstan completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::{Exit, Failed};
use crate::printer;

pub(super) fn run(shell: Shell) -> Result<Exit, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "capstan", &mut script);
    printer::result(&script).map_err(Failed::environment)?;
    Ok(Exit::Success)
}
