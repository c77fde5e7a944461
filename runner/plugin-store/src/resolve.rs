//! From a source to bytes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use capstan_core::plugin::Inspection;

use crate::digest::Digest;
use crate::failure::StoreError;
use crate::fetch::Fetcher;
use crate::lock::Lock;
use crate::registry::Reference;
use crate::source::Source;
use crate::store::{Store, read_limited, too_large};

/// Finds the bytes of components for a run: never downloads what the lock, or the configuration, does not name by digest.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// Components on this machine.
    pub store: Store,
    /// What is pinned.
    pub lock: Lock,
    /// Where the lock was read from, for messages.
    pub lock_path: PathBuf,
    /// The command that adds sources, which follow it, to this lock, for messages: `capstan plugin pull`.
    pub pull: String,
    /// What downloads components that are pinned and not in the store.
    pub fetcher: Fetcher,
}

/// A component's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `sha256:...` of the bytes.
    pub digest: String,
}

impl Resolver {
    /// The bytes of `source`. `digest`: what the configuration pins, which goes before the lock; `directory`: what relative paths
    /// start from.
    ///
    /// # Errors
    ///
    /// If a remote source is pinned nowhere, if the bytes have another digest, or if they cannot be read or fetched.
    pub async fn resolve(
        &self,
        source: &Source,
        digest: Option<&str>,
        directory: &Path,
    ) -> Result<Resolved, StoreError> {
        let configured = digest
            .map(str::parse::<Digest>)
            .transpose()
            .map_err(|error| {
                StoreError::configuration(format!("the digest of {source}: {error}"))
            })?;
        let locked = self.lock.get(source).map(|locked| &locked.digest);
        let pinned = configured.as_ref().or(locked);
        let bytes = match (source, pinned) {
            (Source::Path(path), _) => read(&directory.join(path), source, pinned)?,
            (_, Some(pinned)) => self.stored(source, pinned).await?,
            // The digest of a manifest pins what the manifest names.
            (Source::Oci(reference), None) if reference.digest.is_some() => {
                let fetched = self.fetcher.fetch(source, &self.store).await?;
                self.stored(source, &fetched.digest).await?
            }
            (_, None) => {
                return Err(StoreError::configuration(format!(
                    "{source} is not locked: {} does not say which bytes it stands for",
                    self.lock_path.display()
                ))
                .hint(format!(
                    "look at it with `capstan plugin inspect {source}`, and lock it with `{} {source}`",
                    self.pull
                )));
            }
        };
        let digest = Digest::of(&bytes).to_string();
        Ok(Resolved { bytes, digest })
    }

    /// Whether a component may ask for what it asks for: for no more than the lock accepts.
    ///
    /// # Errors
    ///
    /// If it asks for more; the hint says how to accept that.
    pub fn check(&self, source: &Source, inspection: &Inspection) -> Result<(), StoreError> {
        self.lock.check(source, inspection).map_err(|widened| {
            StoreError::configuration(widened.to_string()).hint(format!(
                "if that is as it should be, accept it with `{} --accept {source}`",
                self.pull
            ))
        })
    }

    /// The bytes with this digest, from the store if they are there.
    async fn stored(&self, source: &Source, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if let Some(bytes) = self.store.read(digest)? {
            return Ok(bytes);
        }
        self.fetcher
            .fetch_exactly(source, digest, &self.store)
            .await
            .map_err(|mut error| {
                error.message = format!("fetching {source}: {}", error.message);
                if error.hint.is_none() {
                    error.hint = Some(format!(
                        "if it was replaced, get what is there now with `{} --update {source}`",
                        self.pull
                    ));
                }
                error
            })?;
        self.store.read(digest)?.ok_or_else(|| {
            StoreError::environment(format!(
                "{} is damaged right after it was written",
                self.store.path(digest).display()
            ))
            .hint("check the disk")
        })
    }
}

/// The bytes of a file.
fn read(path: &Path, source: &Source, pinned: Option<&Digest>) -> Result<Vec<u8>, StoreError> {
    let bytes = read_limited(path)
        .map_err(|error| {
            let failure = StoreError::configuration(error.to_string());
            match Reference::parse(&source.to_string()) {
                Some(reference)
                    if error.kind() == ErrorKind::NotFound && reference.has_registry() =>
                {
                    failure.hint(format!("for a registry write oci://{source}"))
                }
                _ => failure,
            }
        })?
        .ok_or_else(|| {
            let mut error = too_large();
            error.message = format!("{}: {}", path.display(), error.message);
            error
        })?;
    let actual = Digest::of(&bytes);
    match pinned {
        Some(pinned) if *pinned != actual => Err(StoreError::configuration(format!(
            "{} has changed: it is {actual}, and the configuration wants {pinned}",
            path.display()
        ))
        .hint("if that is as it should be, correct the digest in capstan.toml")),
        _ => Ok(bytes),
    }
}
