//! The entries of the log before the first step: the repository, the files, the cached diff.
//!
//! The repository is got when it is certain that a step runs, and laid out by the engine. So an entry may be told later than what it is
//! about was done: the order is that of the original (facts/executor-protocol.md 4.4).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use capstan_engine::fault::Fault;
use capstan_engine::git::Git;
use capstan_engine::repository::{Origin, RemoteCache, RemoteUrl, Source, Wanted};
use capstan_engine::run::{GetOrigin, go_duration};
use capstan_engine::sandbox::Stream;
use capstan_protocol::Job;
use tokio::sync::OnceCell;

use super::command::{self, CHECKOUT, FETCH};
use super::files::Written;
use super::{Engines, JobContext, Place};
use crate::client::Client;
use crate::log::{Entry, ExecutionLog};

/// With what git ends when it fails.
const GIT_FAILED: i32 = 128;

/// Key of the entry about the files.
pub(super) const EXTRAS: &str = "setup.fs.extras";

/// The entries that wait for their turn.
pub(super) struct Setup {
    log: Arc<ExecutionLog>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The commit is being laid out.
    checkout: Option<Entry>,
    /// What comes after that.
    then: Vec<(String, Option<Vec<String>>)>,
    files: Vec<Written>,
    /// What comes after the files, if the commit was laid out.
    at_last: Option<(String, Vec<String>)>,
}

impl Setup {
    /// `files` have been written; `apply` is the step that applies the cached diff.
    pub(super) fn new(
        log: &Arc<ExecutionLog>,
        files: Vec<Written>,
        apply: Option<(String, Vec<String>)>,
    ) -> Arc<Self> {
        let waiting = Waiting {
            files,
            at_last: apply,
            ..Waiting::default()
        };
        Arc::new(Self {
            log: Arc::clone(log),
            waiting: Mutex::new(waiting),
        })
    }

    /// Everything is in place, or is not needed: what has waited is told.
    pub(super) fn done(&self) {
        let waiting = self.take();
        let laid_out = waiting.checkout.is_some();
        if let Some(checkout) = waiting.checkout {
            checkout.close(0);
        }
        for (key, command) in waiting.then {
            self.log.begin(&key, command).close(0);
        }
        tell_files(&self.log, &waiting.files, None);
        if let (true, Some((key, command))) = (laid_out, waiting.at_last) {
            self.log.begin(&key, Some(command)).close(0);
        }
    }

