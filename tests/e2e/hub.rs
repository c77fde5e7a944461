//! A hub with an executor that is played by the test, over real processes.

mod faults;
mod line;
mod played;
mod pods;
mod scene;

use std::path::Path;

use capstan_tests::{Engine, Running, Signal, World, component};
use serde_json::{Value, json};

use self::played::Executor;

const SECRET: &str = "the-executors-shared-secret";
const TOKEN: &str = "the-token-of-the-people";

const SPEC: &str = "\
name: hello
steps:
  - run: echo hello >> README.md
    container: alpine:3
changesetTemplate:
  title: Hello
  body: World
  branch: hello
  commit: {message: Say hello}
";

/// A hub that listens, and its address.
struct Hub {
    running: Running,
    address: String,
}

impl Hub {
    fn start(world: &World) -> Self {
        Self::start_with(world, "127.0.0.1:0", &[])
    }

    fn start_with(world: &World, address: &str, flags: &[&str]) -> Self {
        let mut running = world
            .capstan(["hub", "serve", "--data", "hub", "--listen", address])
            .args(flags)
            .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
            .env("CAPSTAN_HUB_TOKEN", TOKEN)
            .spawn();
        running.wait_for("  pages:");
        let said = running.stderr_so_far();
        let (_, rest) = said
            .split_once("listening on http://")
            .expect("it says where");
        let address = rest.lines().next().expect("a line").to_owned();
        Self { running, address }
    }

    fn executor(&self, name: &str) -> Executor {
        Executor::new(&self.address, SECRET, name)
    }

    fn command<'w>(&self, world: &'w World, arguments: &[&str]) -> capstan_tests::Capstan<'w> {
        world
            .capstan(["hub"])
            .args(arguments)
            .args(["--hub", &format!("http://{}", self.address)])
            .env("CAPSTAN_HUB_TOKEN", TOKEN)
    }

    fn json(&self, world: &World, arguments: &[&str]) -> Value {
        let output = self.command(world, arguments).arg("--json").run();
        serde_json::from_str(&output.stdout()).unwrap_or_else(|error| panic!("{error}\n{output}"))
    }

    /// kill -9.
    fn kill(mut self) {
        self.running.signal(Signal::KILL);
        assert_eq!(self.running.wait().code(), 128 + 9);
    }

    /// Ends it in order; returns all that it said.
    fn stop(mut self) -> String {
        self.running.signal(Signal::TERM);
        let output = self.running.wait();
        output.assert_code(0);
        format!("{output}")
    }
}

/// A world with the repository `widgets` and the spec.
fn world() -> World {
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    world.write("spec.yaml", SPEC);
    world
}

