//! Repositories that are fetched: one bare repository per URL in the cache, holding just the commits asked for.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::source::RemoteUrl;
use super::{Origin, is_object_id, local, name, no_such_branch, resolve};
use crate::disk_cache::{DiskCache, Held, Shelf};
use crate::fault::Fault;
use crate::git::{Git, GitError, Invocation, ObjectFormat, layout};
use crate::state::Lock;
use crate::workspace::tree;

/// Waits between the attempts to reach a remote that fails for a passing reason.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(6),
];

/// The same where nobody looks on: a server may be away for a while.
const PATIENT: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(6),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// The depth that git takes for all of it.
const WHOLE_HISTORY: &str = "--depth=2147483647";

/// How often a branch may move between being listed and being fetched.
const MOVES: usize = 3;

/// Fetched repositories below one directory, shared by all processes of the user.
#[derive(Debug, Clone)]
pub struct RemoteCache {
    shelf: Shelf,
    /// The refs of commits that this process has found whole: asking git again for each job is not worth a process.
    found: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Most refs that are remembered.
const FOUND_LIMIT: usize = 10_000;

/// A commit that is wanted of a remote.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where from; http or https.
    pub url: &'a RemoteUrl,
    /// Name of the repository.
    pub name: &'a str,
    /// Full commit id.
    pub rev: &'a str,
    /// Short name of the branch that steps see, or empty.
    pub branch: &'a str,
    /// Headers of each request, by name; their values are secrets.
    pub headers: &'a [(&'a str, String)],
    /// Whether steps see the repository's tags.
    pub tags: bool,
    /// Whether the commit alone will do, without those before it.
    pub shallow: bool,
}

/// What a remote calls a commit.
struct Advertised {
    branch: String,
    reference: String,
    rev: String,
}

impl RemoteCache {
    /// Keeps repositories in `cache`.
    pub fn new(cache: &DiskCache) -> Self {
        Self {
            shelf: cache.shelf("repositories"),
            found: Arc::default(),
        }
    }

    /// Where the repository of this URL is, once it has been opened.
    pub fn git_dir(&self, url: &RemoteUrl) -> PathBuf {
        self.shelf.path(&key(url))
    }

