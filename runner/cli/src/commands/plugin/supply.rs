//! Where the plugins of the settings come from, and what is known of that: the store, the lock, the network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use capstan_core::plugin::{Entry, Inspection};
use capstan_engine::docker;
use capstan_plugin_store::registry::{Credentials, Reference};
use capstan_plugin_store::{Digest, Fetcher, Lock, Progress, Source, Store};

use super::anatomy::{Anatomy, Kind};
use super::component;
use super::measure::bytes;
use crate::config::{Config, Environment};
use crate::failure::Failed;
use crate::printer;

/// How often a download is told to go on.
const TELL: Duration = Duration::from_secs(2);

/// What the commands that get and list plugins work with.
pub(super) struct Supply {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) lock: Lock,
    pub(super) lock_path: PathBuf,
    pub(super) fetcher: Fetcher,
}

impl Supply {
    /// Reads the settings and the lock. `lock`: another lock file than the one beside the settings.
    pub(super) fn open(
        lock: Option<&Path>,
        config_file: Option<&Path>,
        environment: &Environment,
    ) -> Result<Self, Failed> {
        let config = component::settings(config_file, environment)?;
        for warning in &config.warnings {
            printer::warning(warning);
        }
        let lock_path = lock.map_or_else(|| config.lock_path(), Path::to_path_buf);
        Ok(Self {
            store: Store::new(&config.cache_dir.join("components")),
            lock: Lock::read(&lock_path).map_err(Failed::usage)?,
            lock_path,
            fetcher: Fetcher::new(credentials(environment), told()),
            config,
        })
    }

    /// The plugins of the settings, each with its source.
    pub(super) fn configured(&self) -> Result<Vec<(&Entry, Source)>, Failed> {
        let entries = self.config.plugins.iter();
        entries
            .map(|entry| {
                let source = entry.source.parse().map_err(|error| {
                    Failed::usage(format!("the source of the plugin {}: {error}", entry.name))
                })?;
                Ok((entry, source))
            })
            .collect()
    }

    /// Sees to it that the store has exactly these bytes of a source.
    pub(super) async fn get(&self, source: &Source, digest: &Digest) -> Result<(), Failed> {
        if self.store.read(digest)?.is_none() {
            let fetched = self.fetcher.fetch_exactly(source, digest, &self.store);
            fetched.await?;
        }
        Ok(())
    }

    /// What the store has of a component that was just put there.
    pub(super) fn read(&self, digest: &Digest) -> Result<Vec<u8>, Failed> {
        self.store.read(digest)?.ok_or_else(|| {
            let path = self.store.path(digest);
            Failed::environment(format!("{} is damaged", path.display()))
        })
    }

    /// All digests that the lock and the settings name.
    pub(super) fn named(&self) -> BTreeSet<Digest> {
        let locked = self
            .lock
            .entries
            .values()
            .map(|locked| locked.digest.clone());
        let entries = self.config.plugins.iter();
        let pinned = entries.filter_map(|entry| entry.digest.as_deref()?.parse().ok());
        locked.chain(pinned).collect()
    }
}

/// What to do if this was meant to be in a registry, where it looks like it.
pub(super) fn in_registry(text: &str) -> Option<String> {
    let reference = Reference::parse(text)?;
    let hint = || format!("for a registry write oci://{text}");
    reference.has_registry().then(hint)
}

/// What is to be signed in with at registries: that of `docker login` and `podman login`.
pub(super) fn credentials(environment: &Environment) -> Credentials {
    docker::Environment::read(|name| environment.get(name).map(str::to_owned)).credentials()
}

/// Tells how transfers go on, on standard error.
pub(super) fn told() -> impl Fn(&Source, Progress) + Send + Sync + 'static {
    let last = Mutex::new(Instant::now());
    move |source, progress| match progress {
        Progress::Waiting { wait, reason } => {
            let seconds = wait.as_secs().max(1);
            printer::note(format_args!(
                "{source}: {reason}; trying again in {seconds} s"
            ));
        }
        Progress::Received { done, total } => {
            let Ok(mut last) = last.lock() else { return };
            if last.elapsed() >= TELL {
                *last = Instant::now();
                let total = total.map_or_else(String::new, |total| format!(" of {}", bytes(total)));
                printer::note(format_args!("{source}: {}{total}", bytes(done)));
            }
        }
    }
}

/// What a component is, read off its bytes. `place`: what errors call it.
pub(super) fn inspection(place: &str, bytes: &[u8]) -> Result<Inspection, Failed> {
    let anatomy = Anatomy::read(bytes);
    let wrong = |what: &str| {
        Err(Failed::usage(format!("{place} is {what}")).hint("build it for wasm32-wasip2"))
    };
    match anatomy.kind {
        Kind::Component => {}
        Kind::Module => return wrong("a core module and not a component"),
        Kind::Other => return wrong("not WebAssembly"),
    }
    if let Some(broken) = &anatomy.broken {
        return Err(Failed::usage(format!("{place} is damaged: {broken}")));
    }
    Ok(Inspection {
        digest: Digest::of(bytes).to_string(),
        size: bytes.len() as u64,
        hooks: anatomy.hooks(),
        command: anatomy.is_command(),
        api: anatomy.api(),
        imports: anatomy.imports.into_iter().collect(),
        exports: anatomy.exports.into_iter().collect(),
    })
}
