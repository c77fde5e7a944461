//! `capstan executor` against a server as executors see it: registering, jobs, endings.

use base64::Engine as _;
use capstan_tests::{
    Capstan, Engine, Entry, JobState, Registry, Repository, Running, SECRET, Signal, Sourcegraph,
    World, native_job,
};
use serde_json::{Value, json};

pub(crate) const REPOSITORY: &str = "github.com/acme/app";

/// An engine, a world with a repository that a server serves, and the server.
pub(crate) struct Station {
    pub(crate) engine: Engine,
    pub(crate) world: World,
    pub(crate) server: Sourcegraph,
    /// The repository.
    pub(crate) app: Repository,
    /// Its first commit.
    pub(crate) commit: String,
}

impl Station {
    /// The repository has a README.
    pub(crate) fn new() -> Self {
        Self::of(&[("README.md", "hi\n")])
    }

    /// The repository has these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let engine = Engine::require();
        let (world, server) = (World::new(), Sourcegraph::start());
        let app = world.repository("app", files);
        server.repository(REPOSITORY, app.path());
        let commit = app.head();
        Self {
            engine,
            world,
            server,
            app,
            commit,
        }
    }

    /// `capstan executor run` with the least configuration.
    pub(crate) fn executor(&self) -> Capstan<'_> {
        executor(&self.world, &self.server, "run")
    }

    /// Puts a native job of these steps into the queue.
    pub(crate) fn native(&self, runs: &[&str]) -> i64 {
        self.server.enqueue(native(&self.commit, runs))
    }

    /// The entry of a job's log with this key, the last one if there are several.
    #[track_caller]
    pub(crate) fn entry(&self, id: i64, key: &str) -> Entry {
        let log = self.server.log(id);
        let keys: Vec<_> = log.iter().map(|entry| entry.key.clone()).collect();
        let found = log.into_iter().rev().find(|entry| entry.key == key);
        found.unwrap_or_else(|| panic!("{key} is missing in {keys:?}"))
    }

    /// Waits until an entry of a job's log says something.
    #[track_caller]
    pub(crate) fn wait_for_output(&self, id: i64, text: &str) {
        self.server
            .wait_until(&format!("job {id} says {text}"), |server| {
                server.log(id).iter().any(|entry| entry.out.contains(text))
            });
    }

    /// Waits until a job has an error, and returns its message.
    #[track_caller]
    pub(crate) fn errored(&self, id: i64) -> String {
        match self.server.wait_for(id) {
            JobState::Errored(message) => message,
            other => panic!(
                "job {id} is {other:?}; its log:\n{:#?}",
                self.server.log(id)
            ),
        }
    }

    /// Waits until a job is complete.
    #[track_caller]
    pub(crate) fn completed(&self, id: i64) {
        let state = self.server.wait_for(id);
        assert_eq!(state, JobState::Completed, "{:#?}", self.server.log(id));
    }

    /// Stops an executor that has nothing left to do: it ends well and leaves nothing behind. Returns all that it has said.
    #[track_caller]
    pub(crate) fn stop(&self, mut running: Running) -> String {
        running.signal(Signal::TERM);
        let output = running.wait();
        output.assert_code(0);
        self.engine.assert_nothing_left(&self.world);
        let text = String::from_utf8_lossy;
        format!("{}{}", text(output.raw_stdout()), text(output.raw_stderr()))
    }
}

/// Starts an executor, and waits until the server knows it.
pub(crate) fn listening(command: Capstan<'_>) -> Running {
    let mut running = command.spawn();
    running.wait_for("listening for jobs");
    running
}

/// `capstan executor` with the least configuration.
pub(crate) fn executor<'w>(world: &'w World, server: &Sourcegraph, command: &str) -> Capstan<'w> {
    world
        .capstan(["executor", command])
        // In a world it is always set; nothing is where a service has its state then.
        .env("TMPDIR", "")
        .env("EXECUTOR_FRONTEND_URL", server.url())
        .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
        .env("EXECUTOR_QUEUE_NAMES", "batches,codeintel")
        .env("EXECUTOR_QUEUE_POLL_INTERVAL", "100ms")
        .env("EXECUTOR_JOB_NUM_CPUS", "0")
        .env("EXECUTOR_JOB_MEMORY", "0")
}

/// An executor that the server knows.
pub(crate) fn started(world: &World, server: &Sourcegraph) -> Running {
    listening(executor(world, server, "run"))
}

