//! Whole jobs, over an engine of shells, a repository on disk and a log in memory.

mod docker;
mod engine;
mod hostile;
mod legacy;
mod native;
mod oracle;
mod plain;
mod upload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use capstan_engine::disk_cache::DiskCache;
use capstan_engine::git::Git;
use capstan_engine::plugins::Plugins;
use capstan_engine::repository::RemoteCache;
use capstan_engine::workspace::{self, Checkouts};
use capstan_protocol::{Content, DockerStep, File, Job, LogEntry};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::engine::{Seen, Shells};
use super::{Ending, Engines, JobContext, Settings, run};
use crate::client::{Client, ClientError, ClientSettings, Queues, Secret};
use crate::log::{ExecutionLog, Redaction, Sink};
use crate::metrics::Metrics;

const REPOSITORY: &str = "github.com/acme/app";

/// Keeps the log.
#[derive(Default)]
struct Memory(Mutex<Vec<LogEntry>>);

impl Sink for Memory {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let mut entries = self.0.lock().unwrap();
        entries.push(entry.clone());
        let number = entries.len() as i64;
        async move { Ok(number) }.boxed()
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        self.0.lock().unwrap()[number as usize - 1] = entry.clone();
        async { Ok(()) }.boxed()
    }
}

/// A server with one repository, which has the files `README` and `sub/file`, and an executor.
struct Bench<S = Shells> {
    directory: tempfile::TempDir,
    commit: String,
    seen: Arc<Seen>,
    context: JobContext<S>,
    cancel: CancellationToken,
    log: Arc<Memory>,
}

/// What came of a job.
struct Ended {
    ending: Ending,
    entries: Vec<LogEntry>,
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Bench {
    async fn new() -> Self {
        // The server is a directory: git takes file URLs as it takes others.
        let directory = tempfile::tempdir().unwrap();
        let repository = directory
            .path()
            .join("server/.executors/git")
            .join(REPOSITORY);
        fs_err::create_dir_all(repository.join("sub")).unwrap();
        fs_err::write(repository.join("README"), "hi\n").unwrap();
        fs_err::write(repository.join("sub/file"), "x\n").unwrap();
        git(&repository, &["init", "-q"]);
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "-qm", "first"]);
        let commit = git(&repository, &["rev-parse", "HEAD"]);
        let frontend = format!("file://{}", directory.path().join("server").display());
        let bench = Self::at(directory, &frontend).await;
        Self { commit, ..bench }
    }

    /// With the server at this URL.
    async fn at(directory: tempfile::TempDir, frontend: &str) -> Self {
        let settings = ClientSettings {
            frontend: frontend.parse().unwrap(),
            secret: Secret::new("hunter2hunter2".to_owned()),
            executor_name: "host-1".to_owned(),
            queues: Queues::Single("batches".to_owned()),
            tries: 1,
            cpus: 0,
            memory: String::new(),
            disk: String::new(),
        };
        let client = Client::new(settings, metrics()).unwrap();
        let seen = Arc::<Seen>::default();
        let cache = DiskCache::new(&directory.path().join("cache"), u64::MAX);
        let place = workspace::Place {
            cache: &directory.path().join("cache"),
            workspaces: directory.path(),
            engine: None,
        };
        let chosen = workspace::choose(None, place).unwrap();
        let context = JobContext {
            client: Arc::new(client),
            workspaces: directory.path().join("scratch"),
            settings: Settings::default(),
            engines: Shells(Arc::clone(&seen)),
            git: Git::check(std::env::vars_os()).await.unwrap(),
            remotes: RemoteCache::new(&cache),
            checkouts: Checkouts::new(&chosen, &cache),
            plugins: Plugins::default(),
        };
        Self {
            directory,
            commit: "0".repeat(40),
            seen,
            context,
            cancel: CancellationToken::new(),
            log: Arc::default(),
        }
    }

    /// With another engine.
    fn with<T: Engines>(self, engines: T) -> Bench<T> {
        let JobContext {
            client,
            workspaces,
            settings,
            git,
            remotes,
            checkouts,
            plugins,
            ..
        } = self.context;
        Bench {
            directory: self.directory,
            commit: self.commit,
            seen: self.seen,
            context: JobContext {
                client,
                workspaces,
                settings,
                engines,
                git,
                remotes,
                checkouts,
                plugins,
            },
            cancel: self.cancel,
            log: self.log,
        }
    }
}

