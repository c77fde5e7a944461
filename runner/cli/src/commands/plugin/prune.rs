//! `capstan plugin prune`: removes components that are no longer named.

use std::path::Path;

use super::measure::bytes;
use super::supply::Supply;
use crate::args::plugin::Prune;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

pub(super) fn run(
    args: &Prune,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let supply = Supply::open(args.lock.as_deref(), config_file, environment)?;
    let removed = supply.store.prune(&supply.named())?;
    let size = removed.iter().map(|stored| stored.size).sum();
    let count = text::plural(removed.len(), "component");
    printer::result_line(format!("removed {count}, {}", bytes(size)))
        .map_err(Failed::environment)?;
    Ok(Exit::Success)
}
