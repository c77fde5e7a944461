//! Walking trees that a container wrote: any owner, any mode, any depth, symlinks anywhere.
//!
//! Entries are reached through directory handles and symlinks are never followed, so nothing outside of the
//! tree can be touched. No process of the step is alive while this runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, Permissions, PermissionsExt as _, ReadDir};
use rustix::fs::{Mode, OFlags};

/// Directory handles held at a time while removing.
const DEPTH: usize = 48;

/// What became of a walk over a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Tidied {
    /// All of it was done.
    Done,
    /// Some entries belong to another user and we are not root. A container running as root over the
    /// directory has to open them: `chmod 777` on every directory and `chmod a+rw` on every file, which unlike
    /// `chown` is right under every mapping of users. Then the same call succeeds.
    NeedsReclaim {
        /// How many such entries were met; what is below an unreadable directory is not counted.
        entries: u64,
        /// One of them, relative to the tree.
        example: PathBuf,
    },
}

impl Tidied {
    fn foreign(&mut self, path: impl FnOnce() -> PathBuf) {
        match self {
            Self::Done => {
                *self = Self::NeedsReclaim {
                    entries: 1,
                    example: path(),
                }
            }
            Self::NeedsReclaim { entries, .. } => *entries += 1,
        }
    }
}

/// Opens a directory that is ours by its path.
pub(crate) fn open(path: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

/// Opens the directory `name` of `parent`; a symlink of that name is an error.
pub(super) fn open_child(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    Ok(Dir::from_std_file(handle.into()))
}

/// Makes every directory `a+rwx` and every file `a+rw`, so that any user can go on working. The execute bits
/// of files, which git tracks, stay; set-id and sticky bits go. Devices, sockets and pipes are left alone.
///
/// What is in `root` is changed through `writable`: the same directory, or the overlay that it is a layer of, which must hear of a change.
///
/// # Errors
/// The file system's, with the path.
pub(super) fn open_up(root: &Dir, writable: &Dir) -> io::Result<Tidied> {
    let mut tidied = Tidied::Done;
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let open = |root: &Dir| match path.as_os_str().is_empty() {
            true => root.try_clone(),
            false => root.open_dir(&path),
        };
        let opened = open(root).and_then(|directory| Ok((directory.entries()?, open(writable)?)));
        let (entries, directory) = match opened {
            Ok(opened) => opened,
            Err(error) if is_denied(&error) => {
                tidied.foreign(|| path);
                continue;
            }
            // Deeper than a path can be long: git does not get there either.
            Err(error) if is_too_long(&error) => continue,
            Err(error) => return Err(at(&path, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| at(&path, &error))?;
            let name = entry.file_name();
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if is_denied(&error) => {
                    tidied.foreign(|| path.join(&name));
                    continue;
                }
                Err(error) => return Err(at(&path.join(&name), &error)),
            };
            let mode = metadata.mode() & 0o7777;
            let (wanted, enough) = if metadata.is_dir() {
                (0o777, mode & 0o1777 == 0o777)
            } else if metadata.is_file() {
                (mode & 0o777 | 0o666, mode & 0o666 == 0o666)
            } else {
                continue;
            };
            if mode != wanted {
                let to = Permissions::from_mode(wanted);
                match directory.set_permissions(&name, to) {
                    Ok(()) => {}
                    // Somebody else's, but open already.
                    Err(error) if is_denied(&error) && enough => {}
                    Err(error) if is_denied(&error) => {
                        tidied.foreign(|| path.join(&name));
                        continue;
                    }
                    Err(error) => return Err(at(&path.join(&name), &error)),
                }
            }
            if metadata.is_dir() {
                pending.push(path.join(&name));
            }
        }
    }
    Ok(tidied)
}

