//! Copies of a tree that share its blocks on the disk until they are written to, where the file system can do that.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use capstan_core::git_index::{Entry, Index, Status, write};

/// Copies the tree `from`, which is our own, into the empty directory `to`. Files share their blocks.
///
/// # Errors
/// The file system's, with the path: also that it cannot share blocks.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs_err::read_dir(from.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let (kind, copy) = (entry.file_type()?, to.join(&path));
            if kind.is_dir() {
                fs_err::create_dir(&copy)?;
                fs_err::set_permissions(&copy, entry.metadata()?.permissions())?;
                pending.push(path);
            } else if kind.is_symlink() {
                symlink(fs_err::read_link(entry.path())?, copy)?;
            } else {
                copy_file(&entry.path(), &copy)?;
            }
        }
    }
    Ok(())
}

/// Whether files in the directory `to` can share blocks with those in `from`.
///
/// # Errors
/// Why not.
pub(super) fn attempt(from: &Path, to: &Path) -> io::Result<()> {
    let source = tempfile::NamedTempFile::new_in(from)?;
    fs_err::write(source.path(), "shared")?;
    let target = tempfile::NamedTempFile::new_in(to)?;
    share(source.as_file(), target.as_file())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let source = fs_err::File::open(from)?;
    let copy = fs_err::File::create(to)?;
    share(source.file(), copy.file())?;
    let mode = source.metadata()?.permissions().mode() & 0o777;
    copy.set_permissions(Permissions::from_mode(mode))
}

#[cfg(target_os = "linux")]
fn share(from: &std::fs::File, to: &std::fs::File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &std::fs::File, _: &std::fs::File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The index of a tree as that of a copy of it at `root`: with the times and inodes of the copies.
///
/// # Errors
/// The file system's.
pub(super) fn index_of_copy(index: &Index, root: &Path, id_length: usize) -> io::Result<Vec<u8>> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let of = |entry: Entry<'_>| {
        let path = root.join(OsStr::from_bytes(entry.path()));
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Status::Of(numbers(&metadata))),
            // What was not laid out, on purpose.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Status::Known),
            Err(error) => Err(error),
        }
    };
    let entries: io::Result<Vec<_>> = index.iter().map(|entry| Ok((entry, of(entry)?))).collect();
    Ok(write(&entries?, id_length))
}

/// What git notes of a file, of each number the lower 32 bits: when it was changed and written, where it is, whose it is and how large.
fn numbers(metadata: &std::fs::Metadata) -> [u32; 9] {
    use std::os::unix::fs::MetadataExt as _;
    [
        metadata.ctime() as u32,
        metadata.ctime_nsec() as u32,
        metadata.mtime() as u32,
        metadata.mtime_nsec() as u32,
        metadata.dev() as u32,
        metadata.ino() as u32,
        metadata.uid(),
        metadata.gid(),
        metadata.size() as u32,
    ]
}
