//! Git and the cache of remote repositories: all that is needed to look at repositories.

use capstan_engine::git::Git;
use capstan_engine::repository::RemoteCache;

use crate::config::{Config, Environment};
use crate::failure::Failed;

/// What finds repositories.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) git: Git,
    pub(crate) remotes: RemoteCache,
}

impl Tools {
    pub(crate) async fn open(config: &Config, environment: &Environment) -> Result<Self, Failed> {
        Ok(Self {
            git: open_git(environment).await?,
            remotes: RemoteCache::new(&config.cache_dir.join("repositories")),
        })
    }
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
