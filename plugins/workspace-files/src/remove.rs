//! Removing files: a sparse workspace.

use std::fs;
use std::path::Path;

use capstan_plugin::{Globs, Result, log};

use crate::place::Place;

/// How deep directories are looked into.
const DEEPEST: usize = 256;

/// Removes the files that are to be removed and not to be kept, and the directories that become empty by it. Symbolic links are
/// removed, never followed.
///
/// # Errors
///
/// If a directory cannot be read or a file not removed.
pub(crate) fn remove(root: &Path, remove: &Globs, keep: &Globs) -> Result<()> {
    let mut pruning = Pruning {
        remove,
        keep,
        removed: 0,
    };
    pruning.directory(root, &Place::parse("")?, 0)?;
    log::info!("removed {} files", pruning.removed);
    Ok(())
}

struct Pruning<'a> {
    remove: &'a Globs,
    keep: &'a Globs,
    removed: u32,
}

impl Pruning<'_> {
    /// Whether something was removed and nothing is left.
    fn directory(&mut self, path: &Path, place: &Place, depth: usize) -> Result<bool> {
        let before = self.removed;
        let mut left = 0;
        let entries = fs::read_dir(path).map_err(|error| place.failed("read", &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| place.failed("read", &error))?;
            let name = entry.file_name();
            // A name that is no path of ours is not ours to remove.
            let Some(Ok(inner)) = name.to_str().map(Place::parse) else {
                left += 1;
                continue;
            };
            let inner = inner.below(place);
            let kind = entry
                .file_type()
                .map_err(|error| inner.failed("looked at", &error))?;
            let text = inner.text();
            let gone = if kind.is_dir() {
                let empty = depth < DEEPEST && self.directory(&entry.path(), &inner, depth + 1)?;
                if empty {
                    fs::remove_dir(entry.path())
                        .map_err(|error| inner.failed("removed", &error))?;
                }
                empty
            } else if self.remove.matches(&text) && !self.keep.matches(&text) {
                fs::remove_file(entry.path()).map_err(|error| inner.failed("removed", &error))?;
                self.removed += 1;
                true
            } else {
                false
            };
            left += u32::from(!gone);
        }
        Ok(left == 0 && self.removed > before)
    }
}