/// A job of the queue `codeintel` that runs these lines in a container.
pub(crate) fn container(lines: &[&str]) -> Value {
    json!({
        "version": 2,
        "queue": "codeintel",
        "dockerSteps": [{"key": "indexer", "image": "alpine:3", "commands": lines, "dir": "", "env": null}],
        "redactedValues": {"s3cret-value": "${{ secrets.TOKEN }}"},
    })
}

/// A native job of the queue `batches`: the triple of each step, as a server makes it.
pub(crate) fn native(commit: &str, runs: &[&str]) -> Value {
    native_job(REPOSITORY, commit, runs)
}

/// A job of the queue `batches` that calls `src batch exec`.
pub(crate) fn legacy(commit: &str, runs: &[&str]) -> Value {
    let command = "batch exec -f input.json -repo repository -tmp .src-tmp -binaryDiffs";
    let command: Vec<&str> = command.split(' ').collect();
    json!({
        "version": 2,
        "repositoryName": REPOSITORY,
        "repositoryDirectory": "repository",
        "commit": commit,
        "shallowClone": true,
        "files": native(commit, runs)["files"],
        "cliSteps": [{"key": "batch-exec", "command": command, "dir": ".", "env": null}],
    })
}

/// The same job with another image for its steps.
pub(crate) fn of_image(job: &Value, image: &str) -> Value {
    let base64 = base64::engine::general_purpose::STANDARD;
    let other = |text: &str| text.replace("alpine:3", image);
    let mut job: Value = serde_json::from_str(&other(&job.to_string())).expect("it stays JSON");
    if let Some(content) = job["files"]["input.json"]["content"].as_str() {
        let input = base64.decode(content).expect("it is base64");
        let input = other(&String::from_utf8_lossy(&input));
        job["files"]["input.json"]["content"] = json!(base64.encode(input));
    }
    job
}

