//! The WIT package where other tools want it: in files.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::starters::WIT;
use crate::failure::Failed;

/// A directory with the WIT of a plugin: its own, or the package of this binary.
#[derive(Debug)]
pub(super) struct WitDirectory {
    pub(super) path: PathBuf,
    /// Deleted with this.
    _temporary: Option<TempDir>,
}

impl WitDirectory {
    /// The one of the plugin in `directory`.
    pub(super) fn of(directory: &Path) -> Result<Self, Failed> {
        let own = directory.join("wit");
        if own.is_dir() {
            return Ok(Self {
                path: own,
                _temporary: None,
            });
        }
        let temporary = TempDir::with_prefix("capstan-wit-").map_err(Failed::environment)?;
        for file in WIT {
            write(&temporary.path().join(file.path), file.text).map_err(Failed::environment)?;
        }
        Ok(Self {
            path: temporary.path().to_owned(),
            _temporary: Some(temporary),
        })
    }
}

/// Writes a file, with the directories above it.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs_err::create_dir_all(above)?;
    }
    fs_err::write(path, text)
}