#[test]
fn a_batch_spec_goes_through_the_hub() {
    let world = world();
    let hub = Hub::start(&world);
    let submitted = hub
        .command(&world, &["submit", "-f", "spec.yaml", "widgets"])
        .run();
    submitted.assert_code(0);
    assert_eq!(
        (submitted.stdout().as_str(), submitted.stderr().as_str()),
        ("1\n", "execution 1: 1 job\n")
    );

    let executor = hub.executor("played");
    let job = executor.take().expect("there is a job");
    let diff = job.run_here(&world.root().join("tmp/clone"), |repository: &Path| {
        std::fs::write(repository.join("README.md"), "hi\nhello\n").unwrap();
    });
    job.log("step.docker.step.0.run", "stderr: hello\n");
    job.report(0, &diff);
    assert_eq!(job.mark("markComplete").status, 204);
    assert!(executor.take().is_none());

    let shown = hub.command(&world, &["show", "1"]).run();
    shown.assert_code(0);
    insta::assert_snapshot!(shown.stdout(), @r"
    hello (execution 1): completed
    job 1 widgets: completed

    widgets, branch hello: Hello
     README.md | 1 +
     1 file changed, 1 insertion(+)
    ");
    let written = hub.command(&world, &["show", "1", "--output", "out"]).run();
    written.assert_code(0);
    assert_eq!(
        world.files("out"),
        ["changesets.json", "widgets/hello.patch"]
    );
    assert_eq!(world.read("out/widgets/hello.patch"), diff);
    let changeset = &world.changesets("out")[0];
    assert_eq!(changeset["baseRepository"], "widgets");
    assert_eq!(changeset["headRef"], "refs/heads/hello");
    assert_eq!(changeset["commits"][0]["message"], "Say hello");
    let printed = hub.command(&world, &["show", "1", "--diff"]).run();
    assert!(printed.stdout().ends_with(&diff), "{printed}");

    let logs = hub.command(&world, &["logs", "1"]).run();
    assert!(
        logs.stdout()
            .starts_with("# job 1 widgets: step.docker.step.0.run (exit 0)\nstderr: hello\n"),
        "{logs}"
    );
    let listed = hub.json(&world, &["list"]);
    assert_eq!(listed[0]["jobs"], json!({"completed": 1}));
}

#[test]
fn jobs_are_cancelled_and_tried_again() {
    let world = world();
    let hub = Hub::start(&world);
    hub.command(&world, &["submit", "-f", "spec.yaml", "widgets"])
        .run()
        .assert_code(0);
    let executor = hub.executor("played");
    let job = executor.take().expect("there is a job");
    hub.command(&world, &["cancel", "1"]).run().assert_code(0);
    assert_eq!(
        executor.beat(&[job.id])["cancelIds"],
        json!([job.id.to_string()])
    );
    assert_eq!(job.mark("markFailed").status, 204);
    assert_eq!(hub.json(&world, &["show", "1"])["state"], "canceled");
    let over = hub.command(&world, &["cancel", "1"]).run();
    assert_eq!(over.stderr(), "execution 1 has ended already\n");

    let retried = hub.command(&world, &["retry", "1"]).run();
    assert_eq!(
        (retried.code(), retried.stderr().as_str()),
        (0, "execution 1: 1 job again\n")
    );
    let job = executor.take().expect("it is there again");
    assert_eq!(job.mark("markErrored").status, 204);
    let shown = hub.command(&world, &["show", "1"]).run();
    assert_eq!(shown.code(), 1);
    insta::assert_snapshot!(shown.stdout(), @r"
    hello (execution 1): failed
    job 1 widgets: failed
        it was played
    ");
}

#[test]
fn a_killed_hub_goes_on_where_it_was() {
    let world = world();
    let hub = Hub::start(&world);
    for _ in 0..3 {
        hub.command(
            &world,
            &["submit", "-f", "spec.yaml", "widgets", "--no-cache"],
        )
        .run()
        .assert_code(0);
    }
    let executor = hub.executor("played");
    let job = executor.take().expect("there is a job");
    let clone = world.root().join("tmp/clone");
    let diff = job.run_here(&clone, |repository: &Path| {
        std::fs::write(repository.join("new"), "x\n").unwrap();
    });
    job.log("step.docker.step.0.run", "stderr: hello\n");
    hub.kill();

    let hub = Hub::start(&world);
    let executor = hub.executor("played");
    assert_eq!(
        executor.beat(&[job.id])["knownIds"],
        json!([job.id.to_string()])
    );
    let job = job.at(&hub.address);
    job.report(0, &diff);
    assert_eq!(job.mark("markComplete").status, 204);
    assert_eq!(job.mark("markComplete").status, 404, "no job ends twice");
    hub.kill();

    let hub = Hub::start(&world);
    let shown = hub.json(&world, &["show", "1"]);
    assert_eq!(shown["state"], "completed");
    let executor = hub.executor("other");
    let rest: Vec<i64> = std::iter::from_fn(|| executor.take())
        .map(|job| job.id)
        .collect();
    assert_eq!(rest, [2, 3]);
    hub.command(&world, &["show", "1", "--output", "out"])
        .run()
        .assert_code(0);
    assert_eq!(world.read("out/widgets/hello.patch"), diff);
}

#[test]
fn secrets_are_not_shown() {
    let world = world();
    let spec = SPEC.replace(
        "container: alpine:3",
        "container: alpine:3\n    env: [STEP_SECRET]",
    );
    world.write("secret.yaml", spec);
    let hub = Hub::start(&world);
    let submitted = hub
        .command(&world, &["submit", "-f", "secret.yaml", "widgets"])
        .env("STEP_SECRET", "hush-hush-hush")
        .run();
    submitted.assert_code(0);
    let executor = hub.executor("played");
    let job = executor.take().expect("there is a job");
    assert_eq!(
        job.payload["redactedValues"],
        json!({"hush-hush-hush": "${{ secrets.STEP_SECRET }}"})
    );
    let command_line = std::fs::read(format!("/proc/{}/cmdline", hub.running.id())).unwrap();
    job.log("step.docker.step.0.post", "nothing");
    assert_eq!(job.mark("markComplete").status, 204);
    let shown = hub.command(&world, &["show", "1", "--json"]).run();
    let listed = hub.command(&world, &["list", "--json"]).run();
    let token = job.token.clone();
    let told = [
        String::from_utf8_lossy(&command_line).into_owned(),
        format!("{submitted}{shown}{listed}"),
        hub.stop(),
    ];
    for secret in [SECRET, TOKEN, "hush-hush-hush", token.as_str()] {
        for text in &told {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    // The end of the execution was the end of the value.
    for file in world.files("hub") {
        let bytes = std::fs::read(world.work().join("hub").join(&file)).unwrap();
        if !file.ends_with("-wal") {
            let found = bytes.windows(14).any(|window| window == b"hush-hush-hush");
            assert!(!found, "{file}");
        }
    }
}

#[test]
fn a_hub_is_private_unless_told_otherwise() {
    let world = world();
    let elsewhere = world
        .capstan(["hub", "serve", "--data", "hub", "--listen", "0.0.0.0:0"])
        .run();
    assert_eq!(elsewhere.code(), 2);
    assert!(
        elsewhere
            .stderr()
            .contains("without secrets that were chosen for it"),
        "{elsewhere}"
    );
    let short = world
        .capstan(["hub", "serve", "--data", "hub", "--listen", "127.0.0.1:0"])
        .env("CAPSTAN_HUB_TOKEN", "short")
        .run();
    assert_eq!(short.code(), 2);
    assert!(short.stderr().contains("at least 20 characters"), "{short}");

    // Without any settings: its user finds it, nobody else does.
    let mut running = world
        .capstan(["hub", "serve", "--listen", "127.0.0.1:0"])
        .spawn();
    running.wait_for("  pages:");
    let said = running.stderr_so_far();
    let (_, rest) = said.split_once("listening on ").expect("it says where");
    let url = rest.lines().next().expect("a line").to_owned();
    world
        .capstan(["hub", "list", "--hub", &url])
        .run()
        .assert_code(0);
    let stranger = world
        .capstan(["hub", "list", "--hub", &url])
        .env("CAPSTAN_HUB_TOKEN", "a-token-that-is-wrong-here")
        .run();
    assert_eq!(stranger.code(), 2);
    assert!(
        stranger.stderr().contains("does not accept the token"),
        "{stranger}"
    );
    let second = world
        .capstan(["hub", "serve", "--listen", "127.0.0.1:0"])
        .run();
    assert_eq!(second.code(), 3);
    assert!(
        second
            .stderr()
            .contains("another hub uses the data directory"),
        "{second}"
    );
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    let gone = world.capstan(["hub", "list", "--hub", &url]).run();
    assert_eq!(gone.code(), 3);
    assert!(gone.stderr().contains("is the hub running?"), "{gone}");
}

#[test]
fn two_hundred_jobs_through_two_executors() {
    let world = world();
    let directories: Vec<String> = (0..200).map(|n| format!("d{n:03}/go.mod")).collect();
    let files: Vec<(&str, &str)> = directories
        .iter()
        .map(|path| (path.as_str(), "x\n"))
        .collect();
    world.repository("many", &files);
    let spec = SPEC
        .replace("branch: hello", "branch: hello-${{ steps.path }}")
        .replace(
            "steps:\n",
            "workspaces: [{rootAtLocationOf: go.mod}]\nsteps:\n",
        );
    world.write("many.yaml", spec);
    let hub = Hub::start(&world);
    hub.command(&world, &["submit", "-f", "many.yaml", "many"])
        .run()
        .assert_code(0);
    let played = ["one", "two"].map(|name| {
        let executor = hub.executor(name);
        std::thread::spawn(move || {
            let mut done = 0;
            while let Some(job) = executor.take() {
                let name = job.input()["path"].as_str().unwrap().to_owned();
                let diff = format!("diff --git {name}/go.mod {name}/go.mod\nindex 1..2 100644\n--- {name}/go.mod\n+++ {name}/go.mod\n@@ -1 +1 @@\n-x\n+y\n");
                job.report(0, &diff);
                assert_eq!(job.mark("markComplete").status, 204);
                done += 1;
            }
            done
        })
    });
    let done: Vec<i32> = played
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(done.iter().sum::<i32>(), 200);
    hub.command(&world, &["show", "1", "--output", "out"])
        .run()
        .assert_code(0);
    let changesets = world.changesets("out");
    let mut branches: Vec<&str> = changesets
        .iter()
        .map(|c| c["headRef"].as_str().unwrap())
        .collect();
    branches.sort_unstable();
    branches.dedup();
    assert_eq!((changesets.len(), branches.len()), (200, 200));
}

/// A hub with an executor in it, and where it is.
fn whole_system(world: &World) -> (Running, String) {
    let mut running = world
        .capstan(["hub", "serve", "--with-executor", "--listen", "127.0.0.1:0"])
        .spawn();
    running.wait_for("listening for jobs");
    let said = running.stderr_so_far();
    let (_, rest) = said.split_once("listening on ").expect("it says where");
    let url = rest.lines().next().expect("a line").to_owned();
    (running, url)
}

#[test]
fn one_command_is_the_whole_system() {
    Engine::require();
    let world = world();
    let (mut running, url) = whole_system(&world);
    let hub = |arguments: &[&str]| {
        let command = world.capstan(["hub"]).args(arguments);
        command.args(["--hub", &url]).run()
    };
    hub(&["submit", "-f", "spec.yaml", "widgets", "--wait"]).assert_code(0);
    hub(&["show", "1", "--output", "by-hub"]).assert_code(0);
    world
        .capstan([
            "batch",
            "run",
            "-f",
            "spec.yaml",
            "widgets",
            "--output",
            "by-run",
        ])
        .run()
        .assert_code(0);
    for file in ["changesets.json", "widgets/hello.patch"] {
        let [by_hub, by_run] = ["by-hub", "by-run"].map(|dir| world.read(format!("{dir}/{file}")));
        assert_eq!(by_hub, by_run, "{file}");
    }
    // What is known needs no executor, and a step that fails is told.
    let again = hub(&["submit", "-f", "spec.yaml", "widgets", "--wait"]);
    assert!(again.stderr().contains("1 step known before"), "{again}");
    world.write(
        "fails.yaml",
        SPEC.replace("echo hello >>", "cat /no/such >>"),
    );
    let failed = hub(&["submit", "-f", "fails.yaml", "widgets", "--wait"]);
    assert_eq!(failed.code(), 1);
    let logs = hub(&["logs", "3"]);
    assert!(logs.stdout().contains("/no/such"), "{logs}");
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
}

#[test]
fn files_secrets_and_branches_are_as_in_a_run_without_a_hub() {
    Engine::require();
    let world = world();
    world.write("tools/say.sh", "echo tool says $1\n");
    world.write("tools/deep/er", "deeper\n");
    let steps = "
  - run: |
      sh /tools/say.sh ${{ repository.name }} >> README.md
      cat /tools/deep/er >> README.md
      echo ${{ repository.branch }} >> README.md
      echo the secret is $HUSH
    container: alpine:3
    env: [HUSH]
    mount: [{path: ./tools, mountpoint: /tools}]
  - run: ls /tools >> README.md; echo ${{ previous_step.modified_files }} >> README.md
    container: alpine:3
    mount: [{path: tools, mountpoint: /tools}]
  - run: echo never >> README.md
    container: alpine:3
    if: ${{ eq steps.path \"elsewhere\" }}
";
    let spec = SPEC.replace(
        "\n  - run: echo hello >> README.md\n    container: alpine:3\n",
        steps,
    );
    world.write("spec.yaml", spec);
    let (mut running, url) = whole_system(&world);
    let hub = |arguments: &[&str]| {
        let command = world.capstan(["hub"]).args(arguments);
        command
            .args(["--hub", &url])
            .env("HUSH", "hush-hush-hush")
            .run()
    };
    hub(&["submit", "-f", "spec.yaml", "widgets", "--wait"]).assert_code(0);
    let logs = hub(&["logs", "1"]).stdout();
    assert!(logs.contains("the secret is ${{ secrets.HUSH }}"), "{logs}");
    assert!(!logs.contains("hush-hush"), "{logs}");
    let again = hub(&["submit", "-f", "spec.yaml", "widgets", "--wait"]);
    assert!(again.stderr().contains("2 steps known before"), "{again}");
    hub(&["show", "2", "--output", "by-hub"]).assert_code(0);
    world
        .capstan([
            "batch",
            "run",
            "-f",
            "spec.yaml",
            "widgets",
            "--output",
            "by-run",
        ])
        .env("HUSH", "hush-hush-hush")
        .run()
        .assert_code(0);
    let [by_hub, by_run] =
        ["by-hub", "by-run"].map(|dir| world.read(format!("{dir}/widgets/hello.patch")));
    assert_eq!(by_hub, by_run);
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
}

#[test]
fn results_of_components_are_known_as_long_as_they_are_the_same() {
    let world = world();
    let tool = |flags: &[&str]| {
        let made = component("tests/e2e/components/tool.rs", flags);
        std::fs::create_dir_all(world.work().join("tools")).unwrap();
        std::fs::copy(made, world.work().join("tools/tool.wasm")).unwrap();
    };
    tool(&[]);
    let step = "run: append README.md hello\n    container: wasm://./tools/tool.wasm";
    let spec = SPEC.replace(
        "run: echo hello >> README.md\n    container: alpine:3",
        step,
    );
    world.write("spec.yaml", spec);
    let (mut running, url) = whole_system(&world);
    let submit = || {
        let command = world.capstan(["hub", "submit", "-f", "spec.yaml", "widgets", "--wait"]);
        let output = command.args(["--hub", &url]).run();
        output.assert_code(0);
        output.stderr().contains("1 step known before")
    };
    let known = [(); 2].map(|()| submit());
    assert_eq!(known, [false, true]);
    tool(&["--cfg=second"]);
    assert!(!submit(), "it is another component");
    let show = world.capstan(["hub", "show", "2", "--diff"]);
    let shown = show.args(["--hub", &url]).run();
    assert!(shown.stdout().ends_with("+hello\n"), "{shown}");
    // One that is not there is found before anything is sent.
    std::fs::remove_file(world.work().join("tools/tool.wasm")).unwrap();
    let submit = world.capstan(["hub", "submit", "-f", "spec.yaml", "widgets"]);
    let missing = submit.args(["--hub", &url]).run();
    assert_eq!(missing.code(), 2);
    assert!(
        missing
            .stderr()
            .contains("step 1: the component wasm://./tools/tool.wasm cannot be read"),
        "{missing}"
    );
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
}

#[test]
fn logs_are_followed_while_they_are_written() {
    Engine::require();
    let world = scene::busy(2, 2);
    let hub = Hub::start(&world);
    hub.submit_sleeping(&world);
    let mut following = hub.command(&world, &["logs", "1", "--follow"]).spawn();
    let executor = scene::started(&world, &hub.address);
    following.wait_for(": asleep\n");
    let is_running = hub.json(&world, &["show", "1"])["state"] == "running";
    assert!(is_running, "it is shown before the end");
    let followed = following.wait();
    followed.assert_code(0);
    scene::stop(executor);
    let said = followed.stdout();
    for text in [
        ": asleep\n",
        "# job 1 many:d0: step.docker.step.0.run\n",
        "# job 2 many:d1: step.docker.step.0.post\n",
        "# job 2 many:d1: teardown.fs\n",
    ] {
        let expected = if text == ": asleep\n" { 2 } else { 1 };
        assert_eq!(said.matches(text).count(), expected, "{text}\n{said}");
    }
    // All that the log holds has been printed, in another order perhaps.
    let lines = |text: String| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let logs = hub.command(&world, &["logs", "1"]).run();
    assert_eq!(lines(said), lines(logs.stdout()));
}
