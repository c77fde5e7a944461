//! `capstan man`.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::Cli;
use crate::config::SETTINGS;
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
                .and_then(|()| settings(&mut page))
                .map_err(Failed::environment)?;
            printer::result(&page).map_err(Failed::environment)?;
        }
    }
    Ok(Exit::Success)
}

/// The settings as a section of the page: key, environment variable, default, meaning.
fn settings(page: &mut impl Write) -> io::Result<()> {
    writeln!(page, ".SH SETTINGS")?;
    writeln!(
        page,
        "Keys of capstan.toml, each with its environment variable; flags win over both."
    )?;
    for setting in SETTINGS {
        let roff = |text: &str| text.replace('\\', "\\\\").replace('-', "\\-");
        writeln!(
            page,
            ".TP\n\\fB{}\\fR, {}",
            roff(setting.key),
            roff(setting.environment)
        )?;
        writeln!(page, "{}", roff(setting.about))?;
        if let Some(default) = setting.default {
            writeln!(page, "[default: {}]", roff(default))?;
        }
    }
    Ok(())
}
