//! What is kept on disk to be used again: repositories that were fetched, commits that were laid out. When there is too much of it, what was not
//! used for the longest time goes.
//!
//! ```text
//! <cache>/<kind>/<key>/       an entry, whatever is in it
//! <cache>/<kind>/<key>.use    locked (shared) by those who use it; its content is the size, its age the time of the last use
//! <cache>/<kind>/<key>.lock   locked by the one who makes it
//! <cache>/<kind>/.making-*    one that is being made
//! ```
//!
//! Locks are the kernel's, so those of a killed process are gone with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::FlockOperation;

use crate::state::{Lock, create_private, private};
use crate::workspace::{remove_directory, tree};

/// Beginning of the name of what is being made.
const MAKING: &str = ".making-";

/// Beginning of the name of what is being removed.
const GOING: &str = ".going-";

/// Age at which what is being made was left by a process that died.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// Shortest time between two times that a process makes room.
const TIDY: Duration = Duration::from_secs(5);

/// Time between two looks at somebody else's lock.
const LOOK: Duration = Duration::from_millis(20);

/// A directory of entries of several kinds, and how many bytes they may have.
#[derive(Debug, Clone)]
pub struct DiskCache {
    directory: PathBuf,
    limit: u64,
    /// When this process last made room.
    tidied: Arc<Mutex<Option<Instant>>>,
}

/// The entries of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    cache: DiskCache,
    directory: PathBuf,
}

/// Says that an entry is in use: it stays as long as this or a clone of it lives.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<fs_err::File>>);

/// What is used is the same whoever says so.
impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Held"
        } else {
            "Held(nothing)"
        })
    }
}

impl DiskCache {
    /// A cache below `directory` that keeps about `limit` bytes, and no more than half of what its file system can hold; with the largest number it keeps
    /// everything. Nothing is made before it is needed.
    pub fn new(directory: &Path, limit: u64) -> Self {
        Self {
            directory: directory.to_path_buf(),
            limit,
            tidied: Arc::default(),
        }
    }

    /// Its directory, which may not be there yet.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes room in the background, unless that was done a moment ago.
    fn tidy_up(&self) {
        if self.limit == u64::MAX {
            return;
        }
        {
            let mut tidied = self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
            if tidied.is_some_and(|at| at.elapsed() < TIDY) {
                return;
            }
            *tidied = Some(Instant::now());
        }
        let cache = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = cache.make_room() {
                tracing::warn!(%error, "the cache could not be tidied up");
            }
        });
    }

    pub(crate) fn shelf(&self, kind: &str) -> Shelf {
        Shelf {
            cache: self.clone(),
            directory: self.directory.join(kind),
        }
    }

    /// Removes what was not used for the longest time until the rest is within the limit. What is in use stays. When another process is at it, that one
    /// does it.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn make_room(&self) -> io::Result<()> {
        create_private(&self.directory)?;
        let Some(_lock) = Lock::try_take(&self.directory.join("room.lock"))? else {
            return Ok(());
        };
        let mut entries = Vec::new();
        for kind in fs_err::read_dir(&self.directory)? {
            let kind = kind?.path();
            if kind.is_dir() {
                let shelf = Shelf {
                    cache: self.clone(),
                    directory: kind,
                };
                shelf.list(&mut entries)?;
            }
        }
        let limit = self.limit.min(capacity(&self.directory)? / 2);
        let mut size: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.sort_by_key(|entry| entry.used);
        for entry in entries {
            if size <= limit {
                break;
            }
            if entry.shelf.remove(&entry.key)? {
                tracing::debug!(key = entry.key, size = entry.size, "removed from the cache");
                size -= entry.size;
            }
        }
        Ok(())
    }
}

struct Kept {
    shelf: Shelf,
    key: String,
    size: u64,
    used: SystemTime,
}

