//! What authors of plugins use: `plugin new`, `build`, `test`, `inspect` and `bench`, in every language that this machine can build.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use capstan_tests::{Capstan, Output, World};
use serde_json::Value;

const HOOKS: [&str; 4] = ["policy", "workspace", "output", "diff"];

/// Of interpreted languages, where each takes half a minute to build and to compile: the hook with files and the one with a
/// resource. The starters of the others have nothing that these have not.
const SLOW_HOOKS: [&str; 2] = ["workspace", "output"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests lie in the repository").to_owned()
}

/// A command line with the tools of all languages in its `PATH`, and with the user's Rust.
fn author<'w>(world: &'w World, arguments: &[&str]) -> Capstan<'w> {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    let of_home = |name: &str, directory: &str| match env::var_os(name) {
        Some(place) => place,
        None => home.join(directory).into(),
    };
    let tools = [
        "CAPSTAN_TEST_PYTHON",
        "CAPSTAN_TEST_JAVASCRIPT",
        "CAPSTAN_TEST_C",
    ];
    let tools = tools.into_iter().filter_map(env::var_os).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(tools.chain(env::split_paths(&path))).expect("they have no colon");
    world
        .capstan(arguments)
        .env("PATH", path)
        .env("CARGO_HOME", of_home("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", of_home("RUSTUP_HOME", ".rustup"))
        .env(
            "RUSTUP_TOOLCHAIN",
            env::var_os("RUSTUP_TOOLCHAIN").unwrap_or_default(),
        )
        // What plugins have in common is built once.
        .env("CARGO_TARGET_DIR", shared("rust"))
}

/// A directory that outlives the test.
fn shared(name: &str) -> OsString {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).into()
}

/// Whether the tools of a language are there; says so if they are not.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn has_tools(language: &str, variable: &str, program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::var_os(variable).is_some()
        || env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        eprintln!("skipped: no tools for {language}; tests/scripts/toolchains gets them");
    }
    found
}

/// Makes a starter, builds it, and plays its fixtures.
fn starter_works(world: &World, language: &str, hook: &str, flags: &[&str]) {
    let name = format!("{language}-{hook}");
    let new = ["plugin", "new", &name, "--lang", language, "--hook", hook];
    author(world, &new).args(flags).run().assert_code(0);
    if language == "rust" {
        // The versions that the official plugins are built with.
        let lock = root().join("plugins/Cargo.lock");
        fs::copy(lock, world.work().join(&name).join("Cargo.lock")).expect("it can be copied");
    }
    let built = author(world, &["plugin", "build", &name]).run();
    built.assert_code(0);
    assert!(
        built
            .stdout()
            .starts_with(&format!("built {name}/{name}.wasm: ")),
        "{built}"
    );
    let tested = author(world, &["plugin", "test", &name, "--twice"]).run();
    tested.assert_code(0);
    assert!(tested.stdout().ends_with(" passed, 0 failed\n"), "{tested}");
}

#[test]
fn starters_in_rust() {
    let world = World::new();
    let sdk = root().join("plugins/sdk");
    let sdk = sdk.to_str().expect("it is text");
    for hook in HOOKS {
        starter_works(&world, "rust", hook, &["--sdk", sdk]);
    }
}

#[test]
fn starters_in_c() {
    if !has_tools("C", "CAPSTAN_TEST_C", "wasm-ld") {
        return;
    }
    let world = World::new();
    for hook in HOOKS {
        starter_works(&world, "c", hook, &[]);
    }
}

#[test]
fn starters_in_javascript() {
    if !has_tools("JavaScript", "CAPSTAN_TEST_JAVASCRIPT", "componentize-js") {
        return;
    }
    let world = World::new();
    for hook in SLOW_HOOKS {
        starter_works(&world, "js", hook, &[]);
    }
}

#[test]
fn starters_in_python() {
    if !has_tools("Python", "CAPSTAN_TEST_PYTHON", "componentize-py") {
        return;
    }
    let world = World::new();
    for hook in SLOW_HOOKS {
        starter_works(&world, "python", hook, &[]);
    }
}

