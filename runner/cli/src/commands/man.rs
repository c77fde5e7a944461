//! `capstan man`.

use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::Cli;
use crate::failure::{Exit, Failed};
use crate::printer;

pub(super) fn run(directory: Option<&Path>) -> Result<Exit, Failed> {
    match directory {
        Some(directory) => {
            fs_err::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
                .map_err(Failed::environment)?;
        }
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command())
                .render(&mut page)
                .map_err(Failed::environment)?;
            printer::result(&page).map_err(Failed::environment)?;
        }
    }
    Ok(Exit::Success)
}
