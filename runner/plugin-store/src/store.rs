//! Components on this machine, by digest.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::COMPONENT_LIMIT;
use crate::digest::Digest;
use crate::failure::StoreError;

/// How the names of unfinished files begin.
const UNFINISHED: &str = ".incoming-";

/// An unfinished file that is older was left by a process that was killed: no download may take as long.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A directory of components: `sha256/<hex>.wasm`, each written at once and never changed. Only its owner may look into it.
#[derive(Debug, Clone)]
pub struct Store {
    files: PathBuf,
}

/// A component in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A component on its way into the store.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: NamedTempFile,
    files: PathBuf,
    hash: Sha256,
    size: u64,
}

impl Store {
    /// The store in this directory, which is made when something is stored.
    pub fn new(directory: &Path) -> Self {
        Self {
            files: directory.join("sha256"),
        }
    }

    /// Where the component with this digest is, if it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.files.join(format!("{}.wasm", digest.hex()))
    }

    /// Whether it is there; its bytes are not looked at.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// The bytes with this digest, verified; `None` if they are not there. What has another digest, or is too large, is
    /// damaged: it is removed, and is not there.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or a damaged one not be removed.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(digest);
        let bytes = match read_limited(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::disk(&error)),
        };
        if let Some(bytes) = bytes.filter(|bytes| Digest::of(bytes) == *digest) {
            return Ok(Some(bytes));
        }
        tracing::warn!(path = %path.display(), "a stored component is damaged and is removed");
        fs_err::remove_file(&path).map_err(|error| StoreError::disk(&error))?;
        Ok(None)
    }

    /// Stores a component.
    ///
    /// # Errors
    ///
    /// If it is too large, or cannot be written.
    pub fn add(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let mut incoming = self.incoming()?;
        incoming.write(bytes)?;
        incoming.keep()
    }

    /// Begins to store a component.
    pub(crate) fn incoming(&self) -> Result<Incoming, StoreError> {
        let disk = |error: std::io::Error| {
            StoreError::environment(format!("writing to {}: {error}", self.files.display()))
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.files)
            .map_err(disk)?;
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(&self.files)
            .map_err(disk)?;
        Ok(Incoming {
            file,
            files: self.files.clone(),
            hash: Sha256::new(),
            size: 0,
        })
    }

    /// All components, by digest.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Stored>, StoreError> {
        let mut stored = Vec::new();
        for (path, size, _) in self.entries()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let hex = name.strip_suffix(".wasm").unwrap_or_default();
            if let Ok(digest) = format!("sha256:{hex}").parse() {
                stored.push(Stored { digest, size });
            }
        }
        stored.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(stored)
    }

    /// Removes all components but these, and what killed processes have left; gives what was removed.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read, or a file not be removed.
    pub fn prune(&self, keep: &BTreeSet<Digest>) -> Result<Vec<Stored>, StoreError> {
        let mut removed = self.list()?;
        removed.retain(|stored| !keep.contains(&stored.digest));
        for stored in &removed {
            remove(&self.path(&stored.digest))?;
        }
        for (path, _, modified) in self.entries()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
            if name.starts_with(UNFINISHED) && age.is_some_and(|age| age > STALE) {
                remove(&path)?;
            }
        }
        Ok(removed)
    }

    /// Path, size and time of each regular file.
    fn entries(&self) -> Result<Vec<(PathBuf, u64, Option<SystemTime>)>, StoreError> {
        let entries = match fs_err::read_dir(&self.files) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::disk(&error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| StoreError::disk(&error))?;
            // Another process may just have removed it.
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                files.push((entry.path(), metadata.len(), metadata.modified().ok()));
            }
        }
        Ok(files)
    }
}