    #[tracing::instrument(name = "repository.fetch", skip_all, fields(repository.name = name::of_url(url)))]
    pub(super) async fn open(
        &self,
        git: &Git,
        url: &RemoteUrl,
        wanted: Option<&str>,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<Origin, Fault> {
        let name = name::of_url(url);
        let held = self.hold(url)?;
        let (lock, git_dir) = self.entry(url, &mut progress).await?;
        let remote = Remote {
            git,
            url,
            git_dir: &git_dir,
            settings: &[],
            pauses: &PAUSES,
        };
        let (branch, rev) = match wanted {
            Some(id) if is_object_id(id) => {
                remote.fetch_commit(id, &name, &mut progress).await?;
                (String::new(), id.to_ascii_lowercase())
            }
            _ => remote.fetch_branch(wanted, &name, &mut progress).await?,
        };
        self.weigh(url);
        drop(lock);
        Ok(Origin {
            name,
            branch,
            rev,
            objects: local::object_directories(&git_dir.join("objects")),
            shallow: fs_err::read(git_dir.join("shallow")).ok(),
            git_dir,
            url: Some(url.to_string()),
            tags: Vec::new(),
            dirty: false,
            remote: Some(url.clone()),
            local: None,
            held,
        })
    }

    /// Opens one commit of a repository that a server hands out to those who show what they were given. A commit that is in the cache is not
    /// fetched again.
    ///
    /// # Errors
    /// A fault of the workspace when it cannot be had, also after having tried for about a minute.
    #[tracing::instrument(
        name = "repository.fetch",
        skip_all,
        fields(repository.name = wanted.name, repository.commit = wanted.rev)
    )]
    pub async fn open_commit(
        &self,
        git: &Git,
        wanted: &Wanted<'_>,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<Origin, Fault> {
        let Wanted {
            url,
            name,
            rev,
            branch,
            headers,
            tags,
            shallow,
        } = *wanted;
        if !is_object_id(rev) {
            return Err(Fault::workspace(format!(
                "{rev:?} is no full commit id of repository {name}"
            )));
        }
        let held = self.hold(url)?;
        let settings = settings_of(url, headers);
        let git_dir = self.shelf.path(&key(url));
        let remote = Remote {
            git,
            url,
            git_dir: &git_dir,
            settings: &settings,
            pauses: &PATIENT,
        };
        let reference = git_dir.join("refs/capstan").join(rev);
        let is_there = async || {
            let whole = shallow || !git_dir.join("shallow").exists();
            if !whole || !git_dir.join("HEAD").is_file() {
                return Ok(false);
            }
            // A cache that was cleared meanwhile has no refs.
            if self.has_found(&reference) && reference.is_file() {
                return Ok(true);
            }
            let there = remote.has(rev).await?;
            if there {
                self.remember(&reference);
            }
            Ok::<_, Fault>(there)
        };
        if tags || !is_there().await? {
            let (_lock, _) = self.entry(url, &mut progress).await?;
            if !is_there().await? {
                let exact = format!("+{rev}:refs/capstan/{rev}");
                let depth = if shallow { "--depth=1" } else { WHOLE_HISTORY };
                let fetched = remote
                    .run_fetch(Some(depth), &[&exact], &mut progress)
                    .await;
                fetched.map_err(|error| remote.explain(error))?;
                self.weigh(url);
            }
            if tags {
                let all = ["+refs/tags/*:refs/capstan/tags/*"];
                let fetched = remote
                    .run_fetch(Some("--depth=1"), &all, &mut progress)
                    .await;
                fetched.map_err(|error| remote.explain(error))?;
            }
        }
        let tags = if tags {
            remote.tags().await?
        } else {
            Vec::new()
        };
        Ok(Origin {
            name: name.to_owned(),
            branch: branch.to_owned(),
            rev: rev.to_owned(),
            objects: local::object_directories(&git_dir.join("objects")),
            shallow: fs_err::read(git_dir.join("shallow")).ok(),
            git_dir,
            url: None,
            tags,
            dirty: false,
            remote: Some(url.clone()),
            local: None,
            held,
        })
    }

    fn has_found(&self, reference: &Path) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.contains(reference)
    }

    fn remember(&self, reference: &Path) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= FOUND_LIMIT {
            found.clear();
        }
        found.insert(reference.to_owned());
    }

    /// Makes sure the bare repository exists, and locks it against other processes that fetch.
    async fn entry(
        &self,
        url: &RemoteUrl,
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<(Lock, PathBuf), Fault> {
        let key = key(url);
        let failed = |error: std::io::Error| {
            Fault::environment(format!("preparing the cache for {url}: {error}"))
        };
        let told = || progress("waiting for another process that fetches the same repository");
        let lock = self.shelf.lock(&key, told).await.map_err(failed)?;
        let git_dir = self.shelf.path(&key);
        if !git_dir.join("HEAD").is_file() {
            let making = self.shelf.begin().map_err(failed)?;
            layout(making.path(), &[], ObjectFormat::Sha1, &[]).map_err(failed)?;
            self.shelf.put(&key, making).map_err(failed)?;
        }
        Ok((lock, git_dir))
    }

    /// Keeps the repository of this URL where it is.
    fn hold(&self, url: &RemoteUrl) -> Result<Held, Fault> {
        self.shelf
            .hold(&key(url))
            .map_err(|error| Fault::environment(format!("preparing the cache for {url}: {error}")))
    }

    /// Notes how large the repository of this URL is now.
    fn weigh(&self, url: &RemoteUrl) {
        let key = key(url);
        let size = tree::size(&self.shelf.path(&key));
        if let Err(error) = self.shelf.weigh(&key, size) {
            tracing::warn!(%error, "the size of a repository in the cache could not be noted");
        }
    }
}

/// The name of the directory in the cache in which a remote's repository is.
fn key(url: &RemoteUrl) -> String {
    let digest = Sha256::digest(url.to_string().as_bytes());
    let hex = digest[..16].iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// What git sends with each request. It must not be sent anywhere else, so redirections are not followed. What is on this machine is asked without
/// a proxy.
fn settings_of(url: &RemoteUrl, headers: &[(&str, String)]) -> Vec<(String, String)> {
    let header = |(name, value): &(&str, String)| {
        let line = format!("{name}: {value}");
        ("http.extraHeader".to_owned(), line)
    };
    let mut settings: Vec<_> = headers.iter().map(header).collect();
    settings.push(("http.followRedirects".to_owned(), "false".to_owned()));
    if url.is_loopback() {
        settings.push(("http.proxy".to_owned(), String::new()));
    }
    settings
}

struct Remote<'a> {
    git: &'a Git,
    url: &'a RemoteUrl,
    git_dir: &'a Path,
    /// See [`Invocation::secret_settings`].
    settings: &'a [(String, String)],
    pauses: &'a [Duration],
}

