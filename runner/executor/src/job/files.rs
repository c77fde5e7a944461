//! The files of a payload (facts/executor-protocol.md 5.4), written through directory handles: what is not below the root cannot be reached,
//! and what is there already is never followed.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, Permissions, PermissionsExt as _};
use capstan_protocol::{Content, Job};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, Timespec, Timestamps};

use super::paths::Below;
use crate::client::Client;

/// Everybody may do everything with what is written: containers run as any user.
const OPEN_TO_ALL: u32 = 0o777;

/// Largest file that is taken from the server's store.
const STORED: u64 = 1 << 30;

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing {path}: {reason}")]
pub(super) struct FileError {
    path: String,
    reason: String,
}

/// A file that was written, and how long it took.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) path: String,
    pub(super) took: Duration,
}

/// Writes the files of `job`, whose places are `paths`, below `root`.
pub(super) async fn write_all(
    root: &Path,
    job: &Job,
    paths: &[Below],
    client: &Client,
) -> Result<Vec<Written>, FileError> {
    let mut written = Vec::new();
    for (path, file) in paths.iter().zip(job.files.values()) {
        let begun = Instant::now();
        let failed = |reason: String| FileError {
            path: path.to_string(),
            reason,
        };
        let open = || create(root, path).map_err(|error| failed(error.to_string()));
        let mut handle = open()?;
        match &file.content {
            Content::Inline(bytes) => handle
                .write_all(bytes)
                .map_err(|error| failed(error.to_string()))?,
            Content::Stored { bucket, key } => {
                let mut room = STORED;
                let mut each = |bytes: &[u8]| {
                    let length = bytes.len() as u64;
                    room = room
                        .checked_sub(length)
                        .ok_or_else(|| io::Error::other("it is too large"))?;
                    handle.write_all(bytes)
                };
                let got = client.file(&job.identity, bucket, key, &mut each).await;
                got.map_err(|error| failed(error.to_string()))?;
            }
        }
        finish(&handle, file.modified_at).map_err(|error| failed(error.to_string()))?;
        written.push(Written {
            path: path.to_string(),
            took: begun.elapsed(),
        });
    }
    Ok(written)
}

/// Files that were there before.
pub(super) fn prepared(paths: &[Below]) -> Vec<Written> {
    let prepared = |path: &Below| Written {
        path: path.to_string(),
        took: Duration::ZERO,
    };
    paths.iter().map(prepared).collect()
}

/// Writes one file below `root`.
pub(super) fn write(root: &Path, path: &Below, content: &[u8]) -> io::Result<()> {
    let mut file = create(root, path)?;
    file.write_all(content)?;
    finish(&file, None)
}

/// Makes the directory `path` below `root`, with those above it, and opens it. A symlink on the way is an error.
pub(super) fn make_directory(root: &Path, path: &Below) -> io::Result<Dir> {
    enter(root, path.names())
}

/// Reads a small file below `root` and removes it; `None` if there is none.
pub(super) fn take(root: &Path, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let root = Dir::open_ambient_dir(root, ambient_authority())?;
    let file = match open_in(&root, name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    root.remove_file(name)?;
    Ok(Some(bytes))
}

/// Opens a file below `root` for reading: only if it is one, and no symlink leads there.
pub(super) fn open(root: &Path, path: &Below) -> io::Result<std::fs::File> {
    let (name, above) = path
        .names()
        .split_last()
        .ok_or(io::ErrorKind::IsADirectory)?;
    let mut directory = Dir::open_ambient_dir(root, ambient_authority())?;
    for name in above {
        directory = child(&directory, name)?;
    }
    open_in(&directory, name)
}

fn open_in(directory: &Dir, name: &str) -> io::Result<std::fs::File> {
    // A symlink is not followed, a pipe is not waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let file = std::fs::File::from(file);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

fn create(root: &Path, path: &Below) -> io::Result<File> {
    let (name, above) = path
        .names()
        .split_last()
        .ok_or(io::ErrorKind::IsADirectory)?;
    let directory = enter(root, above)?;
    match directory.symlink_metadata(name) {
        Ok(found) if found.is_file() => directory.remove_file(name)?,
        Ok(found) => {
            let what = if found.is_symlink() {
                "a symbolic link"
            } else if found.is_dir() {
                "a directory"
            } else {
                "a device, a pipe or a socket"
            };
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{what} is in its place"),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    directory.open_with(name, &options)
}

fn finish(file: &File, modified_at: Option<Timestamp>) -> io::Result<()> {
    // Whatever the umask is.
    file.set_permissions(Permissions::from_mode(OPEN_TO_ALL))?;
    if let Some(time) = modified_at {
        let time = Timespec {
            tv_sec: time.as_second(),
            tv_nsec: time.subsec_nanosecond().into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(file, &times)?;
    }
    Ok(())
}

/// Walks down from `root`, making what is missing.
fn enter(root: &Path, names: &[String]) -> io::Result<Dir> {
    let mut at = Dir::open_ambient_dir(root, ambient_authority())?;
    for name in names {
        match at.create_dir(name) {
            Ok(()) => at.set_permissions(name, Permissions::from_mode(OPEN_TO_ALL))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        at = child(&at, name)?;
    }
    Ok(at)
}

fn child(at: &Dir, name: &str) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(at, name, flags, Mode::empty());
    match opened {
        Ok(handle) => Ok(Dir::from_std_file(handle.into())),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{name:?} is no directory, or a symbolic link"),
        )),
        Err(error) => Err(error.into()),
    }
}