impl Shelf {
    /// Where the entry of this key is, if there is one. Keys are names of files that do not begin with a dot.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    /// Says that the entry is in use, whether it exists yet or not.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn hold(&self, key: &str) -> io::Result<Held> {
        create_private(&self.directory)?;
        let path = self.use_path(key);
        loop {
            let mut options = fs_err::OpenOptions::new();
            options
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600);
            let file = options.open(&path)?;
            // Only for a moment somebody else has it for itself: to remove the entry.
            rustix::fs::flock(file.file(), FlockOperation::LockShared)?;
            if is_same(&file, &path) {
                file.file().set_modified(SystemTime::now())?;
                return Ok(Held(Some(Arc::new(file))));
            }
        }
    }

    /// Waits until nobody else makes the entry; `told` is called once if somebody does.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) async fn lock(&self, key: &str, mut told: impl FnMut()) -> io::Result<Lock> {
        create_private(&self.directory)?;
        let path = self.directory.join(format!("{key}.lock"));
        let mut has_told = false;
        loop {
            if let Some(lock) = Lock::try_take(&path)? {
                return Ok(lock);
            }
            if !std::mem::replace(&mut has_told, true) {
                told();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A new directory in which an entry is made. Dropping it removes it.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn begin(&self) -> io::Result<tempfile::TempDir> {
        create_private(&self.directory)?;
        tempfile::Builder::new()
            .prefix(MAKING)
            .permissions(private())
            .tempdir_in(&self.directory)
    }

    /// Makes what was made the entry of `key`, all at once. What is there already, as it turned out to be damaged, goes.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn put(&self, key: &str, made: tempfile::TempDir) -> io::Result<()> {
        let path = self.path(key);
        if path.exists() {
            self.clear_away(&path)?;
        }
        fs_err::rename(made.path(), path)?;
        let _ = made.keep();
        Ok(())
    }

    /// Notes the size of an entry that is in use, in bytes; makes room for it in the background.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn weigh(&self, key: &str, size: u64) -> io::Result<()> {
        fs_err::write(self.use_path(key), size.to_string())?;
        self.cache.tidy_up();
        Ok(())
    }

    /// Removes an entry unless it is in use; tells whether it is gone.
    fn remove(&self, key: &str) -> io::Result<bool> {
        let path = self.use_path(key);
        let Some(lock) = Lock::try_take(&path)? else {
            return Ok(false);
        };
        let entry = self.path(key);
        let away = self.aside(&entry)?;
        // Those who wait for the lock see that it is of a file that is gone.
        fs_err::remove_file(&path)?;
        let _ = fs_err::remove_file(self.directory.join(format!("{key}.lock")));
        drop(lock);
        if let Some(away) = away {
            dispose(&away)?;
        }
        Ok(true)
    }

    fn clear_away(&self, entry: &Path) -> io::Result<()> {
        match self.aside(entry)? {
            Some(away) => dispose(&away),
            None => Ok(()),
        }
    }

    /// Gives an entry a name under which nobody looks for it.
    fn aside(&self, entry: &Path) -> io::Result<Option<PathBuf>> {
        let away = tempfile::Builder::new()
            .prefix(GOING)
            .tempdir_in(&self.directory)?
            .keep();
        match fs_err::rename(entry, &away) {
            Ok(()) => Ok(Some(away)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs_err::remove_dir(&away)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds the entries; removes what processes that died have left half-made.
    fn list(&self, entries: &mut Vec<Kept>) -> io::Result<()> {
        for entry in fs_err::read_dir(&self.directory)? {
            let entry = entry?;
            let Ok(key) = entry.file_name().into_string() else {
                continue;
            };
            if !entry.file_type()?.is_dir() {
                continue;
            }
            let path = entry.path();
            let made = entry.metadata()?.modified()?;
            if key.starts_with('.') {
                let left = [MAKING, GOING].iter().any(|prefix| key.starts_with(prefix));
                if left && made.elapsed().is_ok_and(|age| age > FORGOTTEN) {
                    dispose(&path)?;
                }
                continue;
            }
            let of_use = self.use_path(&key);
            let used = fs_err::metadata(&of_use).and_then(|metadata| metadata.modified());
            let size = fs_err::read_to_string(&of_use).unwrap_or_default().parse();
            entries.push(Kept {
                shelf: self.clone(),
                size: size.unwrap_or_else(|_| tree::size(&path)),
                key,
                used: used.unwrap_or(made),
            });
        }
        Ok(())
    }

    fn use_path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}.use"))
    }
}