    /// The commit could not be laid out. Tells whether it was that.
    pub(super) fn failed(&self, message: &str) -> bool {
        let Waiting {
            checkout, files, ..
        } = self.take();
        let was_laying_out = checkout.is_some();
        if let Some(checkout) = checkout {
            fail(checkout, message);
        }
        tell_files(&self.log, &files, None);
        was_laying_out
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The entry about the files of the payload; none if there is nothing to tell.
pub(super) fn tell_files(log: &ExecutionLog, files: &[Written], error: Option<&str>) {
    if files.is_empty() && error.is_none() {
        return;
    }
    let entry = log.begin(EXTRAS, None);
    for Written { path, took } in files {
        entry.text(&format!("Wrote {path} in {}\n", go_duration(*took)));
    }
    if let Some(error) = error {
        entry.text(&format!("{error}\n"));
    }
    entry.close(error.is_some().into());
}

fn fail(entry: Entry, message: &str) {
    for line in message.lines() {
        entry.line(Stream::Stderr, line.as_bytes());
    }
    entry.close(GIT_FAILED);
}

/// Gets the repository of a job from the server, and tells of it.
pub(super) struct Repository {
    setup: Arc<Setup>,
    git: Git,
    remotes: RemoteCache,
    url: RemoteUrl,
    /// By name; their values are secrets.
    headers: Vec<(&'static str, String)>,
    commands: Vec<(&'static str, Vec<String>)>,
    name: String,
    rev: String,
    branch: String,
    tags: bool,
    shallow: bool,
    /// What came of it: told once, however often it is asked for.
    got: OnceCell<Arc<Origin>>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.name, self.rev)
    }
}

impl Repository {
    /// That of `job`, laid out at `directory`; `branch` is what steps see of its name, or empty.
    pub(super) fn new<S: Engines>(
        job: &Job,
        context: &JobContext<S>,
        setup: &Arc<Setup>,
        directory: &str,
        branch: &str,
    ) -> Result<Self, Fault> {
        // Nobody but the server is told who asks.
        let (url, headers) = match &context.settings.clone_from {
            Some(url) => (url.reveal().to_owned(), Vec::new()),
            None => {
                let path = format!("/.executors/git/{}", job.repository_name);
                let url = context.client.url(&path).to_string();
                (url, headers(&context.client, job))
            }
        };
        let Ok(Source::Remote { url, .. }) = Source::parse(&url, std::path::Path::new("/")) else {
            return Err(Fault::workspace(format!(
                "{:?} cannot be the name of a repository",
                job.repository_name
            )));
        };
        Ok(Self {
            setup: Arc::clone(setup),
            git: context.git.clone(),
            remotes: context.remotes.clone(),
            commands: command::git(job, directory, &url.to_string()),
            url,
            headers,
            name: job.repository_name.clone(),
            rev: job.commit.to_ascii_lowercase(),
            branch: branch.to_owned(),
            tags: job.fetch_tags,
            shallow: job.shallow_clone,
            got: OnceCell::new(),
        })
    }

    async fn fetch(&self) -> Result<Arc<Origin>, Fault> {
        let log = &self.setup.log;
        let mut commands = self
            .commands
            .iter()
            .map(|(key, command)| (*key, Some(command.clone())));
        let mut fetched = None;
        for (key, command) in commands.by_ref() {
            match key {
                FETCH => fetched = Some(self.run_fetch(log.begin(key, command)).await?),
                CHECKOUT => {
                    let mut waiting = self
                        .setup
                        .waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    waiting.checkout = Some(log.begin(key, command));
                    break;
                }
                _ => log.begin(key, command).close(0),
            }
        }
        let mut waiting = self
            .setup
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.then = commands
            .map(|(key, command)| (key.to_owned(), command))
            .collect();
        fetched.ok_or_else(|| Fault::workspace("the repository was not fetched"))
    }

    async fn run_fetch(&self, entry: Entry) -> Result<Arc<Origin>, Fault> {
        let wanted = Wanted {
            url: &self.url,
            name: &self.name,
            rev: &self.rev,
            branch: &self.branch,
            headers: &self.headers,
            tags: self.tags,
            shallow: self.shallow,
        };
        let mut told = false;
        let tell = |line: &str| {
            told = true;
            entry.line(Stream::Stderr, line.as_bytes());
        };
        match self.remotes.open_commit(&self.git, &wanted, tell).await {
            Ok(origin) => {
                if !told {
                    entry.line(Stream::Stderr, b"the commit is there from an earlier job");
                }
                entry.close(0);
                Ok(Arc::new(origin))
            }
            Err(fault) => {
                fail(entry, &fault.message);
                Err(Fault {
                    message: format!("running command {FETCH:?}: {}", fault.message),
                    ..fault
                })
            }
        }
    }
}

impl GetOrigin for Repository {
    fn get(&self) -> Pin<Box<dyn Future<Output = Result<Arc<Origin>, Fault>> + Send + '_>> {
        Box::pin(async { self.got.get_or_try_init(|| self.fetch()).await.cloned() })
    }
}

/// What git sends with each request (facts 1.12).
fn headers(client: &Client, job: &Job) -> Vec<(&'static str, String)> {
    let ours = client.job_headers(&job.identity);
    let names = [
        ("Authorization", "authorization"),
        ("X-Sourcegraph-Job-ID", "x-sourcegraph-job-id"),
        ("X-Sourcegraph-Executor-Name", "x-sourcegraph-executor-name"),
    ];
    let value =
        |(name, key): (&'static str, &str)| Some((name, ours.get(key)?.to_str().ok()?.to_owned()));
    let mut headers: Vec<_> = names.into_iter().filter_map(value).collect();
    headers.push(("X-Sourcegraph-Actor-UID", "internal".to_owned()));
    headers
}

/// Where the log says that the repository is.
pub(super) fn repository_place(job: &Job, place: &Place) -> String {
    match job.repository_directory.trim_matches('/') {
        "" | "." => place.data().display().to_string(),
        below => place.data().join(below).display().to_string(),
    }
}
