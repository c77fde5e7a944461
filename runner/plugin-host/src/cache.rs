//! Compiled code on disk (facts/wasm-plugin-hosts.md 3.4).
//!
//! ```text
//! <directory>/                       mode 0700
//!   <component>-<engine>.cwasm       mode 0400: code, then its authentication code; only ever unlinked, as it is mapped
//!   .new-...                         being written
//! ```
//!
//! The name has the digest of the component, and one of everything that the engine compiles into code: the exact version
//! of wasmtime, its settings, and the version of this crate. Code is believed if it was authenticated with a key that lies elsewhere.

use std::collections::HashSet;
use std::fs::{DirBuilder, Permissions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

/// The part of a name that says that a file is code.
const CODE: &str = ".cwasm";
/// What a file that is being written begins with.
const NEW: &str = ".new-";
/// Age at which nobody writes such a file any more.
const STALE: Duration = Duration::from_secs(60 * 60);
/// Bytes of the key, and of an authentication code.
const KEY: usize = 32;

type Authentication = Hmac<Sha256>;

/// The directory of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    /// With the key, and nothing else yet.
    authentication: Authentication,
    engine: String,
    limit: u64,
    /// Names of the files that this process has authenticated, or written.
    believed: Mutex<HashSet<String>>,
}

impl Cache {
    /// Opens it; makes the directory and the key where they are missing.
    pub(crate) fn open(
        directory: &Path,
        key: &Path,
        limit: u64,
        engine: &Engine,
    ) -> io::Result<Self> {
        make_private(directory)?;
        let directory = fs::canonicalize(directory)?;
        let key = read_or_make_key(key, &directory)?;
        let authentication = Authentication::new_from_slice(&key).map_err(io::Error::other)?;
        Ok(Self {
            directory,
            authentication,
            engine: identity(engine),
            limit,
            believed: Mutex::default(),
        })
    }

    /// Path of the code of a component, if it is there and authentic. What is not is deleted.
    pub(crate) fn find(&self, component: &str) -> io::Result<Option<PathBuf>> {
        let name = self.name(component);
        let path = self.directory.join(&name);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !self.is_believed(&name) {
            if !self.is_authentic(&name, &file)? {
                tracing::warn!(
                    "{} was not written by this user's capstan, or is damaged; compiling again",
                    path.display()
                );
                fs::remove_file(&path)?;
                return Ok(None);
            }
            self.believe(name);
        }
        // The time of the last use, by which it is decided what goes first.
        let _ = file.file().set_modified(SystemTime::now());
        Ok(Some(path))
    }

    /// Keeps the code of a component, makes room for it, and gives its path.
    pub(crate) fn keep(&self, component: &str, code: &[u8]) -> io::Result<PathBuf> {
        let name = self.name(component);
        let path = self.directory.join(&name);
        let mut file = tempfile::Builder::new()
            .prefix(NEW)
            .permissions(Permissions::from_mode(0o400))
            .tempfile_in(&self.directory)?;
        file.write_all(code)?;
        file.write_all(&self.authenticate(&name, code).finalize().into_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        fs::File::open(&self.directory)?.sync_all()?;
        self.believe(name.clone());
        self.make_room(&name)?;
        Ok(path)
    }

    /// Forgets the code of a component.
    pub(crate) fn forget(&self, component: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(self.name(component)))
    }

    fn name(&self, component: &str) -> String {
        let component = component.trim_start_matches("sha256:");
        format!("{component}-{}{CODE}", self.engine)
    }

    /// Over the name as well: authentic code of another component is not authentic.
    fn authenticate(&self, name: &str, code: &[u8]) -> Authentication {
        self.authentication
            .clone()
            .chain_update(name.as_bytes())
            .chain_update([0])
            .chain_update(code)
    }

    fn is_authentic(&self, name: &str, mut file: &fs::File) -> io::Result<bool> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes
            .split_last_chunk::<KEY>()
            .is_some_and(|(code, tag)| self.authenticate(name, code).verify_slice(tag).is_ok()))
    }

    fn is_believed(&self, name: &str) -> bool {
        self.believed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    fn believe(&self, name: String) {
        self.believed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
    }

    /// Deletes what was used longest ago until the rest is within the limit, but not `kept`. Instances that run are not disturbed: a file that is
    /// mapped stays until it is unmapped.
    fn make_room(&self, kept: &str) -> io::Result<()> {
        let mut files = Vec::new();
        let mut sum = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let name = entry.file_name();
            let used = metadata.modified()?;
            if name.to_string_lossy().starts_with(NEW) {
                if used.elapsed().is_ok_and(|age| age > STALE) {
                    let _ = fs::remove_file(entry.path());
                }
                continue;
            }
            sum += metadata.len();
            if name != kept {
                files.push((used, metadata.len(), entry.path()));
            }
        }
        files.sort();
        for (_, size, path) in files {
            if sum <= self.limit {
                break;
            }
            // Another process may have been quicker.
            let _ = fs::remove_file(path);
            sum -= size;
        }
        Ok(())
    }
}

/// A directory that is this user's alone.
fn make_private(directory: &Path) -> io::Result<()> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = fs::metadata(directory)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(
            "it belongs to another user, who could put code there: choose another directory",
        ));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn read_or_make_key(path: &Path, directory: &Path) -> io::Result<[u8; KEY]> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    if fs::canonicalize(parent)?.starts_with(directory) {
        return Err(io::Error::other(format!(
            "the key {} must not lie with the code that it authenticates",
            path.display()
        )));
    }
    if !path.try_exists()? {
        let mut key = [0; KEY];
        fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        let mut file = tempfile::Builder::new()
            .prefix(NEW)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(parent)?;
        file.write_all(&key)?;
        file.as_file().sync_all()?;
        // Another process may have been quicker; then its key counts.
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error.error);
            }
            _ => {}
        }
    }
    let metadata = fs::metadata(path)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "others could read the key {}: delete it",
            path.display()
        )));
    }
    fs::read(path)?.try_into().map_err(|_| {
        io::Error::other(format!(
            "the key {} does not have {KEY} bytes: delete it",
            path.display()
        ))
    })
}

/// A digest of everything that decides what code looks like.
fn identity(engine: &Engine) -> String {
    let mut hasher = Collector(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.update(env!("CARGO_PKG_VERSION"));
    hex(&hasher.0.finalize())
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A `Hasher` that is the same in every process.
struct Collector(Sha256);

impl Hasher for Collector {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not called: the digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