/// How many bytes the file system of a directory can hold.
fn capacity(directory: &Path) -> io::Result<u64> {
    let status = rustix::fs::statvfs(directory)?;
    Ok(status.f_blocks.saturating_mul(status.f_frsize))
}

fn dispose(directory: &Path) -> io::Result<()> {
    match remove_directory(directory) {
        Ok(_) => Ok(()),
        Err(fault) => Err(io::Error::other(fault.message)),
    }
}

/// Whether the open file is the one of this name.
fn is_same(file: &fs_err::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs_err::metadata(path)) {
        (Ok(ours), Ok(named)) => ours.ino() == named.ino() && ours.dev() == named.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(shelf: &Shelf, key: &str, age: u64) -> Held {
        let held = shelf.hold(key).unwrap();
        let made = shelf.begin().unwrap();
        fs_err::write(made.path().join("content"), [0; 1000]).unwrap();
        shelf.put(key, made).unwrap();
        let of_use = shelf.use_path(key);
        fs_err::write(&of_use, "1000").unwrap();
        let file = fs_err::File::options().write(true).open(of_use).unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        file.file().set_modified(used).unwrap();
        held
    }

    fn keys(cache: &DiskCache) -> Vec<String> {
        let mut entries = Vec::new();
        for kind in ["repositories", "trees"] {
            let _ = cache.shelf(kind).list(&mut entries);
        }
        let mut keys: Vec<String> = entries.into_iter().map(|entry| entry.key).collect();
        keys.sort();
        keys
    }

    #[test]
    fn what_was_not_used_for_longest_goes_unless_it_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(directory.path(), 2500);
        let (repositories, trees) = (cache.shelf("repositories"), cache.shelf("trees"));
        drop(entry(&repositories, "old", 50));
        let oldest = entry(&trees, "oldest", 90);
        drop(entry(&trees, "older", 70));
        drop(entry(&trees, "new", 1));
        cache.make_room().unwrap();
        assert_eq!(keys(&cache), ["new", "oldest"]);
        drop(oldest);
        let smaller = DiskCache::new(directory.path(), 1500);
        smaller.make_room().unwrap();
        assert_eq!(keys(&smaller), ["new"]);
        // Nothing but the entry, its note of use, and the lock of who tidies up.
        let left = fs_err::read_dir(directory.path().join("trees"))
            .unwrap()
            .count();
        assert_eq!(left, 2);
    }

    #[test]
    fn using_an_entry_keeps_it_longer() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(directory.path(), 1500);
        let shelf = cache.shelf("trees");
        drop(entry(&shelf, "a", 90));
        drop(entry(&shelf, "b", 50));
        drop(shelf.hold("a").unwrap());
        cache.make_room().unwrap();
        assert_eq!(keys(&cache), ["a"]);
    }

    #[test]
    fn what_a_process_left_half_made_is_no_entry_and_goes_a_day_later() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(directory.path(), 1 << 20);
        let shelf = cache.shelf("trees");
        let left = shelf.begin().unwrap().keep();
        fs_err::write(left.join("half"), "").unwrap();
        cache.make_room().unwrap();
        assert!(left.exists());
        assert_eq!(keys(&cache), [""; 0]);
        let handle = fs_err::File::open(&left).unwrap();
        let long_ago = SystemTime::now() - FORGOTTEN * 2;
        handle.file().set_modified(long_ago).unwrap();
        cache.make_room().unwrap();
        assert!(!left.exists());
    }

    #[tokio::test]
    async fn one_makes_and_the_others_wait() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = DiskCache::new(directory.path(), 0).shelf("trees");
        let first = shelf.lock("a", || unreachable!()).await.unwrap();
        let (other, mut told) = (shelf.clone(), false);
        let waiting = other.lock("a", || told = true);
        let tell = async {
            tokio::time::sleep(LOOK * 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(waiting, tell);
        second.unwrap();
        assert!(told);
    }
}
