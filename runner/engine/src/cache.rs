//! Step results on disk: `<directory>/<slug>/<key>.json` (`facts/batch-spec.md` 3.8).
//!
//! The key says everything the result depends on, so an entry never gets stale; it only can be missing or broken.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fault::Fault;
use crate::state::create_private;

/// Limit of an entry in bytes; larger ones are not stored, and not believed.
const ENTRY_LIMIT: u64 = 1024 * 1024 * 1024;

/// The cache of step results.
#[derive(Debug, Clone)]
pub struct StepCache {
    directory: PathBuf,
    /// Whether nothing is stored any more, since storing failed once.
    given_up: Arc<AtomicBool>,
}

/// What a look into the cache found.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The result.
    Hit(T),
    /// Nothing.
    Miss,
    /// Something that is no result. It has been removed; the user should be warned and the step run.
    Corrupt {
        /// Where it was.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

impl StepCache {
    /// A cache in `directory`, which is made when the first result is stored.
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            given_up: Arc::default(),
        }
    }

    /// Looks up the result `key` of the repository and commit `slug`; `decode` reads the content of the file.
    pub fn get<T, E: ToString>(
        &self,
        slug: &str,
        key: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Lookup<T> {
        let Some(path) = self.path(slug, key) else {
            return Lookup::Miss;
        };
        let reason = match read(&path) {
            Ok(None) => return Lookup::Miss,
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(value) => return Lookup::Hit(value),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let _ = fs_err::remove_file(&path);
        Lookup::Corrupt { path, reason }
    }

    /// Stores a result, unless it is too large or its names are too long. Readers see the whole of it or nothing, also
    /// when the machine stops in the middle.
    ///
    /// # Errors
    /// A fault of the environment, once: from then on nothing is stored. The result itself is not lost by it, so
    /// the caller goes on with a warning.
    pub fn put(&self, slug: &str, key: &str, content: &[u8]) -> Result<(), Fault> {
        let Some(path) = self.path(slug, key) else {
            return Ok(());
        };
        if content.len() as u64 > ENTRY_LIMIT || self.given_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&self.directory);
        match store(parent, &path, content) {
            Err(error) if !self.given_up.swap(true, Ordering::Relaxed) => {
                Err(Fault::environment(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Removes a result, if it is there.
    pub fn remove(&self, slug: &str, key: &str) {
        if let Some(path) = self.path(slug, key) {
            let _ = fs_err::remove_file(path);
        }
    }

    /// Repository names end up in slugs; one that is not a single name of a directory has no entry.
    fn path(&self, slug: &str, key: &str) -> Option<PathBuf> {
        let is_name = |name: &str| {
            !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']) && name.len() <= 240
        };
        (is_name(slug) && is_name(key))
            .then(|| self.directory.join(slug).join(format!("{key}.json")))
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        // Whatever is wrong with a directory above is told when something is to be stored there.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(ENTRY_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ENTRY_LIMIT {
        return Err(io::Error::other("it is too large"));
    }
    Ok(Some(bytes))
}

fn store(parent: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    create_private(parent)?;
    // Temporary files are made with mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(parent)?;
    file.write_all(content)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    #[test]
    fn what_was_put_is_found_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let cache = StepCache::open(directory.path().join("c"));
        assert_eq!(cache.get("r-c", "k-step-0", decode), Lookup::Miss);
        cache.put("r-c", "k-step-0", b"{\"a\":1}").unwrap();
        cache.put("r-c", "k-step-0", b"{\"a\":2}").unwrap();
        assert_eq!(
            cache.get("r-c", "k-step-0", decode),
            Lookup::Hit(serde_json::json!({"a": 2}))
        );
        let slug = directory.path().join("c/r-c");
        for (path, mode) in [(slug.clone(), 0o700), (slug.join("k-step-0.json"), 0o600)] {
            let found = fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode);
        }
        assert_eq!(fs_err::read_dir(&slug).unwrap().count(), 1);
        cache.remove("r-c", "k-step-0");
        assert_eq!(cache.get("r-c", "k-step-0", decode), Lookup::Miss);
    }

    #[test]
    fn a_broken_entry_is_told_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = StepCache::open(directory.path());
        cache.put("r", "k", b"{\"cut of").unwrap();
        let Lookup::Corrupt { path, reason } = cache.get("r", "k", decode) else {
            panic!("it is broken");
        };
        assert_eq!(path, directory.path().join("r/k.json"));
        assert!(reason.contains("EOF"), "{reason}");
        assert_eq!(cache.get("r", "k", decode), Lookup::Miss);
    }

    #[test]
    fn storing_is_given_up_after_the_first_failure() {
        let directory = tempfile::tempdir().unwrap();
        let in_the_way = directory.path().join("c");
        fs_err::write(&in_the_way, "a file").unwrap();
        let cache = StepCache::open(&in_the_way);
        let error = cache.put("r", "k", b"1").unwrap_err().to_string();
        assert!(error.contains(&*in_the_way.to_string_lossy()), "{error}");
        cache.clone().put("r", "k", b"1").unwrap();
    }

    #[test]
    fn names_cannot_lead_out() {
        let directory = tempfile::tempdir().unwrap();
        let cache = StepCache::open(directory.path().join("c"));
        for (slug, key) in [("..", "k"), ("a", "../../k"), ("a/b", "k"), ("", "k")] {
            cache.put(slug, key, b"1").unwrap();
            assert_eq!(cache.get(slug, key, decode), Lookup::Miss);
        }
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 0);
    }
}
