//! Step results are kept: nothing runs twice, and nothing stale is believed.

use std::fs;
use std::path::{Path, PathBuf};

use capstan_tests::{Creations, Engine, Output, Repository, World};
use serde_json::{Value, json};

use crate::specs;

/// A world with one repository in which every step that runs leaves a line in a file outside of it.
struct Bench {
    world: World,
    widgets: Repository,
    canary: PathBuf,
}

impl Bench {
    fn new() -> Self {
        Engine::require();
        let world = World::new();
        let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
        let canary = world.work().join("canary");
        fs::create_dir(&canary).expect("it is new");
        Self {
            world,
            widgets,
            canary,
        }
    }

    fn run(&self, spec: &str, more: &[&str]) -> Output {
        self.run_with(spec, more, &[])
    }

    fn run_with(&self, spec: &str, more: &[&str], environment: &[(&str, &str)]) -> Output {
        let spec = self.world.write("spec.yaml", spec);
        let mut command = self
            .world
            .capstan(["batch", "run", "--mount"])
            .arg(format!("{}:/canary:rw", self.canary.display()))
            .arg("-f")
            .arg(spec)
            .args(more);
        for (name, value) in environment {
            command = command.env(name, value);
        }
        command.arg(self.widgets.path()).run()
    }

    /// What ran since the last call.
    fn ran(&self) -> String {
        let log = self.canary.join("log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let root = self.world.home().join(".cache");
        let files = self.world.files(&root);
        let entries = files.iter().filter(|file| file.ends_with(".json"));
        entries.map(|file| root.join(file)).collect()
    }
}

/// A step that says that it ran.
fn step(name: &str) -> Value {
    let script = format!("echo {name} >> /canary/log; echo {name} >> README.md; echo {name}");
    json!({"run": script, "container": "alpine:3"})
}

fn spec(steps: &[&str]) -> String {
    specs::with(
        &steps.iter().map(|name| step(name)).collect::<Vec<_>>(),
        json!({}),
    )
}

#[test]
fn a_second_run_executes_nothing_and_prints_the_same() {
    let bench = Bench::new();
    let engine = Engine::require();
    // An image of its own, so that the engine can be asked for what was made of it.
    let image = format!("capstan-test/cache-{}", std::process::id());
    let container = engine.docker(&["create", "alpine:3", "true"]);
    let label = format!("LABEL image={image}");
    let id = engine.docker(&["commit", "--change", &label, &container, &image]);
    engine.docker(&["rm", &container]);
    let mut creations = Creations::of(&engine, &id);
    let spec = spec(&["one", "two"]).replace("alpine:3", &image);
    let first = bench.run(&spec, &[]);
    first.assert_code(0);
    assert_eq!(bench.ran(), "one two");
    let second = bench.run(&spec, &[]);
    assert_eq!(bench.ran(), "");
    assert_eq!(first.stdout(), second.stdout());
    let made = creations.so_far();
    drop(creations);
    engine.remove_image(&image);
    assert_eq!(made.len(), 2, "two steps ran, once each: {made:?}");
    insta::assert_snapshot!(second.stderr(), @r"
    1 workspace in 1 repository
    1 known from the cache
    [widgets] done, from the cache
    widgets: branch change
      README.md | 2 ++
      1 file changed, 2 insertions(+)
    1 workspace: 1 done (1 from the cache); 1 changeset; <time>
    ");
}

#[test]
fn a_changed_last_step_goes_on_from_the_one_before() {
    let bench = Bench::new();
    bench
        .run(&spec(&["one", "two", "three"]), &[])
        .assert_code(0);
    assert_eq!(bench.ran(), "one two three");
    let output = bench.run(&spec(&["one", "two", "other"]), &[]);
    assert_eq!(bench.ran(), "other");
    insta::assert_snapshot!(output, @r"
    --- stdout
    # widgets, branch change
    diff --git README.md README.md
    index 45b983b..95c4552 100644
    --- README.md
    +++ README.md
    @@ -1 +1,4 @@
     hi
    +one
    +two
    +other
    --- stderr
    1 workspace in 1 repository
    [widgets] step 2/3 and those before: from the cache
    [widgets] preparing the workspace
    [widgets] step 3/3: echo other >> /canary/log; echo other >> README.md; echo other
    [widgets] done
    widgets: branch change
      README.md | 3 +++
      1 file changed, 3 insertions(+)
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    ");
}

#[test]
fn what_a_result_depends_on_invalidates_it() {
    let bench = Bench::new();
    bench.world.write("mounted", "first");
    let with = |env: Value| {
        let mut step = step("one");
        step["env"] = env;
        step["mount"] = json!([{"path": "./mounted", "mountpoint": "/mounted"}]);
        specs::with(&[step], json!({}))
    };
    let fixed = with(json!({"NAME": "value"}));
    let forwarded = with(json!(["NAME"]));
    let expect = |what: &str, spec: &str, environment: &[(&str, &str)], ran: &str| {
        bench.run_with(spec, &[], environment).assert_code(0);
        assert_eq!(bench.ran(), ran, "{what}");
    };
    expect("new", &fixed, &[], "one");
    expect("the same", &fixed, &[("NAME", "unused")], "");
    expect("a value", &with(json!({"NAME": "other"})), &[], "one");
    expect("a forwarded variable", &forwarded, &[("NAME", "a")], "one");
    expect("the same", &forwarded, &[("NAME", "a"), ("OTHER", "x")], "");
    expect("its value", &forwarded, &[("NAME", "b")], "one");
    bench.world.write("mounted", "longer than first");
    expect("the size of a mounted file", &fixed, &[], "one");
    let file = fs::File::options()
        .write(true)
        .open(bench.world.work().join("mounted"));
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    file.and_then(|file| file.set_modified(epoch))
        .expect("it is ours");
    expect("the time of a mounted file", &fixed, &[], "one");
    expect("the same", &fixed, &[], "");
    bench.widgets.git(["checkout", "-q", "-b", "topic"]);
    expect("the branch", &fixed, &[], "one");
    bench.widgets.commit("Another");
    expect("the commit", &fixed, &[], "one");
    bench.widgets.write("untracked", "");
    expect("an untracked file", &fixed, &[], "");
}

#[test]
fn a_broken_entry_is_dropped_with_a_warning() {
    let bench = Bench::new();
    let spec = spec(&["one"]);
    let first = bench.run(&spec, &[]);
    let [entry] = &bench.entries()[..] else {
        panic!("one step has one entry: {:?}", bench.entries());
    };
    let good = fs::read(entry).expect("it is there");
    assert_eq!(bench.ran(), "one");
    let half = good[..good.len() / 2].to_vec();
    for broken in [&b""[..], b"not JSON", b"[]", b"{}", b"\xff\x00", &half] {
        fs::write(entry, broken).expect("it is ours");
        let output = bench.run(&spec, &[]);
        output.assert_code(0);
        assert_eq!(output.stdout(), first.stdout());
        let stderr = output.stderr();
        assert!(
            stderr.contains("removed the unusable cache entry"),
            "{stderr}"
        );
        assert_eq!(bench.ran(), "one", "{:?}", String::from_utf8_lossy(broken));
        assert_eq!(fs::read(entry).expect("it is there"), good);
    }
    // A diff that does not fit is no less broken.
    let text = String::from_utf8_lossy(&good).into_owned();
    let mut value: Value = serde_json::from_str(&text).expect("it is JSON");
    value["diff"] = json!("bm90IGEgZGlmZg==");
    fs::write(entry, value.to_string()).expect("it is ours");
    insta::assert_snapshot!(bench.run(&spec, &[]), @r#"
    --- stdout
    # widgets, branch change
    diff --git README.md README.md
    index 45b983b..eea8a8d 100644
    --- README.md
    +++ README.md
    @@ -1 +1,2 @@
     hi
    +one
    --- stderr
    1 workspace in 1 repository
    [widgets] warning: removed the unusable cache entry $WORLD/home/.cache/capstan/steps/widgets-b490fed1abace25d1a2b01dc984148bc9dc2558e/uy2w5pGqB9xolc4JUh5Ogw-step-0.json: not a git diff: no line begins with "diff --git "
    [widgets] preparing the workspace
    [widgets] step 1/1: echo one >> /canary/log; echo one >> README.md; echo one
    [widgets] done
    widgets: branch change
      README.md | 1 +
      1 file changed, 1 insertion(+)
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    "#);
}

#[test]
fn no_cache_neither_reads_nor_writes() {
    let bench = Bench::new();
    let spec = spec(&["one"]);
    bench.run(&spec, &["--no-cache"]).assert_code(0);
    assert_eq!((bench.ran().as_str(), bench.entries().len()), ("one", 0));
    bench.run(&spec, &[]).assert_code(0);
    bench.ran();
    bench.run(&spec, &["--no-cache"]).assert_code(0);
    assert_eq!(bench.ran(), "one");
}

#[test]
fn steps_before_a_failure_are_kept() {
    let bench = Bench::new();
    let failing = specs::with(
        &[
            step("one"),
            json!({"run": "echo two >> /canary/log; exit 7", "container": "alpine:3"}),
        ],
        json!({}),
    );
    bench.run(&failing, &[]).assert_code(1);
    assert_eq!(bench.ran(), "one two");
    let again = bench.run(&failing, &[]);
    assert_eq!(bench.ran(), "two");
    insta::assert_snapshot!(again, @r"
    --- stderr
    1 workspace in 1 repository
    [widgets] step 1/2: from the cache
    [widgets] preparing the workspace
    [widgets] step 2/2: echo two >> /canary/log; exit 7
    [widgets] step 2/2: failed: exit status 7
    ✗ widgets: step 2 failed
      run: echo two >> /canary/log; exit 7
      container: alpine:3

      Command failed with exit code 7.
      log: $WORLD/home/.local/state/capstan/logs/<run>/0000-widgets-b490fed1abace25d1a2b01dc984148bc9dc2558e.log
    1 workspace: 0 done, 1 failed; 0 changesets; <time>
    --- exit 1
    ");
    bench.run(&spec(&["one", "two"]), &[]).assert_code(0);
    assert_eq!(bench.ran(), "two");
}

#[test]
fn a_skipped_last_step_needs_no_container() {
    let bench = Bench::new();
    let mut last = step("two");
    last["if"] = json!("${{ eq previous_step.stdout \"something else\\n\" }}");
    let spec = specs::with(&[step("one"), last], json!({}));
    let first = bench.run(&spec, &[]);
    assert_eq!(bench.ran(), "one");
    let second = bench.run(&spec, &[]);
    assert_eq!((bench.ran().as_str(), second.code()), ("", 0));
    assert_eq!(first.stdout(), second.stdout());
    insta::assert_snapshot!(second.stderr(), @r"
    1 workspace in 1 repository
    [widgets] step 1/2: from the cache
    [widgets] step 2/2: skipped
    [widgets] done, from the cache
    widgets: branch change
      README.md | 1 +
      1 file changed, 1 insertion(+)
    1 workspace: 1 done (1 from the cache); 1 changeset; <time>
    ");
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let bench = Bench::new();
    bench.world.write("in-the-way", "a file");
    let cache: &Path = &bench.world.work().join("in-the-way");
    let output = bench.run(
        &spec(&["one", "two"]),
        &["--cache-dir", &cache.to_string_lossy()],
    );
    assert_eq!(bench.ran(), "one two");
    insta::assert_snapshot!(output, @r"
    --- stdout
    # widgets, branch change
    diff --git README.md README.md
    index 45b983b..4c8211a 100644
    --- README.md
    +++ README.md
    @@ -1 +1,3 @@
     hi
    +one
    +two
    --- stderr
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/2: echo one >> /canary/log; echo one >> README.md; echo one
    warning: results are not kept for later runs: $WORLD/work/in-the-way/steps/widgets-b490fed1abace25d1a2b01dc984148bc9dc2558e: Not a directory (os error 20)
    [widgets] step 2/2: echo two >> /canary/log; echo two >> README.md; echo two
    [widgets] done
    widgets: branch change
      README.md | 2 ++
      1 file changed, 2 insertions(+)
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    ");
}