/// About what a tree of our own takes on the disk, in bytes. What cannot be looked at does not count.
pub(crate) fn size(root: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    const BLOCK: u64 = 512;
    let mut size = 0;
    let mut pending = vec![root.to_path_buf()];
    while let Some(path) = pending.pop() {
        let Ok(metadata) = fs_err::symlink_metadata(&path) else {
            continue;
        };
        size += metadata.blocks() * BLOCK;
        if metadata.is_dir()
            && let Ok(entries) = fs_err::read_dir(&path)
        {
            pending.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    size
}

/// Who has to be able to use files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The user that runs Capstan: has to read them.
    Runner,
    /// Any user of a container: has to write to them.
    Everybody,
}

/// Whether all that is in a tree can be used by `whom`, as far as modes tell.
///
/// # Errors
/// The file system's, with the path.
pub(super) fn is_open_to(root: &Dir, whom: Whom) -> io::Result<Tidied> {
    let (of_directories, of_files) = match whom {
        Whom::Runner => (0o005, 0o004),
        Whom::Everybody => (0o007, 0o006),
    };
    let mut tidied = Tidied::Done;
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let directory = match path.as_os_str().is_empty() {
            true => root.try_clone(),
            false => root.open_dir(&path),
        };
        let entries = match directory.and_then(|directory| directory.entries()) {
            Ok(entries) => entries,
            Err(error) if is_denied(&error) => {
                tidied.foreign(|| path);
                continue;
            }
            Err(error) if is_too_long(&error) => continue,
            Err(error) => return Err(at(&path, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| at(&path, &error))?;
            let path = path.join(entry.file_name());
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if is_denied(&error) => {
                    tidied.foreign(|| path);
                    continue;
                }
                Err(error) => return Err(at(&path, &error)),
            };
            let wanted = match (metadata.is_dir(), metadata.is_file()) {
                (true, _) => of_directories,
                (_, true) => of_files,
                _ => continue,
            };
            if metadata.mode() & wanted != wanted {
                tidied.foreign(|| path);
            } else if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(tidied)
}

/// Removes the directory `name` of `parent` with all that is in it. Not being there is fine.
///
/// # Errors
/// The file system's, with the path.
pub(crate) fn remove(parent: &Dir, name: &OsStr) -> io::Result<Tidied> {
    let root = match enter(parent, name) {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tidied::Done),
        Err(error) => return Err(at(Path::new(name), &error)),
    };
    let tidied = clear(&root)?;
    if tidied != Tidied::Done {
        return Ok(tidied);
    }
    parent
        .remove_dir(name)
        .map_err(|error| at(Path::new(name), &error))?;
    Ok(Tidied::Done)
}

/// Removes all that is in `root`.
///
/// # Errors
/// The file system's, with the path.
pub(crate) fn clear(root: &Dir) -> io::Result<Tidied> {
    let mut moved = 0;
    loop {
        let before = moved;
        let tidied = empty(root, &mut moved)?;
        if tidied != Tidied::Done || moved == before {
            return Ok(tidied);
        }
    }
}

struct Level {
    directory: Dir,
    entries: ReadDir,
    name: OsString,
}

impl Level {
    fn new(directory: Dir, name: OsString) -> io::Result<Self> {
        Ok(Self {
            entries: directory.entries()?,
            directory,
            name,
        })
    }
}

/// Removes everything in `root`. What lies deeper than [`DEPTH`] is moved up into `root`, counted in `moved`, and
/// left for the next round, so neither handles nor the stack run out.
fn empty(root: &Dir, moved: &mut u64) -> io::Result<Tidied> {
    let mut tidied = Tidied::Done;
    let mut stack = vec![Level::new(root.try_clone()?, OsString::new())?];
    while let Some(level) = stack.last_mut() {
        let Some(entry) = level.entries.next() else {
            let done = stack.pop().expect("the loop saw one");
            if let Some(parent) = stack.last() {
                match parent.directory.remove_dir(&done.name) {
                    Ok(()) => {}
                    // Something in it is somebody else's and has been counted.
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                    Err(error) if is_denied(&error) => {
                        tidied.foreign(|| place(&stack, &done.name));
                    }
                    Err(error) => return Err(at(&place(&stack, &done.name), &error)),
                }
            }
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        let removed = if entry.file_type()?.is_dir() {
            enter(&level.directory, &name).and_then(|child| {
                if stack.len() < DEPTH {
                    stack.push(Level::new(child, name.clone())?);
                    return Ok(());
                }
                let from = &stack.last().expect("it is not empty").directory;
                loop {
                    *moved += 1;
                    let higher = format!(".capstan-removing-{moved}");
                    if root.symlink_metadata(&higher).is_err() {
                        return from.rename(&name, root, &higher);
                    }
                }
            })
        } else {
            level.directory.remove_file(&name)
        };
        match removed {
            Ok(()) => {}
            Err(error) if is_denied(&error) => {
                // Without anything in it, even what is somebody else's can be removed.
                let level = stack.last().map(|level| level.directory.remove_dir(&name));
                if !matches!(level, Some(Ok(()))) {
                    tidied.foreign(|| place(&stack, &name));
                }
            }
            Err(error) => return Err(at(&place(&stack, &name), &error)),
        }
    }
    Ok(tidied)
}

/// Opens a directory for emptying it, whatever its mode.
fn enter(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let mode = parent.symlink_metadata(name)?;
    if mode.is_dir() && mode.mode() & 0o700 != 0o700 {
        parent.set_permissions(name, Permissions::from_mode(0o700))?;
    }
    open_child(parent, name)
}

fn place(stack: &[Level], name: &OsStr) -> PathBuf {
    let mut path: PathBuf = stack.iter().map(|level| level.name.as_os_str()).collect();
    path.push(name);
    path
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

pub(super) fn is_too_long(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NAMETOOLONG)
}

pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn open_up_itself(root: &Dir) -> io::Result<Tidied> {
        open_up(root, root)
    }

    fn set(path: &Path, mode: u32) {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn everything_becomes_writable_but_not_executable() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        fs_err::write(&secret, "").unwrap();
        set(&secret, 0o600);
        set(outside.path(), 0o755);
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        fs_err::create_dir(&closed).unwrap();
        for (name, mode) in [("plain", 0o600), ("program", 0o4700), ("none", 0)] {
            fs_err::write(closed.join(name), "").unwrap();
            set(&closed.join(name), mode);
        }
        symlink(&secret, closed.join("link")).unwrap();
        symlink(outside.path(), closed.join("directory-link")).unwrap();
        set(&closed, 0);
        assert_eq!(
            open_up_itself(&open(root.path()).unwrap()).unwrap(),
            Tidied::Done
        );
        for (name, expected) in [("plain", 0o666), ("program", 0o766), ("none", 0o666)] {
            assert_eq!(mode(&closed.join(name)), expected, "{name}");
        }
        assert_eq!(mode(&closed), 0o777);
        assert_eq!(mode(&secret), 0o600);
        assert_eq!(mode(outside.path()), 0o755);
    }

    #[test]
    fn removal_follows_no_symlink_and_opens_closed_directories() {
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("kept"), "").unwrap();
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("tree");
        fs_err::create_dir_all(root.join("a/b")).unwrap();
        fs_err::write(root.join("a/b/c"), "").unwrap();
        symlink(outside.path(), root.join("a/link")).unwrap();
        set(&root.join("a/b"), 0o500);
        set(&root.join("a"), 0o000);
        let parent_handle = open(parent.path()).unwrap();
        assert_eq!(
            remove(&parent_handle, "tree".as_ref()).unwrap(),
            Tidied::Done
        );
        assert!(!root.exists());
        assert!(outside.path().join("kept").exists());
        // A second time it is not there, which is fine.
        assert_eq!(
            remove(&parent_handle, "tree".as_ref()).unwrap(),
            Tidied::Done
        );
    }

    /// Runs as another user in a process of its own, see the test below.
    #[test]
    #[ignore = "started by another test"]
    fn as_somebody_else() {
        let parent = PathBuf::from(std::env::var_os("CAPSTAN_TEST_TREE").unwrap());
        let parent = open(&parent).unwrap();
        let tree = open_child(&parent, "tree".as_ref()).unwrap();
        let expected = |example: &str| Tidied::NeedsReclaim {
            entries: 1,
            example: example.into(),
        };
        assert_eq!(open_up_itself(&tree).unwrap(), expected("theirs"));
        assert_eq!(
            remove(&parent, "tree".as_ref()).unwrap(),
            expected("theirs/file")
        );
        assert!(tree.symlink_metadata("ours").is_err());
        // As it is after a container has opened everything.
        let opened = open_child(&parent, "opened".as_ref()).unwrap();
        assert_eq!(open_up_itself(&opened).unwrap(), Tidied::Done);
        assert_eq!(remove(&parent, "opened".as_ref()).unwrap(), Tidied::Done);
    }

    #[test]
    fn what_belongs_to_somebody_else_is_reported() {
        use std::os::unix::process::CommandExt as _;
        const NOBODY: u32 = 65534;
        if !rustix::process::geteuid().is_root() {
            return; // Only root can make files of another user.
        }
        let parent = tempfile::tempdir().unwrap();
        let tree = parent.path().join("tree");
        fs_err::create_dir_all(tree.join("theirs")).unwrap();
        fs_err::write(tree.join("theirs/file"), "").unwrap();
        fs_err::write(tree.join("ours"), "").unwrap();
        set(&tree.join("theirs"), 0o755);
        set(&tree.join("theirs/file"), 0o600);
        set(parent.path(), 0o755);
        let opened = parent.path().join("opened");
        fs_err::create_dir_all(opened.join("theirs/deeper")).unwrap();
        fs_err::write(opened.join("theirs/file"), "").unwrap();
        for (name, mode) in [
            ("theirs", 0o2777),
            ("theirs/deeper", 0o777),
            ("theirs/file", 0o666),
        ] {
            set(&opened.join(name), mode);
        }
        let ours = [
            parent.path().to_owned(),
            tree.clone(),
            tree.join("ours"),
            opened,
        ];
        for path in ours {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "workspace::tree::tests::as_somebody_else",
            ])
            .env("CAPSTAN_TEST_TREE", parent.path())
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }

    #[test]
    fn trees_deeper_than_a_path_is_long_are_walked_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let handle = open(parent.path()).unwrap();
        handle.create_dir("tree").unwrap();
        let mut at = open_child(&handle, "tree".as_ref()).unwrap();
        for _ in 0..3000 {
            at.create_dir("dd").unwrap();
            at.write("f", "").unwrap();
            at = open_child(&at, "dd".as_ref()).unwrap();
        }
        let tree = open_child(&handle, "tree".as_ref()).unwrap();
        assert_eq!(open_up_itself(&tree).unwrap(), Tidied::Done);
        assert_eq!(remove(&handle, "tree".as_ref()).unwrap(), Tidied::Done);
        assert!(!parent.path().join("tree").exists());
    }
}
