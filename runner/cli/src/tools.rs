//! Git and the cache of remote repositories: all that is needed to look at repositories.

use std::path::Path;

use capstan_engine::disk_cache::DiskCache;
use capstan_engine::git::Git;
use capstan_engine::repository::RemoteCache;

use crate::config::{Config, Environment};
use crate::failure::Failed;

/// What finds repositories.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) git: Git,
    /// Where repositories and their files are kept.
    pub(crate) cache: DiskCache,
    pub(crate) remotes: RemoteCache,
}

/// Directory of repositories and their files, in that of the cache.
pub(crate) const CHECKOUTS: &str = "checkouts";

impl Tools {
    pub(crate) async fn open(config: &Config, environment: &Environment) -> Result<Self, Failed> {
        let cache = checkouts_of(config);
        Ok(Self {
            git: open_git(environment).await?,
            remotes: RemoteCache::new(&cache),
            cache,
        })
    }

    /// Keeps repositories and their files in another directory.
    pub(crate) fn keep_in(&mut self, directory: &Path, config: &Config) {
        self.cache = DiskCache::new(directory, config.cache_size);
        self.remotes = RemoteCache::new(&self.cache);
    }
}

/// Where repositories and their files are kept.
pub(crate) fn checkouts_of(config: &Config) -> DiskCache {
    DiskCache::new(&config.cache_dir.join(CHECKOUTS), config.cache_size)
}

/// Finds git.
pub(crate) async fn open_git(environment: &Environment) -> Result<Git, Failed> {
    // Secrets may be among our own, and git has no use for them.
    let is_ours = |name: &str| name.starts_with("EXECUTOR_") || name.starts_with("CAPSTAN_");
    let variables = environment
        .all()
        .iter()
        .filter(|(name, _)| !is_ours(name))
        .map(|(name, value)| (name.into(), value.into()));
    let git = Git::check(variables).await;
    Ok(git.map_err(|error| error.into_fault("looking for git"))?)
}
