//! Where in a workspace a path leads, found out before anything is opened.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::quota::Quota;

/// Git's own directory, in the root of a workspace.
const GIT: &str = ".git";

/// How often a look is repeated when something else renames files meanwhile.
const ATTEMPTS: usize = 4;

/// What of the file system an instance may touch, beyond what WASI checks.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) quota: Arc<Quota>,
    /// Real paths of the directories that are shown.
    roots: Vec<PathBuf>,
    /// The workspace, which is the first of them, where it may be written.
    workspace: Option<PathBuf>,
    git_is_hidden: bool,
    /// Listings of a root, which leave out what is hidden there.
    pub(crate) listings: HashSet<u32>,
    /// Whether the instance did, or tried, anything that could change what it is shown.
    pub(crate) is_written: bool,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A file, a directory, or a symbolic link that is not to be followed.
    Ordinary,
    /// A FIFO, a socket or a device: to open it may wait for ever, or do something.
    Special,
    /// Nothing, or nothing that may be reached.
    Nothing,
    /// What the instance must not see.
    Hidden,
}

impl Files {
    /// With the directories at these paths as roots; `workspace`, if the first of them may be written.
    pub(crate) fn new(
        quota: Quota,
        roots: Vec<PathBuf>,
        workspace: bool,
        git_is_hidden: bool,
    ) -> Self {
        Self {
            quota: Arc::new(quota),
            workspace: roots.first().filter(|_| workspace).cloned(),
            roots,
            git_is_hidden,
            listings: HashSet::new(),
            is_written: false,
        }
    }

    /// What is at `path`, seen from `directory`.
    pub(crate) fn look(&self, directory: &File, path: &str, follow: bool) -> Found {
        match beneath(directory, path, follow) {
            Ok(target) => {
                if self.git_is_hidden && self.is_hidden(&target) {
                    Found::Hidden
                } else {
                    kind(&target)
                }
            }
            // WASI comes to the same result, with its own words; but what is not there yet may be about to be made.
            Err(_) if self.git_is_hidden && self.would_be_hidden(directory, path) => Found::Hidden,
            Err(_) => Found::Nothing,
        }
    }

    /// Makes a regular file of the workspace executable for those who may read it, or for nobody. No symbolic link is followed.
    pub(crate) fn set_executable(&self, path: &str, executable: bool) -> io::Result<()> {
        let root = self
            .workspace
            .as_ref()
            .ok_or(io::ErrorKind::ReadOnlyFilesystem)?;
        let root = fs_err::File::open(root)?;
        let file = rustix::fs::openat2(
            root.file(),
            path,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )?;
        if self.git_is_hidden && self.is_hidden(&file) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        let mode = if executable {
            mode | Mode::from_raw_mode((stat.st_mode & 0o444) >> 2)
        } else {
            mode - (Mode::XUSR | Mode::XGRP | Mode::XOTH)
        };
        // A handle that opens nothing cannot change the mode itself.
        rustix::fs::chmod(handle(&file), mode)?;
        Ok(())
    }

    /// Whether `directory` is a root whose listing has to leave something out.
    pub(crate) fn hides_in(&self, directory: &File) -> bool {
        self.git_is_hidden && location(directory).is_ok_and(|path| self.roots.contains(&path))
    }

    /// Whether this entry of such a listing is left out.
    pub(crate) fn is_hidden_name(name: &str) -> bool {
        name == GIT
    }

    /// Whether a symbolic link at `path` may have this target: relative, and not upward out of its root. Further `..` in
    /// its middle may go anywhere when what they go through is a link itself, so they are refused.
    pub(crate) fn may_link(&self, directory: &File, path: &str, target: &str) -> bool {
        let (parent, _) = split(path);
        let Some(depth) = beneath(directory, parent, true)
            .ok()
            .and_then(|parent| self.inside(&location(&parent).ok()?))
            .map(|inside| inside.components().count())
        else {
            return false;
        };
        let mut upward = 0;
        let mut downward = false;
        for component in Path::new(target).components() {
            match component {
                Component::RootDir | Component::Prefix(_) => return false,
                Component::ParentDir if downward => return false,
                Component::ParentDir => upward += 1,
                Component::Normal(_) => downward = true,
                Component::CurDir => {}
            }
        }
        upward <= depth
    }

    /// Whether an open file is git's directory, or in it.
    fn is_hidden(&self, file: &impl AsFd) -> bool {
        match location(file) {
            Ok(path) => self
                .inside(&path)
                .is_some_and(|inside| inside.starts_with(GIT)),
            Err(_) => true,
        }
    }

    fn would_be_hidden(&self, directory: &File, path: &str) -> bool {
        let (parent, name) = split(path);
        match beneath(directory, parent, true) {
            Ok(parent) => match location(&parent).map(|path| path.join(name)) {
                Ok(path) => self
                    .inside(&path)
                    .is_some_and(|inside| inside.starts_with(GIT)),
                Err(_) => true,
            },
            Err(_) => false,
        }
    }

    /// A real path relative to its outermost root.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        self.roots
            .iter()
            .filter_map(|root| path.strip_prefix(root).ok())
            .max_by_key(|inside| inside.as_os_str().len())
            .map(Path::to_owned)
    }
}

/// The real path of an open file. `/proc` is what Linux has for this.
pub(crate) fn location(file: &impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(handle(file))
}

/// The link to an open file.
fn handle(file: &impl AsFd) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// A handle of what is at `path`, below `directory`, without opening it: that neither waits nor does anything.
pub(crate) fn beneath(
    directory: &impl AsFd,
    path: &str,
    follow: bool,
) -> Result<rustix::fd::OwnedFd, Errno> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let mut last = Errno::AGAIN;
    for _ in 0..ATTEMPTS {
        match rustix::fs::openat2(
            directory,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        ) {
            Err(Errno::AGAIN) => last = Errno::AGAIN,
            result => return result,
        }
    }
    Err(last)
}

fn kind(file: &impl AsFd) -> Found {
    let Ok(stat) = rustix::fs::fstat(file) else {
        return Found::Special;
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory | FileType::Symlink => Found::Ordinary,
        _ => Found::Special,
    }
}

/// The directory and the name of a path; `.` for the current directory.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => (".", path),
    }
}
