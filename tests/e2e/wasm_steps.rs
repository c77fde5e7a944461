//! Steps in WebAssembly: `container: wasm://...`.

use std::fs;
use std::net::TcpListener;

use capstan_tests::{Capstan, Engine, Output, Repository, Signal, World, component};

use crate::ownership::as_ordinary_user;
use crate::scene::{Scene, assert_says, last_log, spec, story};

const NOWHERE: &str = "unix:///nonexistent/docker.sock";

/// What most tests run.
fn tool() -> Vec<u8> {
    made("tests/e2e/components/tool.rs", &[])
}

/// The same program, of another digest.
fn second_tool() -> Vec<u8> {
    made("tests/e2e/components/tool.rs", &["--cfg", "second"])
}

fn made(source: &str, flags: &[&str]) -> Vec<u8> {
    let flags = [&["--check-cfg", "cfg(second)"], flags].concat();
    fs::read(component(source, &flags)).expect("it was compiled")
}

/// A world with the repository `widgets` and `tool.wasm` beside the spec, on a machine without any container engine. When dropped,
/// asserts that nothing was left behind.
struct Bench {
    world: World,
    repository: Repository,
}

impl Bench {
    fn new() -> Self {
        Self::of(&[("README.md", "hi\n")])
    }

    fn of(files: &[(&str, &str)]) -> Self {
        let world = World::new();
        let repository = world.repository("widgets", files);
        world.write("tool.wasm", tool());
        Self { world, repository }
    }

    /// `batch run --output out` of the text of a spec's `steps` on `widgets`.
    fn yaml(&self, steps: &str) -> Capstan<'_> {
        self.world.write("spec.yaml", spec(steps));
        self.world
            .capstan(["batch", "run", "--output", "out", "-f", "spec.yaml"])
            .arg("widgets")
            .env("DOCKER_HOST", NOWHERE)
    }

    /// The same, of steps that all run the tool, each with this `run`.
    fn tool(&self, runs: &[&str]) -> Capstan<'_> {
        let step = |run: &&str| {
            let run = serde_json::json!(run);
            format!("  - container: wasm://./tool.wasm\n    run: {run}\n")
        };
        self.yaml(&runs.iter().map(step).collect::<String>())
    }

    /// What these steps print, all of which must succeed.
    #[track_caller]
    fn printed(&self, command: Capstan<'_>) -> String {
        command.run().assert_code(0);
        self.log()
    }

    /// What the steps of the last run printed, and whatever else its log says of them.
    fn log(&self) -> String {
        let log = last_log(&self.world);
        let printed = log.lines().filter_map(|line| {
            let stdout = line.strip_prefix("stdout | ");
            stdout.or_else(|| line.strip_prefix("stderr | "))
        });
        printed.map(|line| format!("{line}\n")).collect()
    }

    fn diff(&self) -> String {
        match &*self.world.files("out") {
            files if files.iter().any(|file| file == "widgets/test.patch") => {
                self.world.read("out/widgets/test.patch")
            }
            _ => String::new(),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_clean(&self.world);
        }
    }
}

