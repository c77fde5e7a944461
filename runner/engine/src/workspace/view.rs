//! The touched files of a workspace and no others, for git to look at where nobody but the container engine sees the workspace as a whole.
//!
//! What containers wrote may be hostile: it is reached through directory handles, no symlink is followed, and a file is linked, not
//! read, wherever that is possible.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, FileType, FileTypeExt as _, PermissionsExt as _};
use capstan_core::git_index::Entry;
use rustix::io::Errno;

use super::layer::Touch;
use super::tree::{at, is_too_long};

/// Directories of the layers, and the empty one to fill.
pub(super) struct View<'a> {
    /// The tree below.
    pub(super) lower: &'a Dir,
    /// What was changed.
    pub(super) upper: &'a Dir,
    /// Where the files are to be seen.
    pub(super) view: &'a Dir,
}

impl View<'_> {
    /// Shows what was touched, and those of the tree's files that git needs to see.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub(super) fn fill<'a>(
        &self,
        touched: &BTreeMap<Vec<u8>, Touch>,
        untouched: impl Iterator<Item = Entry<'a>>,
    ) -> io::Result<()> {
        for entry in untouched {
            let path = as_path(entry.path());
            self.make_above(path)?;
            // Another repository is a directory without anything in it.
            let shown = match entry.is_repository() {
                true => self.view.create_dir(path),
                false => show(self.lower, path, self.view),
            };
            shown.map_err(|error| at(path, &error))?;
        }
        let there = touched.iter().filter(|(_, touch)| **touch == Touch::There);
        for (path, _) in there {
            let path = as_path(path);
            self.make_above(path)?;
            self.show_all(path)?;
        }
        Ok(())
    }

    fn make_above(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => {
                let made = self.view.create_dir_all(above);
                made.map_err(|error| at(above, &error))
            }
            _ => Ok(()),
        }
    }

    /// Shows a file that was written, or a directory with all that is in it.
    fn show_all(&self, path: &Path) -> io::Result<()> {
        let mut pending = vec![path.to_path_buf()];
        while let Some(path) = pending.pop() {
            match self.show_one(&path, &mut pending) {
                // Git does not get there either.
                Err(error) if is_too_long(&error) => {}
                shown => shown.map_err(|error| at(&path, &error))?,
            }
        }
        Ok(())
    }

    fn show_one(&self, path: &Path, pending: &mut Vec<PathBuf>) -> io::Result<()> {
        if !self.upper.symlink_metadata(path)?.is_dir() {
            return show(self.upper, path, self.view);
        }
        self.view.create_dir(path)?;
        for entry in self.upper.open_dir(path)?.entries()? {
            pending.push(path.join(entry?.file_name()));
        }
        Ok(())
    }
}

/// Links a file, or copies what cannot be linked. Devices are left out: they cannot be told from the marks of layers.
fn show(from: &Dir, path: &Path, to: &Dir) -> io::Result<()> {
    let metadata = from.symlink_metadata(path)?;
    let kind = metadata.file_type();
    if is_device(kind) {
        return Ok(());
    }
    match from.hard_link(path, to, path) {
        Err(error) if cannot_link(&error) => {}
        linked => return linked,
    }
    if kind.is_symlink() {
        return to.symlink_contents(from.read_link_contents(path)?, path);
    }
    if kind.is_file() {
        let mut source = from.open(path)?;
        let mut copy = to.create(path)?;
        io::copy(&mut source, &mut copy)?;
        let mode = metadata.permissions().mode() & 0o777;
        return copy.set_permissions(cap_std::fs::Permissions::from_mode(mode));
    }
    Ok(())
}

fn is_device(kind: FileType) -> bool {
    kind.is_char_device() || kind.is_block_device()
}

/// Whether another file system, or rights, stand in the way of a link.
fn cannot_link(error: &io::Error) -> bool {
    let errors = [Errno::XDEV, Errno::PERM, Errno::ACCESS, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|error| errors.contains(&error))
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
