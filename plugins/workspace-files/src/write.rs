//! Writing files.

use std::fs;
use std::path::Path;

use capstan_plugin::{Error, Job, Result, files, log};

use crate::config::Write;
use crate::place::Place;
use crate::template::render;

/// Writes one file, and the directories above it.
///
/// # Errors
///
/// If a placeholder is unknown, the path leads elsewhere, or something is in the way.
pub(crate) fn write(root: &Path, job: &Job, file: &Write) -> Result<()> {
    let (path, content) = if file.template {
        (render(&file.path, job)?, render(&file.content, job)?)
    } else {
        (file.path.clone(), file.content.clone())
    };
    let place = Place::parse(&path)?;
    if place.is_root() {
        return Err(Error::new(
            "config",
            "a file to be written has an empty path",
        ));
    }
    let target = place.resolve(root)?;
    if target.exists() && !file.overwrite {
        log::debug!("{path} is there already");
        return Ok(());
    }
    place.parent().make_directory(root)?;
    fs::write(&target, content).map_err(|error| place.failed("written", &error))?;
    files::set_executable(&place.text(), file.executable)?;
    log::info!("wrote {}", place.text());
    Ok(())
}
