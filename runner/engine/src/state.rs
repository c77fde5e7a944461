//! The state directory: one directory per run, locked for the life of its process, so that what a killed
//! process left can be told from what a living one uses.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::FlockOperation;

use crate::fault::Fault;
use crate::workspace::{Tidied, overlay, tree};

/// Characters of a run's id.
const ID_LENGTH: usize = 12;

/// An exclusive lock on a file, held until dropped. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: fs_err::File,
}

impl Lock {
    /// Takes the lock, making the file if need be; `None` when somebody else has it.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let mut options = fs_err::OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(path)?;
        match rustix::fs::flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes a directory that only its owner may enter, with its parents.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Bytes that may still be written below `directory`.
///
/// # Errors
/// What the file system says.
pub fn free_space(directory: &Path) -> io::Result<u64> {
    let status = rustix::fs::statvfs(directory)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// The mode of directories that only their owner may enter.
pub(crate) fn private() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

/// `<state>/runs/<run id>/`, each with a `lock` file.
#[derive(Debug, Clone)]
pub struct State {
    runs: PathBuf,
}

/// The directory of a running process; locked until dropped. Dropping does not remove it.
#[derive(Debug)]
pub struct Run {
    id: String,
    directory: PathBuf,
    _lock: Lock,
}

/// The directory of a process that is gone. It is locked, so no other sweep takes it at the same time.
#[derive(Debug)]
pub struct DeadRun {
    id: String,
    directory: PathBuf,
    _lock: Lock,
}

impl State {
    /// Opens the state directory, making it if need be (mode 0700).
    ///
    /// # Errors
    /// A fault of the environment when it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, Fault> {
        let runs = directory.join("runs");
        create_private(&runs).map_err(|error| {
            Fault::environment(format!("creating the state directory: {error}"))
                .hint("name another directory, or make this one writable")
        })?;
        Ok(Self { runs })
    }

    /// Starts a run: a new directory under a new id of lower-case letters and digits.
    ///
    /// # Errors
    /// A fault of the environment when it cannot be made.
    pub fn new_run(&self) -> Result<Run, Fault> {
        self.try_new_run().map_err(|error| {
            Fault::environment(format!("creating a directory for this run: {error}"))
        })
    }

    fn try_new_run(&self) -> io::Result<Run> {
        // It gets its name only once it is locked: a sweep must not see it unlocked.
        let aside = tempfile::Builder::new()
            .prefix(".new-")
            .rand_bytes(ID_LENGTH)
            .permissions(private())
            .tempdir_in(&self.runs)?;
        let lock = Lock::try_take(&aside.path().join("lock"))?
            .ok_or_else(|| io::Error::other("the lock of a new run is taken"))?;
        let name = aside.path().file_name().unwrap_or_default();
        let id = name
            .to_string_lossy()
            .trim_start_matches(".new-")
            .to_ascii_lowercase();
        let directory = self.runs.join(&id);
        fs_err::rename(aside.path(), &directory)?;
        let _ = aside.keep();
        Ok(Run {
            id,
            directory,
            _lock: lock,
        })
    }

    /// The runs whose process is gone. First remove their containers, which are labelled with the id, then call
    /// [`DeadRun::remove`].
    ///
    /// # Errors
    /// A fault of the environment when the directory cannot be read.
    pub fn dead_runs(&self) -> Result<Vec<DeadRun>, Fault> {
        let failed = |error: io::Error| {
            Fault::environment(format!("looking for what is left of earlier runs: {error}"))
        };
        let mut dead = Vec::new();
        for entry in fs_err::read_dir(&self.runs).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let id = entry.file_name().to_string_lossy().into_owned();
            if id.starts_with('.') && !is_old(&entry.path())
                || !entry.file_type().map_err(failed)?.is_dir()
            {
                continue;
            }
            match Lock::try_take(&entry.path().join("lock")) {
                Ok(Some(lock)) => dead.push(DeadRun {
                    id,
                    directory: entry.path(),
                    _lock: lock,
                }),
                Ok(None) => {}
                // It went away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(dead)
    }

    /// Whether the process of a run is gone. One that was never heard of is.
    pub fn is_dead(&self, id: &str) -> bool {
        if id.contains('/') || id.starts_with('.') || id.is_empty() {
            return true;
        }
        let lock = self.runs.join(id).join("lock");
        !lock.is_file() || matches!(Lock::try_take(&lock), Ok(Some(_)))
    }
}

impl Run {
    /// Its id, unique on this machine.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its directory, mode 0700.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes the directory at the end of the run.
    ///
    /// # Errors
    /// A fault of the environment when something cannot be removed.
    pub fn remove(&self) -> Result<Tidied, Fault> {
        remove(&self.directory)
    }
}

impl DeadRun {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes the directory.
    ///
    /// # Errors
    /// A fault of the environment when something cannot be removed.
    pub fn remove(&self) -> Result<Tidied, Fault> {
        remove(&self.directory)
    }
}

/// Whether a directory that never got its name was left by a process that died while making it.
fn is_old(path: &Path) -> bool {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
    let modified = fs_err::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > HOUR))
}