#[test]
fn all_checks_pass() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let output = executor(&world, &server, "validate").run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "All checks passed!\n");
    server.assert_pleased();
    assert_eq!(server.requests(), ["GET /.executors/test/auth"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (world, server) = (World::new(), Sourcegraph::start());
    let output = executor(&world, &server, "validate")
        .env("EXECUTOR_QUEUE_NAME", "batches")
        .env("EXECUTOR_FRONTEND_PASSWORD", "")
        .env("EXECUTOR_MAXIMUM_NUM_JOBS", "many")
        .run();
    output.assert_code(2);
    insta::assert_snapshot!(output.stderr(), @r"
    error: 3 problems with the environment variables:
      no value supplied for EXECUTOR_FRONTEND_PASSWORD
      both EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES are set; set one of them
      invalid value for EXECUTOR_MAXIMUM_NUM_JOBS: expected a whole number of at least 1
    hint: docs/executor.md explains every variable
    ");
    let output = executor(&world, &server, "validate")
        .env("EXECUTOR_FRONTEND_PASSWORD", "wr0ng-wr0ng-wr0ng-wr0ng")
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .run();
    output.assert_code(3);
    let stderr = output.stderr();
    for expected in [
        "2 checks failed",
        "/nowhere/docker.sock",
        "failed to authorize with frontend",
        "is EXECUTOR_FRONTEND_PASSWORD the value of executors.accessToken in the site configuration?",
    ] {
        assert!(stderr.contains(expected), "{expected}\n{output}");
    }
    assert!(!stderr.contains("wr0ng"), "{output}");
}

#[test]
fn doctor_looks_at_the_variables() {
    let (world, server) = (World::new(), Sourcegraph::start());
    let doctor = |queue: &str| {
        let doctor = world.capstan(["doctor"]);
        doctor
            .env("EXECUTOR_FRONTEND_URL", server.url())
            .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
            .env("EXECUTOR_QUEUE_NAME", queue)
            .run()
    };
    let good = doctor("batches").stdout();
    let expected = "✓ executor: takes jobs from http://127.0.0.1:<port>/";
    assert!(good.contains(expected), "{good}");
    let bad = doctor("lsif").stdout();
    let expected = "✗ executor: EXECUTOR_QUEUE_NAME must be set to one of 'batches, codeintel'";
    assert!(bad.contains(expected), "{bad}");
}

#[test]
fn a_native_job_from_clone_to_result() {
    let engine = Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let app = world.repository("app", &[("README.md", "hi\n")]);
    server.repository(REPOSITORY, app.path());
    let id = server.enqueue(native(
        &app.head(),
        &[
            "echo one s3cret-value; echo more >> README.md",
            "cat README.md",
        ],
    ));
    let mut running = started(&world, &server);
    assert_eq!(server.wait_for(id), JobState::Completed);
    running.signal(Signal::TERM);
    let output = running.wait();
    output.assert_code(0);
    server.assert_pleased();
    let log = server.log(id);
    let keys: Vec<&str> = log.iter().map(|entry| entry.key.as_str()).collect();
    for key in [
        "setup.git.init",
        "setup.git.fetch",
        "setup.git.checkout",
        "step.docker.step.0.pre",
        "step.docker.step.0.run",
        "step.docker.step.0.post",
        "step.docker.step.1.run",
        "teardown.fs",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {keys:?}");
    }
    assert!(
        log.iter().all(|entry| entry.exit_code == Some(0)),
        "{log:?}"
    );
    // No secret anywhere; tokens are in headers only.
    let bodies = server.bodies();
    let said = format!("{}{}", output.stdout(), output.stderr());
    for secret in ["s3cret-value", SECRET, "0000feee"] {
        let without_results = bodies
            .lines()
            .filter(|line| !line.contains("CACHE_AFTER_STEP_RESULT"));
        assert!(
            !without_results.collect::<String>().contains(secret),
            "{secret}"
        );
        assert!(!said.contains(secret), "{secret}");
    }
    engine.assert_no_containers(&world);
}

#[test]
fn a_container_step_that_fails_is_errored() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let good = server.enqueue(container(&["echo fine"]));
    let bad = server.enqueue(container(&["echo s3cret-value; exit 7"]));
    let mut running = started(&world, &server);
    assert_eq!(server.wait_for(good), JobState::Completed);
    let JobState::Errored(message) = server.wait_for(bad) else {
        panic!("{:?}", server.job(bad));
    };
    assert!(message.contains("exit code 7"), "{message}");
    let log = server.log(bad);
    let step = log
        .iter()
        .find(|entry| entry.key == "step.docker.indexer")
        .expect("it ran");
    assert_eq!(step.exit_code, Some(7));
    assert!(
        step.out.contains("stdout: ${{ secrets.TOKEN }}\n"),
        "{}",
        step.out
    );
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    server.assert_pleased();
}

#[test]
fn the_number_of_jobs_may_be_limited() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let jobs = [0; 3].map(|_| server.enqueue(container(&["true"])));
    let output = executor(&world, &server, "run")
        .env("EXECUTOR_NUM_TOTAL_JOBS", "2")
        .env("EXECUTOR_MAX_NUM_JOBS", "2")
        .env("EXECUTOR_USE_FIRECRACKER", "true")
        .run();
    output.assert_code(0);
    let states = jobs.map(|id| server.job(id));
    assert_eq!(
        states,
        [JobState::Completed, JobState::Completed, JobState::Queued]
    );
    assert!(
        output
            .stderr()
            .contains("EXECUTOR_USE_FIRECRACKER is ignored"),
        "{output}"
    );
    server.assert_pleased();
}

#[test]
fn images_of_docker_hub_come_from_a_mirror() {
    Engine::require();
    let registry = Registry::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    // What the private registry has under this name stands for a copy of what Docker Hub has.
    let (_, name) = registry.image.split_once('/').expect("it has a registry");
    let _removed = Removed(name);
    let mut job = container(&["cat /etc/origin"]);
    job["dockerSteps"][0]["image"] = json!(name);
    job["dockerAuthConfig"] = json!({"auths": {registry.address.as_str(): {
        "auth": base64::engine::general_purpose::STANDARD
            .encode(format!("{}:{}", registry.user, registry.password)),
    }}});
    let id = server.enqueue(job);
    let output = executor(&world, &server, "run")
        .env("EXECUTOR_NUM_TOTAL_JOBS", "1")
        // The first is not there.
        .env(
            "EXECUTOR_DOCKER_REGISTRY_MIRROR_URL",
            format!("http://127.0.0.1:9,http://{}", registry.address),
        )
        .run();
    output.assert_code(0);
    let log = server.log(id);
    assert_eq!(server.job(id), JobState::Completed, "{output}\n{log:#?}");
    let step = log.iter().find(|entry| entry.key == "step.docker.indexer");
    let step = step.expect("it ran");
    assert!(
        step.out.contains("from the private registry"),
        "{}",
        step.out
    );
    assert!(output.stderr().contains("127.0.0.1:<port>"), "{output}");
    server.assert_pleased();
}

/// An image of the engine that the tests share.
struct Removed<'n>(&'n str);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker")
            .args(["image", "rm", "--force", self.0])
            .output();
    }
}
