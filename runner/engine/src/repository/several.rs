//! Opens many repositories, several at a time.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::{Origin, RemoteCache, Source, open, tell_apart};
use crate::fault::Fault;
use crate::git::Git;

/// How many repositories are opened at a time.
const AT_A_TIME: usize = 4;

/// A repository to open, and the branch wanted of it.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Where it is.
    pub source: Source,
    /// Branch, tag or commit; `None`: its default.
    pub branch: Option<String>,
    /// Name it goes by, where that is given.
    pub name: Option<String>,
}

/// Opens all repositories, remote ones through the cache; `progress` is told of fetches. What was named twice is there once, and names that
/// are alike are told apart.
///
/// # Errors
/// All that went wrong, in the order of the repositories.
pub async fn open_all(
    git: &Git,
    cache: &RemoteCache,
    wanted: Vec<Selection>,
    progress: impl Fn(&str) + Clone + Send + 'static,
) -> Result<Vec<Origin>, Vec<Fault>> {
    let mut origins: Vec<Option<Origin>> = vec![None; wanted.len()];
    let mut faults = Vec::new();
    let mut opening = JoinSet::new();
    let mut waiting = wanted.into_iter().enumerate();
    loop {
        while opening.len() < AT_A_TIME
            && let Some((index, wanted)) = waiting.next()
        {
            let (git, cache, progress) = (git.clone(), cache.clone(), progress.clone());
            opening.spawn(async move {
                let tell = move |line: &str| progress(line);
                let branch = wanted.branch.as_deref();
                let origin = open(&git, &cache, &wanted.source, branch, tell).await;
                (index, origin.map(|origin| renamed(origin, wanted.name)))
            });
        }
        match opening.join_next().await {
            None => break,
            Some(Ok((index, Ok(origin)))) => origins[index] = Some(origin),
            Some(Ok((index, Err(fault)))) => faults.push((index, fault)),
            Some(Err(error)) => return Err(vec![Fault::environment(error.to_string())]),
        }
    }
    if !faults.is_empty() {
        faults.sort_by_key(|(index, _)| *index);
        return Err(faults.into_iter().map(|(_, fault)| fault).collect());
    }
    let mut origins = once_each(origins.into_iter().flatten());
    tell_apart(&mut origins);
    Ok(origins)
}

/// Leaves out what was named before: the same branch and commit of the same repository.
fn once_each(origins: impl Iterator<Item = Origin>) -> Vec<Origin> {
    let mut seen = BTreeSet::new();
    origins
        .filter(|origin| {
            let directory = match &origin.local {
                Some(local) => &local.common_dir,
                None => &origin.git_dir,
            };
            seen.insert((
                directory.clone(),
                origin.name.clone(),
                origin.branch.clone(),
                origin.rev.clone(),
            ))
        })
        .collect()
}

fn renamed(mut origin: Origin, name: Option<String>) -> Origin {
    if let Some(name) = name {
        origin.name = name;
    }
    origin
}