/// Asserts that no directory of a run and no temporary file is left.
#[track_caller]
fn assert_clean(world: &World) {
    for directory in [
        world.home().join(".local/state/capstan/runs"),
        world.root().join("tmp"),
    ] {
        let left: Vec<_> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

#[track_caller]
fn failed(output: &Output, code: i32) -> String {
    output.assert_code(code);
    story(output)
}

#[test]
fn a_component_changes_files_without_any_container_engine() {
    let bench = Bench::of(&[("README.md", "the colour\n"), ("src/a.txt", "colour\n")]);
    let runs = [
        "replace colour color README.md src/a.txt",
        "write /work/new 'two words'",
    ];
    let output = bench.tool(&runs).run();
    output.assert_code(0);
    insta::assert_snapshot!(output, @"
    --- stderr
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/2: replace colour color README.md src/a.txt
    [widgets] step 2/2: write /work/new 'two words'
    [widgets] done
    widgets: branch test
      README.md | 2 +-
      new       | 1 +
      src/a.txt | 2 +-
      3 files changed, 3 insertions(+), 2 deletions(-)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    ");
    insta::assert_snapshot!(bench.diff(), @"
    diff --git README.md README.md
    index 35bed92..e5eda16 100644
    --- README.md
    +++ README.md
    @@ -1 +1 @@
    -the colour
    +the color
    diff --git new new
    new file mode 100644
    index 0000000..e44def7
    --- /dev/null
    +++ new
    @@ -0,0 +1 @@
    +two words
    diff --git src/a.txt src/a.txt
    index b0d95fa..9821353 100644
    --- src/a.txt
    +++ src/a.txt
    @@ -1 +1 @@
    -colour
    +color
    ");
}

#[test]
fn the_first_line_are_arguments_and_the_rest_is_input() {
    let bench = Bench::new();
    let steps = r#"
  - container: wasm://./tool.wasm
    env: {GREETING: "hello ${{ repository.name }}", EMPTY: ""}
    run: |
      show '${{ repository.name }} x' \
        "a\"b"  *
      line one | not a pipe
        ${{ repository.branch }}
  - container: wasm://./tool.wasm
    run: ""
"#;
    insta::assert_snapshot!(bench.printed(bench.yaml(steps)), @r#"
    ["tool", "show", "widgets x", "a\"b", "*"]
    [("EMPTY", ""), ("GREETING", "hello widgets")]
    "line one | not a pipe\n  main\n"
    nothing to do
    "#);
}

#[test]
fn a_step_sees_its_files_and_mounts_and_a_private_directory() {
    let bench = Bench::of(&[("README.md", "hi\n"), ("sub/inner.txt", "inner\n")]);
    bench.world.write("shared/data.txt", "shared\n");
    bench.world.write("single.txt", "single\n");
    let steps = r#"
  - container: wasm://./tool.wasm
    files: {/tmp/a: "a of ${{ repository.name }}\n", /etc/tool/b: "b\n"}
    mount:
      - {path: ./shared, mountpoint: /shared}
      - {path: ./single.txt, mountpoint: /opt/single.txt}
    run: cat /tmp/a /etc/tool/b /shared/data.txt /opt/single.txt README.md /work/sub/inner.txt
  - container: wasm://./tool.wasm
    mount: [{path: ./shared, mountpoint: /shared}]
    run: write /shared/data.txt changed
  - container: wasm://./tool.wasm
    files: {/etc/tool/b: "b\n"}
    run: write /etc/tool/b changed
  - container: wasm://./tool.wasm
    run: write /tmp/kept 1
  - container: wasm://./tool.wasm
    run: cat /tmp/kept
  - container: wasm://./tool.wasm
    run: list /work /tmp .
"#;
    insta::assert_snapshot!(bench.printed(bench.yaml(steps)), @"
    a of widgets
    b
    shared
    single
    hi
    inner
    /shared/data.txt: permission denied
    /etc/tool/b: permission denied
    /tmp/kept: written
    /tmp/kept: entity not found
    /work: .git README.md sub
    /tmp: 
    .: .git README.md sub
    ");
    assert_eq!(bench.world.read("shared/data.txt"), "shared\n");
    assert_eq!(bench.diff(), "");
}

#[test]
fn what_cannot_be_shown_to_a_component_is_told() {
    let bench = Bench::new();
    let steps = r#"
  - container: wasm://./tool.wasm
    files: {/work/config: "x"}
    run: cat config
"#;
    insta::assert_snapshot!(failed(&bench.yaml(steps).run(), 1), @"
    ✗ widgets: step 1 failed
      running widgets step 1: /work/config is in /work, which a WebAssembly step sees as the workspace is; put it elsewhere, for example below /tmp
    ");
}

#[test]
fn a_step_starts_in_the_directory_of_its_workspace() {
    let bench = Bench::of(&[
        ("a/package.json", "{}\n"),
        ("b/c/package.json", "{}\n"),
        ("top", "top\n"),
    ]);
    let steps = "  - container: wasm://./tool.wasm\n    run: write here ${{ steps.path }}\n";
    let steps = format!("{steps}workspaces: [{{rootAtLocationOf: package.json}}]\n");
    let spec = spec(&steps).replace(
        "branch: test",
        "branch: test-${{ replace steps.path \"/\" \"-\" }}",
    );
    bench.world.write("nested.yaml", spec);
    let output = bench
        .world
        .capstan([
            "batch",
            "run",
            "--output",
            "out",
            "-f",
            "nested.yaml",
            "widgets",
        ])
        .env("DOCKER_HOST", NOWHERE)
        .run();
    output.assert_code(0);
    let patch = |name: &str| bench.world.read(format!("out/widgets/{name}.patch"));
    assert_says(&patch("test-a"), &["+++ a/here", "+a\n"]);
    assert_says(&patch("test-b-c"), &["+++ b/c/here", "+b/c\n"]);
}

#[test]
fn outputs_and_conditions_work_as_for_containers() {
    let bench = Bench::new();
    bench.world.write("tools/tool.wasm", tool());
    let steps = r#"
  - container: wasm://./tool.wasm
    run: |
      show
    outputs: {said: {value: "${{ step.stdout }}"}}
  - container: wasm://./tool.wasm
    if: ${{ eq outputs.said "x" }}
    run: exit 1
  - container: wasm://./tools/${{ replace "teel" "e" "o" }}.wasm
    run: |
      write said '${{ len outputs.said }} bytes from ${{ repository.name }}'
"#;
    bench.yaml(steps).run().assert_code(0);
    insta::assert_snapshot!(bench.diff(), @"
    diff --git said said
    new file mode 100644
    index 0000000..c346f30
    --- /dev/null
    +++ said
    @@ -0,0 +1 @@
    +23 bytes from widgets
    ");
}

#[test]
fn every_way_to_end_is_told() {
    let bench = Bench::new();
    for (run, flags, expected) in [
        ("exit 1", &[][..], &["Command failed with exit code 1."][..]),
        (
            "fail 'no such thing'",
            &[],
            &["no such thing", "Command failed with exit code 1."],
        ),
        (
            "panic 'on purpose'",
            &[],
            &["on purpose", "Command failed with exit code 134."],
        ),
        (
            "hog",
            &["--memory", "32MiB"],
            &[
                "Command failed with exit code 137.",
                "hint: the component wanted more memory than it may have: raise the memory limit",
            ],
        ),
    ] {
        let output = bench.tool(&[run]).args(flags).run();
        assert_says(&failed(&output, 1), expected);
    }
}

#[test]
fn an_endless_loop_ends_with_the_time_limit() {
    let bench = Bench::new();
    let output = bench.tool(&["loop"]).args(["--step-timeout", "1s"]).run();
    insta::assert_snapshot!(failed(&output, 1), @"
    ✗ widgets: step 1 failed
      Timeout reached. Execution took longer than <time>.
    ");
}

#[test]
fn an_endless_loop_can_be_interrupted() {
    let bench = Bench::new();
    let mut running = bench.tool(&["loop"]).arg("-v").spawn();
    running.wait_for("| in the loop");
    running.signal(Signal::INT);
    let output = running.wait();
    output.assert_code(130);
    assert_says(&output.stderr(), &["interrupted", "cancelled"]);
}

#[test]
fn a_flood_of_output_arrives() {
    let bench = Bench::new();
    let steps = r#"
  - container: wasm://./tool.wasm
    run: flood 3200000
    outputs: {length: {value: "${{ len step.stdout }}"}}
  - container: wasm://./tool.wasm
    run: write length ${{ outputs.length }}
"#;
    bench.yaml(steps).run().assert_code(0);
    assert_says(&bench.diff(), &["+3200000\n"]);
}

#[test]
fn a_component_reaches_nothing_else() {
    let bench = Bench::new();
    let targets = ["/etc/passwd", "../../../../../../../etc/passwd"];
    for (link, target) in ["passwd", "up"].into_iter().zip(targets) {
        let link = bench.repository.path().join(link);
        std::os::unix::fs::symlink(target, link).expect("a link can be made");
    }
    bench.repository.commit("Links");
    let outside = bench.world.work().join("outside");
    let run = format!(
        "cat passwd up /etc/passwd ../../etc/passwd /work/../etc/passwd /proc/self/environ {}",
        outside.display()
    );
    fs::write(&outside, "secret\n").expect("the world is writable");
    let writes = format!("write {} x", outside.display());
    let command = bench.tool(&[
        &run,
        &writes,
        "write ../x x",
        "write passwd x",
        "write up x",
    ]);
    insta::assert_snapshot!(bench.printed(command.env("SECRET", "secret")).replace(&*bench.world.root().to_string_lossy(), "$WORLD"), @"
    passwd: permission denied
    up: permission denied
    /etc/passwd: entity not found
    ../../etc/passwd: permission denied
    /work/../etc/passwd: permission denied
    /proc/self/environ: entity not found
    $WORLD/work/outside: entity not found
    $WORLD/work/outside: entity not found
    ../x: permission denied
    passwd: permission denied
    up: permission denied
    ");
    assert_eq!(
        fs::read_to_string(&outside).expect("it is there"),
        "secret\n"
    );
}

/// A socket of a component is one of this machine, as in a container with the host's network: it takes the same words.
#[test]
fn connections_are_for_steps_with_the_hosts_network() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it has one");
    for (flags, expected) in [
        (&[][..], "permission denied\n"),
        (&["--network", "bridge"], "permission denied\n"),
        (&["--network", "none"], "permission denied\n"),
        (&["--network", "host"], "connected\n"),
    ] {
        let run = format!("connect {address}");
        let command = bench.tool(&[&run]).arg("--no-cache").args(flags);
        assert_eq!(bench.printed(command), expected, "{flags:?}");
    }
}

#[test]
fn a_component_that_changed_is_not_served_from_the_cache() {
    let bench = Bench::new();
    let run = || bench.tool(&["version"]).arg("-v").run();
    let first = run();
    first.assert_code(0);
    assert_says(&first.stderr(), &["| one"]);
    let again = run();
    assert!(!again.stderr().contains("| one"), "{again}");
    bench.world.write("tool.wasm", second_tool());
    assert_says(&run().stderr(), &["| two"]);
    bench.world.write("tool.wasm", tool());
    let back = run();
    assert!(!back.stderr().contains("| one"), "{back}");
}

#[test]
fn a_run_resumes_after_a_component() {
    let bench = Bench::new();
    let output = bench.tool(&["write a 1", "exit 1"]).run();
    output.assert_code(1);
    let output = bench.tool(&["write a 1", "append a 2"]).run();
    output.assert_code(0);
    assert_says(&output.stderr(), &["step 1/2: from the cache"]);
    assert_says(&bench.diff(), &["+1\n+2\n"]);
}

#[test]
fn what_is_no_component_is_told() {
    let bench = Bench::new();
    bench.world.write("text.wasm", "not wasm");
    bench.world.write("../outside.wasm", tool());
    let text = [
        "./gone.wasm",
        "./text.wasm",
        "../outside.wasm",
        "./widgets",
        "ghcr.io/acme/fix:1",
    ]
    .map(|name| {
        let steps = format!("  - container: wasm://{name}\n    run: x\n");
        failed(&bench.yaml(&steps).run(), 1)
    })
    .join("\n\n");
    insta::assert_snapshot!(text, @"
    ✗ widgets: step 1 failed
      failed to load component for step 1: wasm://./gone.wasm: ./gone.wasm: No such file or directory (os error 2)
    hint: relative paths start at the batch spec's directory, $WORLD/work

    ✗ widgets: step 1 failed
      failed to load component for step 1: wasm://./text.wasm: it is not WebAssembly

    ✗ widgets: step 1 failed
      failed to load component for step 1: wasm://../outside.wasm: ../outside.wasm is not in the directory of the batch spec, $WORLD/work
    hint: copy the component into the directory of the batch spec, or below it

    ✗ widgets: step 1 failed
      failed to load component for step 1: wasm://./widgets: ./widgets is no file

    ✗ widgets: step 1 failed
      failed to load component for step 1: wasm://ghcr.io/acme/fix:1: oci://ghcr.io/acme/fix:1 is not locked: $WORLD/work/capstan.lock does not say which bytes it stands for
    hint: look at it with `capstan plugin inspect oci://ghcr.io/acme/fix:1`, and lock it with `capstan plugin pull oci://ghcr.io/acme/fix:1`
    ");
}

#[test]
fn bad_texts_are_found_before_anything_runs() {
    let bench = Bench::new();
    let steps = r#"
  - container: wasm://tool.wasm
    run: x
  - container: wasm://./tool.wasm
    run: |
      cat README.md | wc -l
"#;
    bench.world.write("spec.yaml", spec(steps));
    let output = bench
        .world
        .capstan(["batch", "validate", "spec.yaml"])
        .run();
    insta::assert_snapshot!(output, @"
    --- stderr
    error: the batch spec is not valid (2 problems):

    spec.yaml:6:16: steps.0.container: wasm://tool.wasm names no registry: for a file beside the batch spec write wasm://./tool.wasm, else put the registry in front
      6 |   - container: wasm://tool.wasm
        |                ^^^^^^^^^^^^^^^^
      hint: a component is ./a/file, https://an/address, or a/reference in a registry
    spec.yaml:10:7: steps.1.run: the first line of run are the component's arguments: column 15: there is no shell in a WebAssembly step, so '|' has no meaning: put it in single quotes to pass it on as it is
      10 |       cat README.md | wc -l
         |       ^^^^^^^^^^^^^^^^^^^^^
      hint: for a shell script, use an image with a shell
    --- exit 2
    ");
}

#[test]
fn render_shows_arguments_and_input() {
    let bench = Bench::new();
    let steps = r#"
  - container: wasm://./tool.wasm
    run: |
      show 'two words' ${{ repository.name }}
      all of
      this
  - container: wasm://./tool.wasm
    run: x ${{ previous_step.stdout }}
  - container: wasm://./tool.wasm
    run: cat ${{ repository.name }} | wc
"#;
    bench.world.write("spec.yaml", spec(steps));
    let output = bench
        .world
        .capstan(["batch", "render", "-f", "spec.yaml", "widgets"])
        .run();
    insta::assert_snapshot!(output, @r#"
    --- stdout
    widgets
      step 1
        container: wasm://./tool.wasm
        arguments: ["show","two words","widgets"]
        standard input:
          all of
          this
      step 2
        container: wasm://./tool.wasm
        run: x ${{ previous_step.stdout }} (rendered when earlier steps have run)
      step 3
        container: wasm://./tool.wasm
        run: the first line of run are the component's arguments: column 13: there is no shell in a WebAssembly step, so '|' has no meaning: put it in single quotes to pass it on as it is (error)
    --- exit 2
    "#);
    let json = bench
        .world
        .capstan(["batch", "render", "--json", "-f", "spec.yaml", "widgets"])
        .run();
    let json: serde_json::Value = serde_json::from_slice(json.raw_stdout()).expect("it is JSON");
    assert_eq!(
        json[0]["steps"][0]["invocation"],
        serde_json::json!({"arguments": ["show", "two words", "widgets"], "input": "all of\nthis\n"})
    );
}

#[test]
fn containers_and_components_share_a_workspace() {
    let scene = Scene::new();
    scene.world.write("tool.wasm", tool());
    let steps = r#"
  - container: alpine:3
    run: umask 077; mkdir made; echo 1 > made/a; echo "from a container" > new
  - container: wasm://./tool.wasm
    run: |
      append made/a 2
  - container: capstan-test/nonroot
    run: echo 3 >> made/a
  - container: wasm://./tool.wasm
    run: replace container component new
  - container: alpine:3
    run: stat -c %u new >> made/a; cat new
"#;
    scene.yaml(steps).run().assert_code(0);
    insta::assert_snapshot!(scene.diff(), @"
    diff --git made/a made/a
    new file mode 100644
    index 0000000..82b6055
    --- /dev/null
    +++ made/a
    @@ -0,0 +1,4 @@
    +1
    +2
    +3
    +0
    diff --git new new
    new file mode 100644
    index 0000000..8b57a82
    --- /dev/null
    +++ new
    @@ -0,0 +1 @@
    +from a component
    ");
}

#[test]
fn a_runner_that_is_not_root_works_with_both() {
    let scene = Scene::of(&[("README.md", "hi\n")]);
    scene.world.write("tool.wasm", tool());
    let steps = r#"
  - container: alpine:3
    run: umask 077; mkdir made; echo 1 > made/a; chmod 400 made/a; chmod 500 made
  - container: wasm://./tool.wasm
    run: append made/a 2
  - container: alpine:3
    run: echo 3 >> made/a; chmod 000 made
  - container: wasm://./tool.wasm
    run: write made/b 4
"#;
    let command = scene.yaml(steps);
    as_ordinary_user(&scene, command).run().assert_code(0);
    insta::assert_snapshot!(scene.diff(), @"
    diff --git made/a made/a
    new file mode 100644
    index 0000000..01e79c3
    --- /dev/null
    +++ made/a
    @@ -0,0 +1,3 @@
    +1
    +2
    +3
    diff --git made/b made/b
    new file mode 100644
    index 0000000..b8626c4
    --- /dev/null
    +++ made/b
    @@ -0,0 +1 @@
    +4
    ");
}

/// Opening one waits in the kernel for its other end, where no time limit reaches.
#[test]
fn a_pipe_left_by_a_container_does_not_block_a_component() {
    let scene = Scene::new();
    scene.world.write("tool.wasm", tool());
    let steps = r#"
  - container: alpine:3
    run: mkdir -p deep/er && mkfifo deep/er/pipe
  - container: wasm://./tool.wasm
    run: cat deep/er/pipe
"#;
    let output = scene.yaml(steps).args(["--format", "json"]).run();
    output.assert_code(0);
    assert_says(&output.stdout(), &["deep/er/pipe: permission denied"]);
}

#[test]
fn a_directory_replaced_by_a_link_is_not_left() {
    let scene = Scene::of(&[("sub/package.json", "{}\n")]);
    scene.world.write("tool.wasm", tool());
    let steps = r#"
  - container: alpine:3
    run: cd /work; rm -r sub; ln -s /etc sub
  - container: wasm://./tool.wasm
    run: list .
workspaces: [{rootAtLocationOf: package.json}]
"#;
    let said = failed(&scene.yaml(steps).run(), 1);
    let expected =
        ["running widgets:sub step 2: wasm://./tool.wasm failed: showing the directory "];
    assert_says(&said, &expected);
}

#[test]
fn an_engine_is_needed_as_soon_as_there_is_a_container() {
    let bench = Bench::new();
    let steps = "  - container: wasm://./tool.wasm\n    run: exit 0\n  - container: alpine:3\n    run: 'true'\n";
    let output = bench.yaml(steps).run();
    output.assert_code(3);
    assert_says(&output.stderr(), &["error: no container engine answers"]);
    // What a template makes may be an image, so an engine has to be there.
    let steps =
        "  - container: ${{ replace \"wasm://./teel.wasm\" \"ee\" \"oo\" }}\n    run: write a 1\n";
    bench.yaml(steps).run().assert_code(3);
}

#[test]
fn the_example_works() {
    let engine = Engine::require();
    let world = World::new();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/wasm-steps");
    let text = fs::read(format!("{examples}/spec.yaml")).expect("there is an example");
    world.write("spec.yaml", text);
    let spdx = made("examples/wasm-steps/tools/spdx.rs", &[]);
    world.write("tools/spdx.wasm", spdx);
    world.repository(
        "widgets",
        &[
            ("src/main.rs", "fn main() {}\n"),
            ("src/lib.rs", "// SPDX-License-Identifier: MIT\n"),
            ("run.sh", "#!/bin/sh\ntrue\n"),
            ("vendor/stringprep.py", "pass\n"),
        ],
    );
    world
        .capstan([
            "batch",
            "run",
            "--output",
            "out",
            "-f",
            "spec.yaml",
            "widgets",
        ])
        .run()
        .assert_code(0);
    insta::assert_snapshot!(world.read("out/widgets/spdx-headers.patch"), @"
    diff --git LICENCE-REPORT LICENCE-REPORT
    new file mode 100644
    index 0000000..c17becb
    --- /dev/null
    +++ LICENCE-REPORT
    @@ -0,0 +1 @@
    +2 files have a licence line now
    diff --git run.sh run.sh
    index af3a4e4..95db15a 100644
    --- run.sh
    +++ run.sh
    @@ -1,2 +1,3 @@
     #!/bin/sh
    +# SPDX-License-Identifier: Apache-2.0
     true
    diff --git src/main.rs src/main.rs
    index f328e4d..4695fd6 100644
    --- src/main.rs
    +++ src/main.rs
    @@ -1 +1,2 @@
    +// SPDX-License-Identifier: Apache-2.0
     fn main() {}
    ");
    engine.assert_nothing_left(&world);
}
