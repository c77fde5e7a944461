//! The step loop over a [`Fake`] engine, with real workspaces of a real repository.

mod ahead;
mod caching;
mod contexts;
mod endings;
mod environment;
mod reports;
mod scheduling;
mod secrets;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstan_core::redact::Secrets;
use capstan_core::spec::{ParseOptions, Step, check_mounts};
use capstan_core::task::{BatchChange, Repository, Task};

use super::fake::{Fake, FakeEngine, Recorder};
use super::{Base, Finished, Job, Outcome, Resume, Runner, Settings};
use crate::cache::StepCache;
use crate::disk_cache::DiskCache;
use crate::git::fixture::Fixture;
use crate::git::tests::git;
use crate::plugins::Plugins;
use crate::repository::{Origin, RemoteCache, Source, open};
use crate::workspace::tests::checkouts;

/// A repository with the files `README` and `sub/file`, an engine, and all that a run needs.
struct Bench {
    fixture: Fixture,
    directory: tempfile::TempDir,
    fake: Arc<Fake>,
    recorder: Arc<Recorder>,
    settings: Settings,
    cache: Option<StepCache>,
    outer_environment: BTreeMap<String, String>,
    origin: Arc<Origin>,
    path: String,
    secrets: Secrets,
}

impl Bench {
    async fn new() -> Self {
        let fixture = Fixture::with(&[("README", "hello\n"), ("sub/file", "1\n")]);
        let source = Source::Local(fixture.path.clone());
        let remotes = RemoteCache::new(&DiskCache::new(Path::new("/nonexistent"), 0));
        let origin = open(&git().await, &remotes, &source, None, |_| {}).await;
        let directory = tempfile::tempdir().unwrap();
        fs_err::create_dir(directory.path().join("workspaces")).unwrap();
        let fake = Arc::new(Fake::default());
        Self {
            recorder: Arc::new(Recorder::new(Arc::clone(&fake.clock))),
            origin: Arc::new(origin.unwrap()),
            fixture,
            directory,
            fake,
            settings: Settings::default(),
            cache: None,
            outer_environment: BTreeMap::new(),
            path: String::new(),
            secrets: Secrets::default(),
        }
    }

    async fn with_cache() -> Self {
        let mut bench = Self::new().await;
        bench.cache = Some(StepCache::open(bench.directory.path().join("cache")));
        bench
    }

    fn set(&mut self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.outer_environment.insert(name, value);
    }

    fn job(&self, steps: &str) -> Job {
        let steps = parse(steps);
        let spec_directory = self.directory.path().to_path_buf();
        let resolve = |path: &Path| fs_err::canonicalize(path);
        let mounts = check_mounts(&steps, &spec_directory, &resolve).unwrap();
        Job {
            task: Arc::new(Task {
                repository: Repository {
                    id: "widgets".to_owned(),
                    name: "acme/widgets".to_owned(),
                    branch: "main".to_owned(),
                    rev: self.origin.rev.clone(),
                },
                path: self.path.clone(),
                only_fetch_workspace: false,
                search_result_paths: vec!["README".to_owned(), "sub/file".to_owned()],
                batch_change: BatchChange {
                    name: "tidy".to_owned(),
                    description: "All of it".to_owned(),
                },
                steps,
            }),
            base: Base::Commit(Arc::clone(&self.origin)),
            outer_environment: Arc::new(self.outer_environment.clone()),
            mount_directory: spec_directory,
            mounts: mounts.into(),
            secrets: self.secrets.clone(),
            resume: None,
            skip: BTreeSet::new(),
        }
    }

    async fn runner(&self) -> Arc<Runner<FakeEngine>> {
        Arc::new(Runner {
            engine: Arc::new(FakeEngine(Arc::clone(&self.fake))),
            git: git().await,
            workspaces: self.directory.path().join("workspaces"),
            checkouts: checkouts(self.directory.path()),
            logs: self.directory.path().join("logs"),
            cache: self.cache.clone(),
            plugins: Plugins::default(),
            settings: self.settings.clone(),
            report: Arc::clone(&self.recorder) as _,
            cancel: self.fake.clock.cancel.clone(),
        })
    }

    /// Runs jobs, and checks what holds in every ending: no container and no workspace is left.
    async fn run_jobs(&self, jobs: Vec<Job>, parallel: usize, fail_fast: bool) -> Vec<Finished> {
        let runner = self.runner().await;
        let finished = runner.run(jobs, parallel, fail_fast).await;
        let (made, discarded) = self.fake.made_and_discarded();
        assert_eq!(made, discarded, "{:?}", self.fake.calls());
        if !self.settings.keep_workspaces {
            assert_eq!(self.workspaces(), Vec::<PathBuf>::new());
        }
        finished
    }

    async fn run_job(&self, job: Job) -> Finished {
        let mut finished = self.run_jobs(vec![job], 1, false).await;
        finished.pop().unwrap()
    }

    async fn run(&self, steps: &str) -> Finished {
        self.run_job(self.job(steps)).await
    }

    /// Runs steps; tells what was reported.
    async fn report(&self, steps: &str) -> String {
        self.run(steps).await;
        self.recorder.take(0)
    }

    /// Runs steps; tells what they printed.
    async fn printed(&self, steps: &str) -> String {
        let report = self.report(steps).await;
        assert!(report.ends_with("\ndone"), "{report}");
        let lines = report.lines().filter_map(|line| {
            let (step, text) = line.split_once(" Stdout: ")?;
            Some(format!("{step}: {text}\n"))
        });
        lines.collect()
    }

    /// Runs `job` from what the cache knows.
    async fn run_cached(&self, mut job: Job) -> Finished {
        job.resume = self.runner().await.look_up(0, &job).await.unwrap();
        self.run_job(job).await
    }

    fn workspaces(&self) -> Vec<PathBuf> {
        let entries = fs_err::read_dir(self.directory.path().join("workspaces")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn parse(steps: &str) -> Vec<Step> {
    let steps = steps.trim_end().replace('\n', "\n  ");
    let spec = format!(
        "name: tidy\nsteps:\n  {steps}\nchangesetTemplate: {{title: t, branch: b, commit: {{message: m}}}}\n"
    );
    capstan_core::spec::parse(spec.as_bytes(), &ParseOptions::default())
        .map(|parsed| parsed.spec.steps)
        .unwrap_or_else(|error| panic!("{error:?}\n{spec}"))
}

/// The diff at the end of a job that went well.
fn diff(finished: &Finished) -> String {
    match &finished.outcome {
        Outcome::Done { result, .. } => {
            let diff = result.as_ref().map(|result| result.diff.clone());
            String::from_utf8(diff.unwrap_or_default()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// How a job ended, in a word.
fn ending(finished: &Finished) -> String {
    match &finished.outcome {
        Outcome::Done { .. } => "done".to_owned(),
        Outcome::Failed(failure) => format!("failed: {}", failure.summary),
        Outcome::Cancelled => "cancelled".to_owned(),
    }
}
