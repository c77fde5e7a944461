//! Unpacking archives of the repository.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use capstan_plugin::{Error, Result, files, log};

use crate::archive::gzip::Gzip;
use crate::archive::{Entry, Kind, tar, zip};
use crate::config::Unpack;
use crate::place::Place;

/// The most that archives may hold: less than the host lets a plugin write.
const MOST_BYTES: u64 = 512 * 1024 * 1024;
const MOST_FILES: u32 = 20_000;

/// Unpacks one archive.
///
/// # Errors
///
/// If it is missing or broken, holds links or devices, leads out of its directory, or is too large.
pub(crate) fn unpack(root: &Path, unpack: &Unpack) -> Result<()> {
    let place = Place::parse(&unpack.archive)?;
    let path = place.resolve(root)?;
    if unpack.optional && !path.exists() {
        log::debug!("there is no {}", place.text());
        return Ok(());
    }
    let into = match &unpack.into {
        Some(directory) => Place::parse(directory)?,
        None => place.parent(),
    };
    let file = File::open(&path).map_err(|error| place.failed("opened", &error))?;
    let mut unpacking = Unpacking {
        root,
        into,
        strip: unpack.strip,
        bytes: 0,
        files: 0,
    };
    let broken =
        |error: Error| Error::new(error.code, format!("{}: {}", place.text(), error.message));
    let name = unpack.archive.to_ascii_lowercase();
    if name.ends_with(".zip") {
        zip::read(file, |entry| unpacking.entry(entry))
    } else if name.ends_with(".tar") {
        tar::read(&mut BufReader::new(file), |entry| unpacking.entry(entry))
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        tar::read(&mut Gzip::new(file), |entry| unpacking.entry(entry))
    } else {
        Err(Error::new(
            "config",
            "an archive is a .tar, .tar.gz, .tgz or .zip",
        ))
    }
    .map_err(broken)?;
    if unpack.remove {
        fs::remove_file(&path).map_err(|error| place.failed("removed", &error))?;
    }
    log::info!("unpacked {} files from {}", unpacking.files, place.text());
    Ok(())
}

struct Unpacking<'a> {
    root: &'a Path,
    into: Place,
    strip: usize,
    bytes: u64,
    files: u32,
}

impl Unpacking<'_> {
    fn entry(&mut self, entry: &mut Entry<'_>) -> Result<()> {
        let Some(place) = Place::parse(&entry.path)?.stripped(self.strip) else {
            return Ok(());
        };
        let place = place.below(&self.into);
        self.files += 1;
        if self.files > MOST_FILES {
            let message = format!("it holds more than {MOST_FILES} files");
            return Err(Error::new("limit", message));
        }
        match entry.kind {
            Kind::Directory => place.make_directory(self.root).map(drop),
            Kind::Other => {
                let message = format!(
                    "{} is a link or a device; only files and directories are unpacked",
                    entry.path
                );
                Err(Error::new("input", message))
            }
            Kind::File { executable } => {
                let target = place.resolve(self.root)?;
                place.parent().make_directory(self.root)?;
                let mut file =
                    File::create(&target).map_err(|error| place.failed("written", &error))?;
                let left = MOST_BYTES - self.bytes;
                let mut content = (&mut *entry.content).take(left + 1);
                let written = std::io::copy(&mut content, &mut file)
                    .map_err(|error| place.failed("unpacked", &error))?;
                if written > left {
                    let message = format!("it holds more than {} MiB", MOST_BYTES >> 20);
                    return Err(Error::new("limit", message));
                }
                self.bytes += written;
                if executable {
                    files::set_executable(&place.text(), true)?;
                }
                Ok(())
            }
        }
    }
}
