//! `capstan batch validate`.

use std::path::{Path, PathBuf};

use crate::args::{SettingFlags, Validate};
use crate::config::{Config, Environment};
use crate::failure::{Exit, Failed};
use crate::printer;
use crate::spec_file;

pub(super) fn run(
    args: &Validate,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let flags = SettingFlags::default();
    let config = Config::load(config_file, environment, &flags, &directory)?;
    let file = args.file.as_ref().or(args.positional.as_ref());
    // The command line is refused when it names neither.
    let file = file.map_or(Path::new("-"), PathBuf::as_path);
    match spec_file::load(file, !config.plugins.is_empty()) {
        Ok(loaded) => {
            if args.json {
                printer::result_line("[]").map_err(Failed::environment)?;
            } else {
                let steps = loaded.spec.steps.len();
                printer::result_line(format_args!(
                    "{}: valid; batch change {:?} with {steps} {}",
                    loaded.name,
                    loaded.spec.name,
                    if steps == 1 { "step" } else { "steps" },
                ))
                .map_err(Failed::environment)?;
            }
            Ok(Exit::Success)
        }
        Err(spec_file::LoadError::Read(failed)) => Err(failed),
        Err(spec_file::LoadError::Invalid(problems)) => {
            if args.json {
                printer::result_line(problems.to_json()).map_err(Failed::environment)?;
                return Ok(Exit::Usage);
            }
            Err(problems.into())
        }
    }
}
