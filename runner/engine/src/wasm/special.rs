//! Things in a workspace whose mere opening could block or do harm.

use std::io;
use std::path::PathBuf;

use cap_std::fs::{Dir, FileTypeExt as _};

/// The first named pipe or device below `root`; symbolic links are not followed. Opening a pipe waits for its other end in the
/// kernel, where no time limit reaches. Sockets are harmless: opening one fails.
///
/// # Errors
/// The file system's.
pub(super) fn find(root: &Dir) -> io::Result<Option<PathBuf>> {
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let directory = match path.as_os_str().is_empty() {
            true => root.try_clone(),
            false => root.open_dir(&path),
        };
        let entries = match directory.and_then(|directory| directory.entries()) {
            Ok(entries) => entries,
            // The component cannot get in either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            // Deeper than a path can be long.
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(path.join(entry.file_name()));
            } else if kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
                return Ok(Some(path.join(entry.file_name())));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::workspace::tree;

    #[test]
    fn pipes_are_found_and_links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        let pipe = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        pipe(&outside.path().join("pipe"));
        fs_err::create_dir_all(inside.path().join("a/b")).unwrap();
        fs_err::write(inside.path().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(inside.path().join("s")).unwrap();
        let root = tree::open(inside.path()).unwrap();
        assert_eq!(find(&root).unwrap(), None);
        pipe(&inside.path().join("a/b/pipe"));
        assert_eq!(find(&root).unwrap(), Some("a/b/pipe".into()));
    }
}