impl Incoming {
    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.size += bytes.len() as u64;
        if self.size > COMPONENT_LIMIT {
            return Err(too_large());
        }
        self.hash.update(bytes);
        self.file
            .write_all(bytes)
            .map_err(|error| self.failed(&error))
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The digest of what has been written.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_hash(self.hash.clone())
    }

    /// Ends it: from now on the component is in the store.
    pub(crate) fn keep(self) -> Result<Digest, StoreError> {
        let digest = self.digest();
        let file = self.file.as_file();
        file.set_permissions(Permissions::from_mode(0o400))
            .and_then(|()| file.sync_all())
            .map_err(|error| self.failed(&error))?;
        let path = self.files.join(format!("{}.wasm", digest.hex()));
        self.file.persist(&path).map_err(|error| {
            StoreError::environment(format!("writing {}: {}", path.display(), error.error))
        })?;
        Ok(digest)
    }

    fn failed(&self, error: &std::io::Error) -> StoreError {
        StoreError::environment(format!("writing to {}: {error}", self.files.display()))
    }
}

/// The bytes of a file; `None` if there are more than a component may have.
pub(crate) fn read_limited(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut file = fs_err::File::open(path)?.take(COMPONENT_LIMIT + 1);
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= COMPONENT_LIMIT))
}

/// More bytes than a component may have.
pub(crate) fn too_large() -> StoreError {
    StoreError::configuration(format!(
        "it has more than {} MiB, the most a component may have",
        COMPONENT_LIMIT >> 20
    ))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::disk(&error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(&directory.path().join("made/when/needed"));
        (directory, store)
    }

    fn files(store: &Store) -> usize {
        fs_err::read_dir(&store.files).unwrap().count()
    }

    #[test]
    fn what_is_stored_is_read_and_is_its_owners_only() {
        let (_directory, store) = store();
        assert_eq!(store.list().unwrap(), []);
        let digest = store.add(b"component").unwrap();
        assert_eq!(digest, Digest::of(b"component"));
        assert_eq!(store.read(&digest).unwrap().unwrap(), b"component");
        let again = store.add(b"component").unwrap();
        assert_eq!(again, digest);
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.path(&digest)), 0o400);
        assert_eq!(mode(&store.files), 0o700);
        assert_eq!(store.list().unwrap(), [Stored { digest, size: 9 }]);
        assert_eq!(store.read(&Digest::of(b"other")).unwrap(), None);
    }

    #[test]
    fn what_is_damaged_is_not_there() {
        let (_directory, store) = store();
        let digest = store.add(b"component").unwrap();
        for damaged in [&b"c0mponent"[..], b"", b"component and more"] {
            let path = store.path(&digest);
            fs_err::remove_file(&path).unwrap();
            fs_err::write(&path, damaged).unwrap();
            assert!(store.contains(&digest));
            assert_eq!(store.read(&digest).unwrap(), None);
            assert!(!store.contains(&digest), "it has been removed");
            store.add(b"component").unwrap();
        }
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let (_directory, store) = store();
        let mut incoming = store.incoming().unwrap();
        incoming.write(b"half").unwrap();
        assert_eq!(store.list().unwrap(), [], "it is not there yet");
        drop(incoming);
        assert_eq!(files(&store), 0);
    }

    #[test]
    fn a_component_has_a_largest_size() {
        let (_directory, store) = store();
        let mut incoming = store.incoming().unwrap();
        let mebibyte = vec![0; 1 << 20];
        for _ in 0..64 {
            incoming.write(&mebibyte).unwrap();
        }
        let error = incoming.write(b"x").unwrap_err();
        assert_eq!(
            error.message,
            "it has more than 64 MiB, the most a component may have"
        );
    }

    #[test]
    fn pruning_keeps_what_is_named_and_what_is_on_its_way() {
        let (_directory, store) = store();
        let kept = store.add(b"kept").unwrap();
        let gone = store.add(b"gone").unwrap();
        let incoming = store.incoming().unwrap();
        let stale = store.files.join(format!("{UNFINISHED}old"));
        fs_err::write(&stale, "left").unwrap();
        let old = SystemTime::now() - 2 * STALE;
        fs_err::File::options()
            .write(true)
            .open(&stale)
            .unwrap()
            .set_modified(old)
            .unwrap();
        let removed = store.prune(&BTreeSet::from([kept.clone()])).unwrap();
        assert_eq!(
            removed,
            [Stored {
                digest: gone,
                size: 4
            }]
        );
        assert!(!stale.exists());
        assert!(store.contains(&kept));
        incoming.keep().unwrap();
        assert_eq!(store.list().unwrap().len(), 2);
    }
}