impl<S: Engines> Bench<S> {
    fn job(&self) -> Job {
        let mut job = Job {
            repository_name: REPOSITORY.to_owned(),
            commit: self.commit.clone(),
            shallow_clone: true,
            ..Job::default()
        };
        job.identity.id = 42;
        job.identity.token = "t0ken-of-the-job".to_owned();
        job
    }

    /// Runs a job, and checks what holds in every ending.
    async fn run(&self, job: &Job) -> Ended {
        let memory = Arc::clone(&self.log);
        memory.0.lock().unwrap().clear();
        let secrets = ["hunter2hunter2", "t0ken-of-the-job"];
        let redaction = Redaction::new(&job.redacted_values, secrets).unwrap();
        let log = Arc::new(ExecutionLog::new(memory.clone() as _, redaction, metrics()));
        let ending = run(job, &self.context, &log, self.cancel.clone()).await;
        log.flush().await.unwrap();
        let entries = memory.0.lock().unwrap().clone();
        let is_closed = |entry: &LogEntry| entry.exit_code.is_some() && entry.duration_ms.is_some();
        assert!(entries.iter().all(is_closed), "{entries:?}");
        if !self.context.settings.keep_workspaces {
            assert_eq!(self.left(), Vec::<PathBuf>::new());
        }
        Ended { ending, entries }
    }

    /// What is left of workspaces.
    fn left(&self) -> Vec<PathBuf> {
        match fs_err::read_dir(&self.context.workspaces) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn images(&self) -> Vec<String> {
        self.seen.images.lock().unwrap().clone()
    }
}

fn metrics() -> Metrics {
    Metrics::new(&["batches".to_owned()])
}

impl Ended {
    /// Keys and exit codes, in order.
    fn keys(&self) -> String {
        let keys = self.entries.iter().map(|entry| match entry.exit_code {
            Some(0) => entry.key.clone(),
            code => format!("{} {}", entry.key, code.unwrap()),
        });
        keys.collect::<Vec<_>>().join("\n")
    }

    fn out(&self, key: &str) -> &str {
        &self.entry(key).out
    }

    fn entry(&self, key: &str) -> &LogEntry {
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.unwrap_or_else(|| panic!("no {key} in\n{}", self.keys()))
    }

    /// The events of an entry, as operation, status and metadata.
    fn events(&self, key: &str) -> Vec<(String, String, Value)> {
        let lines = self
            .out(key)
            .lines()
            .filter_map(|line| line.strip_prefix("stdout: "));
        let events = lines.map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            (text("operation"), text("status"), event["metadata"].clone())
        });
        events.collect()
    }
}

fn inline(content: impl Into<Vec<u8>>) -> File {
    File {
        content: Content::Inline(content.into()),
        modified_at: None,
    }
}

/// The execution input of these steps.
fn input(job: &Job, steps: &Value) -> Value {
    json!({
        "BatchChangeAttributes": {"Name": "tidy", "Description": "all of it"},
        "repository": {"id": "UmVwbzox", "name": job.repository_name},
        "branch": {"name": "refs/heads/main", "target": {"oid": job.commit}},
        "path": "",
        "onlyFetchWorkspace": false,
        "steps": steps,
        "searchResultPaths": null,
        "cachedStepResultFound": false,
        "skippedSteps": {},
    })
}

/// A native job of these steps, as a server makes it; the steps in `without` are skipped statically or have cached results.
fn native(mut job: Job, steps: &Value, env: &[&str], without: &[usize]) -> Job {
    let env: Vec<String> = env.iter().map(|variable| (*variable).to_owned()).collect();
    job.repository_directory = "repository".to_owned();
    let input = input(&job, steps);
    job.files
        .insert("input.json".to_owned(), inline(input.to_string()));
    let helper = |mode: &str, index: usize| DockerStep {
        key: format!("step.{index}.{mode}"),
        image: "sourcegraph/batcheshelper:5.2.0".to_owned(),
        commands: vec![format!("batcheshelper {mode} {index}")],
        dir: ".".to_owned(),
        env: env.clone(),
    };
    for (index, step) in steps.as_array().unwrap().iter().enumerate() {
        if without.contains(&index) {
            continue;
        }
        let run = DockerStep {
            key: format!("step.{index}.run"),
            image: step["container"].as_str().unwrap().to_owned(),
            commands: vec![format!(
                "(exec ../step{index}.sh) | tee ../stdout{index}.log"
            )],
            dir: "repository".to_owned(),
            env: Vec::new(),
        };
        job.docker_steps
            .extend([helper("pre", index), run, helper("post", index)]);
    }
    job
}

fn step(run: &str) -> Value {
    json!({"run": run, "container": "alpine:3", "env": {}})
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    pairs.collect()
}