impl Remote<'_> {
    async fn has(&self, rev: &str) -> Result<bool, Fault> {
        Ok(resolve(self.git, self.git_dir, rev).await?.is_some())
    }

    /// Fetches the branch or tag `wanted`, or what the remote's `HEAD` is.
    async fn fetch_branch(
        &self,
        wanted: Option<&str>,
        name: &str,
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<(String, String), Fault> {
        for _ in 0..MOVES {
            let advertised = self.advertised(wanted, progress).await?;
            let Some(Advertised {
                branch,
                reference,
                rev,
            }) = advertised
            else {
                return Err(match wanted {
                    Some(wanted) => no_such_branch(wanted, name),
                    None => Fault::workspace(format!("repository {name} has no commit yet")),
                });
            };
            if !self.has(&rev).await? {
                let refspec = format!("+{reference}:refs/capstan/{rev}");
                self.fetch(&[&refspec], progress).await?;
            }
            // A tag's object is not the commit it is for.
            if let Some(commit) = resolve(self.git, self.git_dir, &rev).await? {
                return Ok((branch, commit));
            }
        }
        Err(Fault::workspace(format!(
            "{} of {} keeps moving while it is fetched",
            wanted.unwrap_or("HEAD"),
            self.url
        )))
    }

    async fn fetch_commit(
        &self,
        id: &str,
        name: &str,
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<(), Fault> {
        if self.has(id).await? {
            return Ok(());
        }
        let exact = format!("+{id}:refs/capstan/{id}");
        let refused = self.fetch(&[&exact], progress).await.err();
        if self.has(id).await? {
            return Ok(());
        }
        // Servers may hand out the tips of branches only; then the whole history must come.
        progress("the server does not hand out single commits: fetching all branches");
        let refspecs = [
            "+refs/heads/*:refs/capstan/heads/*",
            "+refs/tags/*:refs/capstan/tags/*",
        ];
        let all = self
            .run_fetch(Some("--update-shallow"), &refspecs, progress)
            .await;
        if self.has(id).await? {
            return Ok(());
        }
        match (refused, all) {
            (Some(fault), Err(_)) => Err(fault),
            _ => Err(Fault::workspace(format!(
                "repository {name} has no commit {id}"
            ))),
        }
    }

    async fn fetch(
        &self,
        refspecs: &[&str],
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<(), Fault> {
        let mut fetched = self.run_fetch(Some("--depth=1"), refspecs, progress).await;
        if let Err(GitError::Failed { stderr, .. }) = &fetched
            && stderr.contains("shallow")
        {
            fetched = self.run_fetch(None, refspecs, progress).await;
        }
        fetched.map_err(|error| self.explain(error))
    }

    /// Fetches these refs; `depth` is the option that says how much of their history.
    async fn run_fetch(
        &self,
        depth: Option<&str>,
        refspecs: &[&str],
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<(), GitError> {
        let options = ["--progress", "--no-tags", "--no-write-fetch-head"];
        self.run(
            "fetch",
            progress,
            |fetch| fetch.args(options).args(depth),
            refspecs,
        )
        .await
        .map(drop)
    }

    /// The tags that have been fetched.
    async fn tags(&self) -> Result<Vec<(String, String)>, Fault> {
        const BELOW: &str = "refs/capstan/tags/";
        let listing = self
            .git
            .isolated("for-each-ref")
            .git_dir(self.git_dir)
            .args(["--format=%(objectname) %(refname)", BELOW])
            .output(64 * 1024 * 1024)
            .await
            .map_err(|error| error.into_fault("listing tags"))?;
        let listing = String::from_utf8_lossy(&listing);
        let tags = listing.lines().filter_map(|line| {
            let (object, name) = line.split_once(' ')?;
            Some((object.to_owned(), name.strip_prefix(BELOW)?.to_owned()))
        });
        Ok(tags.collect())
    }

    /// Asks the remote what it calls `wanted`.
    async fn advertised(
        &self,
        wanted: Option<&str>,
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<Option<Advertised>, Fault> {
        let short = wanted.map(|name| name.strip_prefix("refs/heads/").unwrap_or(name));
        let candidates = match short {
            Some(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
            None => vec!["HEAD".to_owned()],
        };
        let patterns: Vec<&str> = candidates.iter().map(String::as_str).collect();
        let listing = self
            .run(
                "ls-remote",
                progress,
                |list| list.arg("--symref"),
                &patterns,
            )
            .await
            .map_err(|error| self.explain(error))?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        for candidate in candidates {
            // Patterns match the ends of names too, so names are compared.
            let rev = listing
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .find(|(rev, name)| *name == candidate && is_object_id(rev))
                .map(|(rev, _)| rev.to_owned());
            let Some(rev) = rev else { continue };
            let symbolic = listing
                .lines()
                .filter_map(|line| line.strip_prefix("ref: refs/heads/")?.split_once('\t'))
                .find(|(_, name)| *name == candidate)
                .map(|(branch, _)| branch.to_owned());
            let branch = match candidate.strip_prefix("refs/heads/") {
                Some(branch) => branch.to_owned(),
                None => symbolic.unwrap_or_default(),
            };
            return Ok(Some(Advertised {
                branch,
                reference: candidate,
                rev,
            }));
        }
        Ok(None)
    }

    /// Runs a command that talks to the remote, again and again while it fails for a passing reason.
    async fn run<'b>(
        &self,
        command: &'static str,
        progress: &'b mut (impl FnMut(&str) + Send),
        switches: impl for<'c> Fn(Invocation<'c>) -> Invocation<'c>,
        names: &[&str],
    ) -> Result<Vec<u8>, GitError> {
        let mut pauses = self.pauses.iter().copied();
        loop {
            let mut invocation = switches(self.git.as_user(command).git_dir(self.git_dir))
                .arg("--")
                .arg(self.url.with_credentials())
                .args(names);
            if !self.settings.is_empty() {
                invocation = invocation.secret_settings(self.settings).unattended();
            }
            for secret in self.url.secrets() {
                invocation = invocation.secret(secret);
            }
            let result = invocation
                .progress(&mut *progress)
                .output(64 * 1024 * 1024)
                .await;
            let pause = match &result {
                Err(GitError::Failed { stderr, .. }) if is_passing(stderr) => pauses.next(),
                _ => None,
            };
            let Some(pause) = pause else { return result };
            progress(&format!("could not reach {}, trying again", self.url));
            tokio::time::sleep(pause).await;
        }
    }

    fn explain(&self, error: GitError) -> Fault {
        let url = self.url;
        let GitError::Failed { stderr, .. } = &error else {
            return error.into_fault(&format!("fetching {url}"));
        };
        let is_login = LOGIN.iter().any(|sign| stderr.contains(sign));
        let hint = if is_login && !self.settings.is_empty() {
            "the server does not accept what it handed out for this job: it may have given the job to somebody else".to_owned()
        } else if is_login {
            format!("git could not log in: make `git ls-remote {url}` work in this shell first")
        } else if is_passing(stderr) {
            "the remote could not be reached, several times: check the network and the address"
                .to_owned()
        } else {
            format!("check the address; `git ls-remote {url}` shows what is there")
        };
        error.into_fault(&format!("fetching {url}")).hint(hint)
    }
}

/// What git and ssh say when the user is not let in.
const LOGIN: [&str; 6] = [
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "Permission denied (",
    "Host key verification failed",
    "returned error: 403",
];

/// Whether the reason for a failure may be gone in a second.
fn is_passing(stderr: &str) -> bool {
    const SIGNS: [&str; 14] = [
        "Could not resolve host",
        "Temporary failure in name resolution",
        "Connection timed out",
        "Operation timed out",
        "Connection reset",
        "Connection closed by",
        "Failed to connect to",
        "Couldn't connect to server",
        "Operation too slow",
        "early EOF",
        "RPC failed",
        "unexpected disconnect",
        "returned error: 429",
        "returned error: 5",
    ];
    SIGNS.iter().any(|sign| stderr.contains(sign))
        && !LOGIN.iter().any(|sign| stderr.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_failures_are_tried_again() {
        for (stderr, passing) in [
            (
                "fatal: unable to access 'https://h/': The requested URL returned error: 503",
                true,
            ),
            (
                "fatal: unable to access 'https://h/': The requested URL returned error: 404",
                false,
            ),
            (
                "fatal: unable to access 'https://h/': Could not resolve host: h",
                true,
            ),
            (
                "error: RPC failed; curl 56 Recv failure: Connection reset by peer",
                true,
            ),
            (
                "git@h: Permission denied (publickey).\nConnection closed by 1.2.3.4",
                false,
            ),
            ("fatal: '/x' does not appear to be a git repository", false),
        ] {
            assert_eq!(is_passing(stderr), passing, "{stderr}");
        }
    }
}