#[test]
fn new_says_what_is_next() {
    let world = World::new();
    let new = |arguments: &[&str]| world.capstan(["plugin", "new"]).args(arguments).run();
    insta::assert_snapshot!(new(&["rules", "--lang", "c", "--hook", "policy"]), @"
    --- stdout
    wrote rules: a plugin for the policy hook, in C

      cd rules
      capstan plugin build    # with clang and wasi-libc
      capstan plugin test     # runs it on fixtures/

    README.md says what is where.
    --- exit 0
    ");
    insta::assert_snapshot!(world.files("rules").join("\n"), @"
    .gitignore
    README.md
    bindings/plugin.c
    bindings/plugin.h
    capstan-plugin.toml
    fixtures/right-registry/expected.json
    fixtures/right-registry/fixture.json
    fixtures/wrong-registry/expected.json
    fixtures/wrong-registry/fixture.json
    plugin.c
    wit/changes.wit
    wit/config.wit
    wit/diff.wit
    wit/files.wit
    wit/job.wit
    wit/log.wit
    wit/output.wit
    wit/policy.wit
    wit/scratch.wit
    wit/step.wit
    wit/types.wit
    wit/workspace.wit
    wit/world.wit
    ");
    insta::assert_snapshot!(new(&["rules", "--lang", "c", "--hook", "policy"]), @"
    --- stderr
    error: rules exists and is not empty
    hint: choose another directory with --dir
    --- exit 2
    ");
    insta::assert_snapshot!(new(&["Rules!", "--lang", "c", "--hook", "policy"]), @r#"
    --- stderr
    error: "Rules!" cannot be a plugin's name: lower-case letters, digits and hyphens, a letter first, no hyphen at the end, at most 64 characters
    --- exit 2
    "#);
    insta::assert_snapshot!(new(&["x", "--lang", "phyton", "--hook", "policy"]), @"
    --- stderr
    error: invalid value 'phyton' for '--lang <LANG>'
      [possible values: rust, python, js, c]

      tip: a similar value exists: 'python'

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(new(&["x", "--lang", "c", "--hook", "polcy"]), @"
    --- stderr
    error: invalid value 'polcy' for '--hook <HOOK>'
      [possible values: policy, workspace, output, diff]

      tip: a similar value exists: 'policy'

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(new(&["x", "--lang", "c", "--hook", "diff", "--sdk", "."]), @"
    --- stderr
    error: --sdk is for plugins in Rust
    --- exit 2
    ");
    insta::assert_snapshot!(new(&["x", "--lang", "rust", "--hook", "diff", "--sdk", "."]), @"
    --- stderr
    error: . is not the SDK
    hint: name plugins/sdk of a checkout of Capstan
    --- exit 2
    ");
    assert!(!world.work().join("x").exists());
}

#[test]
fn a_plugin_in_rust_depends_on_the_sdk_that_is_near() {
    let world = World::new();
    world.write("checkout/plugins/sdk/Cargo.toml", "");
    world.write("checkout/plugins/sdk/src/lib.rs", "");
    let rust = ["--lang", "rust", "--hook", "diff"];
    for (directory, expected) in [
        ("checkout/a/b/x", "{ path = \"../../../plugins/sdk\" }"),
        ("x", "{ git = \"https://github.com/capstan-dev/capstan\" }"),
    ] {
        let new = world
            .capstan(["plugin", "new", "x", "--dir", directory])
            .args(rust);
        new.run().assert_code(0);
        let cargo = world.read(format!("{directory}/Cargo.toml"));
        assert!(
            cargo.contains(&format!("capstan-plugin = {expected}\n")),
            "{cargo}"
        );
        assert!(cargo.contains("name = \"x\"\n"), "{cargo}");
    }
}

#[test]
fn missing_tools_are_named() {
    let world = World::new();
    for language in ["rust", "python", "js", "c"] {
        let new = [
            "plugin", "new", language, "--lang", language, "--hook", "policy",
        ];
        world.capstan(new).run().assert_code(0);
    }
    let build = |language: &str| {
        world
            .capstan(["plugin", "build", language])
            .env("PATH", "/nowhere")
            .run()
    };
    insta::assert_snapshot!(build("rust"), @"
    --- stderr
    error: building a Rust plugin needs cargo, which is not in the PATH
    hint: install Rust: https://rustup.rs
    --- exit 3
    ");
    insta::assert_snapshot!(build("python"), @"
    --- stderr
    error: building a Python plugin needs Python 3.10 or newer
    hint: install Python, then run `capstan plugin build --install`
    --- exit 3
    ");
    insta::assert_snapshot!(build("js"), @"
    --- stderr
    error: building a JavaScript plugin needs Node.js 20 or newer, with npm
    hint: install Node.js, then run `capstan plugin build --install`
    --- exit 3
    ");
    insta::assert_snapshot!(build("c"), @"
    --- stderr
    error: building a C plugin needs clang
    hint: on Debian and Ubuntu run `apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32` (14 stands for clang's version); elsewhere unpack https://github.com/WebAssembly/wasi-sdk and set WASI_SDK_PATH
    --- exit 3
    ");
    insta::assert_snapshot!(build("."), @"
    --- stderr
    error: there is no capstan-plugin.toml in this directory
    hint: name the plugin's directory, or make a plugin with `capstan plugin new`
    --- exit 2
    ");
}

/// A component with every hook, which needs no tools.
fn frozen() -> PathBuf {
    root().join("tests/frozen/0.1.0/every-hook.wasm")
}

fn on(world: &World, command: &str, component: &Path, arguments: &[&str]) -> Output {
    world
        .capstan(["plugin", command])
        .arg(component)
        .args(arguments)
        .run()
}

#[test]
fn inspect_tells_what_a_component_may_do() {
    let world = World::new();
    let output = on(&world, "inspect", &frozen(), &[]);
    let text = output
        .to_string()
        .replace(root().to_str().unwrap(), "$ROOT");
    insta::assert_snapshot!(text, @r#"
    --- stdout
    $ROOT/tests/frozen/0.1.0/every-hook.wasm: a plugin with the hooks diff, output, policy and workspace
      digest    sha256:<digest>
      size      155 KiB
      contract  capstan:plugin@0.1.0
      made by   C11, Rust, clang 21.1.4-wasi-sdk, rustc 1.95.0, wit-bindgen-c 0.51.0, wit-bindgen-rust 0.45.0, wit-component 0.244.0, wit-component 0.245.1
      limits    diff: memory 256 MiB, cpu <time>, wall <time>
      limits    output: memory 128 MiB, cpu <time>, wall <time>
      limits    policy: memory 64 MiB, cpu <time>, wall <time>
      limits    workspace: memory 512 MiB, cpu <time>, wall <time>

    What it imports, and so can do:
      ✓ looks at the diff
      ✓ reads its configuration
      ✓ looks at the job and its steps
      ✓ writes to the log
      ✓ keeps values from one call to the next of a job
      ✓ ends early
      ✓ prints; for hooks, to the log
      ✓ reads standard input, which is empty for hooks
      ✓ asks whether it has a terminal, which it has not
      ✓ looks at the clock
      ✓ waits for and moves bytes
      ! makes files of the workspace executable: nothing, unless grants = { workspace = "write" }
      ! reads environment variables: nothing, unless grants = { env = [NAMES] }
      ! reads and writes files it is given: nothing, unless grants = { workspace = "read" or "write" }
    --- exit 0
    "#);

    let output = on(&world, "inspect", &frozen(), &["--format", "json"]);
    output.assert_code(0);
    let report: Value = serde_json::from_slice(output.raw_stdout()).unwrap();
    assert_eq!(report["api"], "0.1.0");
    assert_eq!(report["runs"], true);
    assert_eq!(report["hooks"].as_array().unwrap().len(), 4);
    assert_eq!(report["limits"]["policy"]["cpu-ms"], 250);
}

#[test]
fn inspect_says_why_something_does_not_run() {
    let world = World::new();
    let module = b"\0asm\x01\0\0\0";
    let whole = fs::read(frozen()).expect("it is in the repository");
    world.write("module.wasm", module);
    world.write("cut.wasm", &whole[..whole.len() / 2]);
    world.write("text.wasm", "(component)");
    let inspect = |name: &str| on(&world, "inspect", Path::new(name), &[]);
    insta::assert_snapshot!(inspect("module.wasm"), @"
    --- stdout
    module.wasm: a core module, not a component
      digest    sha256:<digest>
      size      8 B

    It does not run here: it is a core module and not a component: build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`
    --- exit 1
    ");
    insta::assert_snapshot!(inspect("text.wasm"), @"
    --- stdout
    text.wasm: not WebAssembly
      digest    sha256:<digest>
      size      11 B

    It does not run here: it is WebAssembly as text: make it binary with `wasm-tools parse`
    --- exit 1
    ");
    insta::assert_snapshot!(inspect("missing.wasm"), @"
    --- stderr
    error: missing.wasm does not exist
    hint: name a component, or a directory with a capstan-plugin.toml
    --- exit 2
    ");
    let cut = inspect("cut.wasm");
    cut.assert_code(1);
    assert!(cut.stdout().contains("It does not run here:"), "{cut}");
}

/// Fixtures of the frozen component: some pass, some do not.
fn fixtures(world: &World) {
    let case = |name: &str, files: &[(&str, &str)]| {
        for (file, content) in files {
            world.write(format!("cases/{name}/{file}"), content);
        }
    };
    case(
        "keeps",
        &[
            ("fixture.json", r#"{"hook": "policy.check-job"}"#),
            ("expected.json", r#""keep""#),
        ],
    );
    case(
        "refuses",
        &[
            (
                "fixture.json",
                r#"{"hook": "policy.check-job", "config": {"answer": "refuse"}}"#,
            ),
            (
                "expected.json",
                r#"{"refuse": {"rule": "asked-to", "reason": "check-job was told to refuse", "details": [["hook", "check-job"]]}}"#,
            ),
        ],
    );
    case(
        "crashes",
        &[
            (
                "fixture.json",
                r#"{"hook": "policy.check-job", "config": {"answer": "panic"}}"#,
            ),
            ("expected.json", r#"{"failure": "trap"}"#),
        ],
    );
    case(
        "filters",
        &[
            ("fixture.json", r#"{"hook": "output.filter", "chunk": 2}"#),
            ("input", "one\ntwo\n"),
            ("expected", "> one\n> two\n"),
        ],
    );
    case(
        "prepares",
        &[
            (
                "fixture.json",
                r#"{"hook": "workspace.prepare", "job": {"repository": "widgets"}}"#,
            ),
            ("workspace/a.txt", "a\n"),
            ("expected-workspace/a.txt", "a\n"),
            ("expected-workspace/prepared.sh", "# widgets\n"),
        ],
    );
    case(
        "fresh",
        &[("fixture.json", r#"{"hook": "policy.check-step"}"#)],
    );
    case(
        "unchanged",
        &[
            ("fixture.json", r#"{"hook": "diff.process"}"#),
            ("input.diff", ""),
        ],
    );
}

#[test]
fn fixtures_are_compared_and_updated() {
    let world = World::new();
    fixtures(&world);
    let test = |arguments: &[&str]| {
        let arguments = [&["--fixtures", "cases"], arguments].concat();
        on(&world, "test", &frozen(), &arguments)
    };
    // It says a lot.
    let all = test(&[]).to_string();
    let said =
        regex_lite::Regex::new(r"\n    (trace|debug|info|warn|error): .*").expect("it is one");
    assert!(said.find_iter(&all).count() > 50, "{all}");
    insta::assert_snapshot!(said.replace_all(&all, ""), @r#"
    --- stdout
    ✓ crashes policy.check-job (<time>)
    ✗ filters output.filter
      expected
        --- expected
        +++ actual
        @@ -1,2 +1,3 @@
         > one
         > two
        +> end
      it said
    ✗ fresh policy.check-step
      expected.json
        nothing is expected yet: write it, or run `capstan plugin test --update`
      it said
    ✓ keeps policy.check-job (<time>)
    ✗ prepares workspace.prepare
      expected-workspace/prepared.sh
        a file is expected, an executable file is there
      it said
    ✗ refuses policy.check-job
      expected.json
        --- expected
        +++ actual
        @@ -6,7 +6,7 @@
                 "check-job"
               ]
             ],
        -    "reason": "check-job was told to refuse",
        +    "reason": "check-job was asked to refuse",
             "rule": "asked-to"
           }
         }
      it said
    ✓ unchanged diff.process (<time>)
    7 fixtures: 3 passed, 4 failed
    --- exit 1
    "#);
    insta::assert_snapshot!(test(&["--update"]), @"
    --- stdout
    ✓ crashes policy.check-job (<time>)
    ✓ filters output.filter, updated (<time>)
    ✓ fresh policy.check-step, updated (<time>)
    ✓ keeps policy.check-job (<time>)
    ✓ prepares workspace.prepare, updated (<time>)
    ✓ refuses policy.check-job, updated (<time>)
    ✓ unchanged diff.process (<time>)
    7 fixtures: 7 passed, 0 failed
    --- exit 0
    ");
    insta::assert_snapshot!(world.read("cases/fresh/expected.json"), @r#"
    {
      "change": [
        {
          "set-image": "amended:1"
        },
        {
          "set-environment": {
            "name": "ADDED",
            "value": "yes"
          }
        },
        {
          "remove-environment": "REMOVED"
        },
        {
          "add-mount": {
            "read-only": true,
            "source": "/source",
            "target": "/target"
          }
        },
        {
          "remove-mount": "/removed"
        },
        {
          "set-network": "none"
        },
        {
          "set-memory": 64
        },
        {
          "set-cpus": 500
        },
        {
          "set-pids": 32
        },
        {
          "set-timeout": 60
        }
      ]
    }
    "#);
    insta::assert_snapshot!(test(&["--twice"]), @"
    --- stdout
    ✓ crashes policy.check-job (<time>)
    ✓ filters output.filter (<time>)
    ✓ fresh policy.check-step (<time>)
    ✓ keeps policy.check-job (<time>)
    ✓ prepares workspace.prepare (<time>)
    ✓ refuses policy.check-job (<time>)
    ✓ unchanged diff.process (<time>)
    7 fixtures: 7 passed, 0 failed
    --- exit 0
    ");

    world.write("cases/keeps/expected.json", "{}");
    let output = test(&["--format", "json"]);
    output.assert_code(1);
    let report: Value = serde_json::from_slice(output.raw_stdout()).unwrap();
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&6.into(), &1.into())
    );
    let keeps = report["fixtures"].as_array().unwrap();
    let keeps = keeps
        .iter()
        .find(|fixture| fixture["name"] == "keeps")
        .unwrap();
    assert_eq!(keeps["verdict"], "failed");
    assert_eq!(keeps["differences"][0]["file"], "expected.json");
}

#[test]
fn what_is_wrong_with_a_fixture_is_said() {
    let world = World::new();
    let test = || on(&world, "test", &frozen(), &["--fixtures", "cases"]);
    insta::assert_snapshot!(test(), @"
    --- stderr
    error: there is no directory cases
    hint: a fixture is a directory with a fixture.json; see docs/plugin-fixtures.md
    --- exit 2
    ");
    world.write("cases/empty/README.md", "");
    insta::assert_snapshot!(test(), @"
    --- stderr
    error: there is no fixture in cases
    hint: a fixture is a directory with a fixture.json; see docs/plugin-fixtures.md
    --- exit 2
    ");
    world.write("cases/a/fixture.json", r#"{"hook": "policy.check"}"#);
    insta::assert_snapshot!(test(), @r#"
    --- stderr
    error: cases/a/fixture.json: no hook is called "policy.check"
    hint: the hooks are policy.check-job, policy.check-step, policy.check-diff, workspace.prepare, output.filter, output.derive-outputs, diff.process
    --- exit 2
    "#);
    world.write(
        "cases/a/fixture.json",
        r#"{"hook": "policy.check-job", "job": {"repo": "x"}}"#,
    );
    insta::assert_snapshot!(test(), @"
    --- stderr
    error: cases/a/fixture.json: unknown field `repo`, expected one of `batch-change`, `repository`, `branch`, `commit`, `path`, `steps` at line 1 column 43
    --- exit 2
    ");
    world.write("cases/a/fixture.json", r#"{"hook": "policy.check-diff"}"#);
    insta::assert_snapshot!(test(), @"
    --- stderr
    error: failed to open file `cases/a/input.diff`: No such file or directory (os error 2)
    --- exit 2
    ");
}

#[test]
fn bench_sets_what_was_used_against_the_limits() {
    let world = World::new();
    fixtures(&world);
    let bench = |arguments: &[&str]| {
        let arguments = [&["--fixtures", "cases"], arguments].concat();
        on(&world, "bench", &frozen(), &arguments)
    };
    let output = bench(&["--fixture", "keeps", "--fixture", "unchanged", "-n", "5"]);
    output.assert_code(0);
    let text = output.stdout();
    for expected in [
        "unchanged diff.process, 5 calls\n",
        "keeps policy.check-job, 5 calls\n",
        " of 64 MiB\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let output = bench(&["--fixture", "keeps", "-n", "3", "--format", "json"]);
    output.assert_code(0);
    let report: Value = serde_json::from_slice(output.raw_stdout()).unwrap();
    let keeps = &report["fixtures"][0];
    assert_eq!(keeps["calls"], 3);
    assert_eq!(keeps["limits"]["memory-bytes"], 64 << 20);
    assert!(
        keeps["median-ms"].as_f64() <= keeps["longest-ms"].as_f64(),
        "{report}"
    );
    assert!(keeps["memory-bytes"].as_u64() > Some(0), "{report}");

    insta::assert_snapshot!(bench(&["--fixture", "refuses"]), @"
    --- stderr
    error: refuses does not do what is expected
    hint: make `capstan plugin test` pass first
    --- exit 1
    ");
    insta::assert_snapshot!(bench(&["--fixture", "kept"]), @"
    --- stderr
    error: there is no fixture kept in cases
    hint: a fixture is a directory with a fixture.json; see docs/plugin-fixtures.md
    --- exit 2
    ");
}