/// Removes all but the lock first: while something is left, the directory must be found again.
fn remove(directory: &Path) -> Result<Tidied, Fault> {
    let inner = || -> io::Result<Tidied> {
        overlay::unmount_below(directory)?;
        let handle = tree::open(directory)?;
        let names: Vec<OsString> = handle
            .entries()?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<_>>()?;
        for name in names {
            if name == "lock" {
                continue;
            }
            if handle.symlink_metadata(&name)?.is_dir() {
                let tidied = tree::remove(&handle, &name)?;
                if tidied != Tidied::Done {
                    return Ok(tidied);
                }
            } else {
                handle.remove_file(&name)?;
            }
        }
        let (parent, name) = (directory.parent(), directory.file_name());
        match (parent, name) {
            (Some(parent), Some(name)) => tree::remove(&tree::open(parent)?, name),
            _ => Err(io::Error::other("it has no parent")),
        }
    };
    match inner() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tidied::Done),
        result => result.map_err(|error| {
            Fault::environment(format!("removing {}: {error}", directory.display()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_run_is_not_swept_and_a_dead_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path()).unwrap();
        let living = state.new_run().unwrap();
        let killed = state.new_run().unwrap();
        let (killed_id, killed_directory) = (killed.id().to_owned(), killed.directory().to_owned());
        fs_err::create_dir_all(killed_directory.join("w/work/deep")).unwrap();
        drop(killed);

        assert!(!state.is_dead(living.id()));
        assert!(state.is_dead(&killed_id));
        assert!(state.is_dead("never-heard-of"));
        assert!(state.is_dead("../runs"));
        let dead = state.dead_runs().unwrap();
        assert_eq!(
            dead.iter().map(DeadRun::id).collect::<Vec<_>>(),
            [killed_id.as_str()]
        );
        assert_eq!(dead[0].remove().unwrap(), Tidied::Done);
        assert!(!killed_directory.exists());
        assert!(living.directory().exists());
        drop(dead);
        assert!(state.dead_runs().unwrap().is_empty());
        assert_eq!(living.remove().unwrap(), Tidied::Done);
        assert!(state.is_dead(living.id()));
    }

    #[test]
    fn what_a_process_left_while_starting_is_swept_an_hour_later() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path()).unwrap();
        let half_made = directory.path().join("runs/.new-abc");
        fs_err::create_dir(&half_made).unwrap();
        assert!(state.dead_runs().unwrap().is_empty());
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
        let handle = fs_err::File::open(&half_made).unwrap();
        handle.file().set_modified(long_ago).unwrap();
        let dead = state.dead_runs().unwrap();
        assert_eq!(dead[0].remove().unwrap(), Tidied::Done);
        assert!(!half_made.exists());
    }

    #[test]
    fn two_sweeps_do_not_take_the_same_run() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path()).unwrap();
        drop(state.new_run().unwrap());
        let first = state.dead_runs().unwrap();
        assert_eq!(first.len(), 1);
        assert!(state.dead_runs().unwrap().is_empty());
    }

    #[test]
    fn run_directories_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state")).unwrap();
        let run = state.new_run().unwrap();
        for path in [run.directory(), run.directory().parent().unwrap()] {
            let mode = fs_err::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
    }
}
