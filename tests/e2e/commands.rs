//! `validate`, `render`, `doctor`, `completions`, `man` and the help texts.

use capstan_tests::{Engine, World};
use serde_json::Value;

const SPEC: &str = r#"
name: demo
description: A demo
steps:
  - run: |
      echo "${{ repository.name }}" > name.txt
      echo "${{ steps.path }}" > path.txt
    container: alpine:3
    env: [TOKEN, {GREETING: "hello ${{ batch_change.name }}"}]
    files: {/tmp/x.json: "{}"}
    outputs:
      tag: {value: "${{ step.stdout }}"}
  - run: echo never
    container: alpine:3
    if: ${{ eq repository.name "other" }}
  - run: echo "${{ outputs.tag }}"
    container: alpine:${{ outputs.tag }}
    if: ${{ ne outputs.tag "" }}
changesetTemplate: {title: T, body: B, branch: demo, commit: {message: M}}
"#;

#[test]
fn validate() {
    let world = World::new();
    world.write("spec.yaml", SPEC);
    world.write("wrong.yaml", "nmae: demo\nsteps: 3\n");
    let run = |arguments: &[&str]| world.capstan(["batch", "validate"]).args(arguments).run();
    insta::assert_snapshot!(run(&["-f", "spec.yaml"]), @r#"
    --- stdout
    spec.yaml: valid; batch change "demo" with 3 steps
    --- exit 0
    "#);
    insta::assert_snapshot!(run(&["spec.yaml"]), @r#"
    --- stdout
    spec.yaml: valid; batch change "demo" with 3 steps
    --- exit 0
    "#);
    insta::assert_snapshot!(run(&["--json", "spec.yaml"]), @"
    --- stdout
    []
    --- exit 0
    ");
    insta::assert_snapshot!(run(&["--json", "wrong.yaml"]), @r#"
    --- stdout
    [{"column":1,"hint":null,"line":1,"message":"name is required","path":""},{"column":1,"hint":"did you mean `name`?","line":1,"message":"Additional property nmae is not allowed","path":""},{"column":8,"hint":null,"line":2,"message":"Invalid type. Expected: [array,null], given: integer","path":"steps"}]
    --- exit 2
    "#);
    insta::assert_snapshot!(run(&["-f", "spec.yaml", "wrong.yaml"]), @"
    --- stderr
    error: the argument '--file <SPEC>' cannot be used with '[SPEC]'

    Usage: capstan batch validate --file <SPEC> [SPEC]

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(run(&[]), @"
    --- stderr
    error: the following required arguments were not provided:
      --file <SPEC>

    Usage: capstan batch validate --file <SPEC> [SPEC]

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn render() {
    let world = World::new();
    world.write("spec.yaml", SPEC);
    world.repository("widgets", &[("README.md", "hi\n")]);
    let run = |arguments: &[&str]| {
        world
            .capstan(["batch", "render", "-f", "spec.yaml"])
            .args(arguments)
            // Nothing runs, so no engine is needed; nor are secrets shown.
            .env("DOCKER_HOST", "unix:///nowhere.sock")
            .env("TOKEN", "secret")
            .run()
    };
    insta::assert_snapshot!(run(&["widgets"]), @r#"
    --- stdout
    widgets
      step 1
        container: alpine:3
        env GREETING: hello demo
        env TOKEN: $TOKEN
        file /tmp/x.json: {}
        run:
          echo "widgets" > name.txt
          echo "" > path.txt
      step 2 (skipped)
        if: false
        container: alpine:3
        run: echo never
      step 3
        if: ${{ ne outputs.tag "" }} (rendered when earlier steps have run)
        container: alpine:${{ outputs.tag }} (rendered when earlier steps have run)
        run: echo "${{ outputs.tag }}" (rendered when earlier steps have run)
    --- exit 0
    "#);
    let output = run(&["--json", "widgets"]);
    let json: Value = serde_json::from_slice(output.raw_stdout()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
    [
      {
        "branch": "main",
        "path": "",
        "repository": "widgets",
        "rev": "b490fed1abace25d1a2b01dc984148bc9dc2558e",
        "steps": [
          {
            "container": {
              "final": "alpine:3"
            },
            "env": {
              "GREETING": {
                "final": "hello demo"
              },
              "TOKEN": {
                "final": "$TOKEN"
              }
            },
            "files": {
              "/tmp/x.json": {
                "final": "{}"
              }
            },
            "if": null,
            "run": {
              "final": "echo \"widgets\" > name.txt\necho \"\" > path.txt\n"
            },
            "runs": true
          },
          {
            "container": {
              "final": "alpine:3"
            },
            "env": {},
            "files": {},
            "if": {
              "final": "false"
            },
            "run": {
              "final": "echo never"
            },
            "runs": false
          },
          {
            "container": {
              "later": "alpine:${{ outputs.tag }}"
            },
            "env": {},
            "files": {},
            "if": {
              "later": "${{ ne outputs.tag \"\" }}"
            },
            "run": {
              "later": "echo \"${{ outputs.tag }}\""
            },
            "runs": null
          }
        ]
      }
    ]
    "#);
}

#[test]
fn doctor_on_a_healthy_machine() {
    Engine::require();
    let world = World::new();
    let output = world
        .capstan(["doctor"])
        .env("CAPSTAN_NETWORK", "host")
        .run();
    output.assert_code(0);
    let text = output.stdout();
    let checks: Vec<_> = text
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    for check in [
        "✓ settings",
        "✓ git",
        "✓ engine",
        "✓ state",
        "✓ cache",
        "✓ workspaces",
    ] {
        assert!(checks.contains(&check), "{text}");
    }
    assert!(
        text.contains("network = host (from the environment variable CAPSTAN_NETWORK)"),
        "{text}"
    );

    let output = world.capstan(["doctor", "--json"]).run();
    let findings: Vec<Value> = serde_json::from_slice(output.raw_stdout()).unwrap();
    for finding in findings {
        assert!(
            finding["check"].is_string() && finding["message"].is_string(),
            "{finding}"
        );
        assert!(
            ["ok", "warning"].contains(&finding["verdict"].as_str().unwrap()),
            "{finding}"
        );
    }
}

#[test]
fn doctor_says_how_to_mend() {
    let world = World::new();
    world.write("capstan.toml", "job = 2\nnetwork = \"host\"\n");
    let output = world
        .capstan(["doctor"])
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .env("PATH", "/nowhere")
        .env("CAPSTAN_STATE_DIR", "/proc/nowhere")
        .run();
    let text = output.to_string();
    let text = regex_lite::Regex::new(r"\d+ GiB")
        .unwrap()
        .replace_all(&text, "<size>");
    insta::assert_snapshot!(text, @r#"
    --- stdout
    ! settings: docker-host = unix:///nowhere.sock (from the environment variable DOCKER_HOST), network = host (from $WORLD/work/capstan.toml), state-dir = /proc/nowhere (from the environment variable CAPSTAN_STATE_DIR)
      hint: $WORLD/work/capstan.toml: unknown setting "job" is ignored; did you mean "jobs"?
    ✗ git: looking for git: there is no git in the PATH
      hint: install git 2.34 or newer
    ✗ engine: no container engine answers; tried:
      unix:///nowhere.sock (DOCKER_HOST): no such socket
      hint: check DOCKER_HOST and that the engine there runs (`docker version`)
    ✗ state: /proc/nowhere: failed to create directory `/proc/nowhere`: No such file or directory (os error 2)
      hint: choose another directory with --state-dir
    ✓ cache: $WORLD/home/.cache/capstan: <size> free
    --- exit 3
    "#);
}

#[test]
fn completions_and_manual_pages() {
    let world = World::new();
    for (shell, expected) in [
        ("bash", "complete -F _capstan"),
        ("zsh", "#compdef capstan"),
        ("fish", "complete -c capstan"),
    ] {
        let output = world.capstan(["completions", shell]).run();
        output.assert_code(0);
        let script = output.stdout();
        assert!(
            script.contains(expected) && script.contains("no-cache"),
            "{script}"
        );
    }
    world.capstan(["completions", "tcsh"]).run().assert_code(2);

    let page = world.capstan(["man"]).run();
    page.assert_code(0);
    let page = page.stdout();
    for expected in [
        ".TH capstan 1",
        ".SH SETTINGS",
        "CAPSTAN_JOBS",
        "Exit codes",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    world
        .capstan(["man", "--output", "pages"])
        .run()
        .assert_code(0);
    let pages = world.files("pages");
    for expected in ["capstan.1", "capstan-batch-run.1", "capstan-doctor.1"] {
        assert!(pages.iter().any(|page| page == expected), "{pages:?}");
    }
}

/// What a command line prints, which is no error.
fn help(arguments: &[&str]) -> String {
    let world = World::new();
    let output = world.capstan(arguments).run();
    output.assert_code(0);
    assert_eq!(output.stderr(), "");
    // As it was written: durations in it are examples.
    let text = String::from_utf8_lossy(output.raw_stdout()).into_owned();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn help_of_the_whole() {
    insta::assert_snapshot!(help(&["--help"]), @"
    Runs batch changes: a batch spec in containers, diffs and changeset specs out.

    Results go to standard output, progress and messages to standard error.

    Usage: capstan [OPTIONS] <COMMAND>

    Commands:
      batch        Runs, checks and shows batch specs [alias: batches]
      plugin       Makes, builds, tests and looks at plugins [alias: plugins]
      hub          Runs a queue for executors without Sourcegraph, and submits batch specs to one
      executor     Takes jobs from Sourcegraph, or from a hub, and runs them; in place of Sourcegraph's
                   executor
      doctor       Tells what is wrong with this machine, and how to mend it
      completions  Prints a completion script for a shell
      man          Prints the manual page, or writes one page per command
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --config <FILE>
              Settings file; default: ./capstan.toml if there is one, then the user's own

      -v, --verbose...
              Tells more on standard error; twice: even more

    Exit codes:
      0    all workspaces done
      1    at least one workspace failed; the others were finished and their results written
      2    bad arguments, spec or configuration; nothing was run
      3    the environment is not fit (Docker unreachable, no disk)
      4    refused by a plugin; what was not refused is done
      130  interrupted; containers and workspaces are cleaned up
    ");
    insta::assert_snapshot!(help(&["batch", "--help"]), @"
    Runs, checks and shows batch specs

    Usage: capstan batch [OPTIONS] <COMMAND>

    Commands:
      run       Runs a batch spec here: on repositories given as arguments, or on those its `on` names
      exec      Runs the steps of one workspace for a Sourcegraph executor, in place of `src batch exec`
      validate  Checks a batch spec and points at every mistake
      render    Shows what each step would run, without running anything
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
    assert_eq!(
        help(&["--version"]),
        format!("capstan {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn help_of_batch_commands() {
    insta::assert_snapshot!(help(&["batch", "run", "--help"]), @"
    Runs a batch spec here: on repositories given as arguments, or on those its `on` names

    Usage: capstan batch run [OPTIONS] --file <SPEC> [REPO]...

    Arguments:
      [REPO]...
              Local repositories (paths) or git URLs that replace the spec's `on`; `#REF` names a branch
              or commit

    Options:
      -f, --file <SPEC>
              Batch spec; `-` reads it from standard input

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Results:
      -o, --output <DIR>
              Writes DIR/changesets.json and DIR/REPOSITORY/BRANCH.patch, instead of printing the diffs

          --apply
              Creates the branch and the commit in each local repository. Its working tree is not
              touched

          --force
              With --apply: replaces branches that exist with another content

          --allow-dirty
              With --apply: also where the working tree has uncommitted changes, which are not part of
              the run

          --format <FORMAT>
              How progress is shown: live, as plain lines, or as the JSON lines of `src batch exec`

              Possible values:
              - auto:  Live on a terminal, plain elsewhere
              - plain: One line for everything that happens
              - json:  JSON lines on standard output

              [default: auto]

    Running:
          --engine <ENGINE>
              Where steps run: on this machine's container engine, or each workspace in a pod of a
              Kubernetes cluster.

              Pods clone by URL, so repositories have to be named by theirs. The cluster is the one of
              KUBECONFIG; EXECUTOR_KUBERNETES_RUNNER_IMAGE names an image that has capstan.
              docs/kubernetes.md has more.

              Possible values:
              - docker:     A Docker engine, or Podman's
              - kubernetes: A Kubernetes cluster

              [default: docker]

          --no-cache
              Runs every step, even where its result is known, and remembers nothing

          --fail-fast
              Stops all workspaces when one fails

          --keep-workspaces
              Leaves the workspaces on disk and says where

      -j, --jobs <N>
              Workspaces at a time; default: the engine's processors

          --timeout <DURATION>
              Longest run of one workspace, for example 90s, 30m, 1h

          --step-timeout <DURATION>
              Longest run of one step

          --cache-dir <DIR>
              Directory of cached repositories and step results

          --state-dir <DIR>
              Directory of workspaces and logs

    Containers:
          --cpus <N>
              Processors that a step may use, for example 1.5

          --memory <SIZE>
              Memory that a step may use, for example 512MiB or 2g

          --pids <N>
              Processes and threads that a step may have

          --network <MODE>
              Network mode of the containers, as `docker run --network` takes it, for example none

          --mount <HOST:CONTAINER[:rw]>
              Shows a host path to every step; read-only unless `:rw` is added. May be repeated

          --platform <OS/ARCH>
              Platform of the containers, for example linux/arm64

          --run-as-root
              Runs steps as root instead of as the image's own user

          --prepare-ahead <N>
              Most containers that are made ready before their step is due

    Plugins:
          --plugins <FILE>
              File whose [[plugin]] tables count, instead of those of the settings file; nothing else in
              it is read

          --audit
              Logs what plugins would have refused, and lets it pass

    Global options:
          --config <FILE>
              Settings file; default: ./capstan.toml if there is one, then the user's own

      -v, --verbose...
              Tells more on standard error; twice: even more
    ");
    insta::assert_snapshot!(help(&["batch", "validate", "--help"]), @"
    Checks a batch spec and points at every mistake

    Usage: capstan batch validate [OPTIONS] [SPEC]

    Arguments:
      [SPEC]  Batch spec; `-` reads it from standard input

    Options:
      -f, --file <SPEC>  The same, as the other commands take it
          --json         Prints the problems as JSON
      -h, --help         Print help
      -V, --version      Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
    insta::assert_snapshot!(help(&["batch", "render", "--help"]), @"
    Shows what each step would run, without running anything

    Usage: capstan batch render [OPTIONS] --file <SPEC> [REPO]...

    Arguments:
      [REPO]...  Local repositories (paths) or git URLs that replace the spec's `on`; `#REF` names a
                 branch or commit

    Options:
      -f, --file <SPEC>      Batch spec; `-` reads it from standard input
          --cache-dir <DIR>  Directory of cached repositories
          --json             Prints the rendering as JSON
      -h, --help             Print help
      -V, --version          Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
    insta::assert_snapshot!(help(&["batch", "exec", "-help"]), @"
    Usage: capstan batch exec -f FILE -repo DIR -tmp DIR [flags]

    Runs the steps of one workspace and tells of them in JSON lines, as `src batch exec` does.

      -f value
            The workspace execution input file to read (JSON). Required.
      -repo value
            The checked-out repository; steps run in it. Required.
      -tmp value
            Directory for temporary data. Required. A relative one is created and must not exist yet.
      -workspaceFiles value
            Directory in which mount paths are looked up. Default: the current one.
      -timeout value
            Longest run of all steps, as a Go duration. Default: 1h.
      -run-as-image-user
            Run steps as the image's user instead of as root.
      -binaryDiffs
            Write results in version 2, whose diffs may hold any bytes.
    ");
    assert_eq!(
        help(&["batch", "exec", "--help"]),
        help(&["batch", "exec", "-h"])
    );
}

#[test]
fn help_of_the_other_commands() {
    insta::assert_snapshot!(help(&["doctor", "--help"]), @"
    Tells what is wrong with this machine, and how to mend it

    Usage: capstan doctor [OPTIONS]

    Options:
          --json     Prints the findings as JSON
      -h, --help     Print help
      -V, --version  Print version

    Running:
      -j, --jobs <N>                 Workspaces at a time; default: the engine's processors
          --timeout <DURATION>       Longest run of one workspace, for example 90s, 30m, 1h
          --step-timeout <DURATION>  Longest run of one step
          --cache-dir <DIR>          Directory of cached repositories and step results
          --state-dir <DIR>          Directory of workspaces and logs

    Containers:
          --cpus <N>                     Processors that a step may use, for example 1.5
          --memory <SIZE>                Memory that a step may use, for example 512MiB or 2g
          --pids <N>                     Processes and threads that a step may have
          --network <MODE>               Network mode of the containers, as `docker run --network` takes
                                         it, for example none
          --mount <HOST:CONTAINER[:rw]>  Shows a host path to every step; read-only unless `:rw` is
                                         added. May be repeated
          --platform <OS/ARCH>           Platform of the containers, for example linux/arm64
          --run-as-root                  Runs steps as root instead of as the image's own user
          --prepare-ahead <N>            Most containers that are made ready before their step is due

    Plugins:
          --plugins <FILE>  File whose [[plugin]] tables count, instead of those of the settings file;
                            nothing else in it is read
          --audit           Logs what plugins would have refused, and lets it pass

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
    insta::assert_snapshot!(help(&["completions", "--help"]), @"
    Prints a completion script for a shell

    Usage: capstan completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>  The shell [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
    insta::assert_snapshot!(help(&["man", "--help"]), @"
    Prints the manual page, or writes one page per command

    Usage: capstan man [OPTIONS]

    Options:
          --output <DIR>  Directory to write all pages to, instead of printing the first
      -h, --help          Print help
      -V, --version       Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
}

#[test]
fn command_lines_that_are_wrong() {
    let world = World::new();
    let run = |arguments: &[&str]| {
        let output = world.capstan(arguments).run();
        output.assert_code(2);
        assert_eq!(output.stdout(), "");
        output.stderr()
    };
    insta::assert_snapshot!(run(&["batch", "run", "--outptu", "x"]), @"
    error: unexpected argument '--outptu' found

      tip: a similar argument exists: '--output'

    Usage: capstan batch run --file <SPEC> --output <DIR> [REPO]...

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["batch", "rnu"]), @"
    error: unrecognized subcommand 'rnu'

    Usage: capstan batch [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["batch", "run", "-f", "s.yaml", "--format", "xml"]), @"
    error: invalid value 'xml' for '--format <FORMAT>'
      [possible values: auto, plain, json]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["batch", "run", "-f", "s.yaml", "--force"]), @"
    error: the following required arguments were not provided:
      --apply

    Usage: capstan batch run --file <SPEC> --apply --force [REPO]...

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["batch", "run", "-f", "s.yaml", "--memory", "lots"]), @r#"error: memory = "lots" from the flag --memory: expected a size such as 512MiB or 2g"#);
    insta::assert_snapshot!(run(&["--config", "nowhere.toml", "doctor"]), @"error: reading the settings file: failed to open file `$WORLD/work/nowhere.toml`: No such file or directory (os error 2)");
    assert!(run(&[]).starts_with("Runs batch changes"));
}

#[test]
fn help_of_plugin_commands() {
    insta::assert_snapshot!(help(&["plugin", "--help"]), @"
    Makes, builds, tests and looks at plugins

    Usage: capstan plugin [OPTIONS] <COMMAND>

    Commands:
      new      Writes a starter: a plugin that builds and passes its test at once
      build    Builds the plugin in a directory with its language's own tools
      test     Runs a plugin on fixtures and compares what it does with what is expected. Needs no
               engine
      inspect  Shows what a component is and what it may do: hooks, rights, size, limits
      bench    Measures a plugin's calls against its limits
      pull     Gets plugins from where the settings say, and locks what they are and what they may ask
               for
      push     Publishes a component in a registry
      list     Lists the plugins of the settings, where they come from, and whether they are here
      prune    Removes fetched components that neither the lock nor the settings name
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more
    ");
    insta::assert_snapshot!(help(&["plugin", "new", "--help"]), @"
    Writes a starter: a plugin that builds and passes its test at once

    Usage: capstan plugin new [OPTIONS] --lang <LANG> --hook <HOOK> <NAME>

    Arguments:
      <NAME>
              Its name: lower-case letters, digits and hyphens

    Options:
          --lang <LANG>
              The language it is written in

              Possible values:
              - rust:   Rust
              - python: Python, with componentize-py
              - js:     JavaScript, with componentize-js
              - c:      C, with clang and wasi-libc

          --hook <HOOK>
              What it does; more hooks can be added later

              Possible values:
              - policy:    Decides what may run and what may leave
              - workspace: Prepares workspaces
              - output:    Filters what steps print, and derives outputs from it
              - diff:      Post-processes diffs

          --dir <DIR>
              Where to write it; default: a directory with its name

          --sdk <PATH>
              For Rust: a checkout's plugins/sdk to build with, instead of the published one

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --config <FILE>
              Settings file; default: ./capstan.toml if there is one, then the user's own

      -v, --verbose...
              Tells more on standard error; twice: even more

    Examples:
      capstan plugin new image-rules --lang rust --hook policy
      capstan plugin new tidy-diff --lang python --hook diff --dir plugins/tidy-diff
    ");
    insta::assert_snapshot!(help(&["plugin", "build", "--help"]), @"
    Builds the plugin in a directory with its language's own tools

    Usage: capstan plugin build [OPTIONS] [DIR]

    Arguments:
      [DIR]  Directory of the plugin, with its capstan-plugin.toml [default: .]

    Options:
          --install  Gets missing tools of the language into DIR/.tools: componentize-py or
                     componentize-js
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --config <FILE>  Settings file; default: ./capstan.toml if there is one, then the user's own
      -v, --verbose...     Tells more on standard error; twice: even more

    Examples:
      capstan plugin build              the plugin in the current directory
      capstan plugin build tidy-diff    the one in ./tidy-diff; makes tidy-diff/tidy-diff.wasm
    ");
    insta::assert_snapshot!(help(&["plugin", "test", "--help"]), @"
    Runs a plugin on fixtures and compares what it does with what is expected. Needs no engine

    Usage: capstan plugin test [OPTIONS] [DIR|FILE.wasm]

    Arguments:
      [DIR|FILE.wasm]
              Directory of a plugin that has been built, or a component

              [default: .]

    Options:
          --fixtures <DIR>
              Directory of fixtures, one directory each; default: `fixtures` beside the component

          --update
              Writes what the plugin does now into the fixtures, as what is expected from now on

          --twice
              Runs every fixture twice and fails where the two differ

          --format <FORMAT>
              How results are shown

              Possible values:
              - text: For people
              - json: One JSON document

              [default: text]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --config <FILE>
              Settings file; default: ./capstan.toml if there is one, then the user's own

      -v, --verbose...
              Tells more on standard error; twice: even more

    Examples:
      capstan plugin test               the plugin in the current directory on ./fixtures
      capstan plugin test --update      writes down what it does now as what is expected
      capstan plugin test rules.wasm --fixtures cases

    Ends with 1 if a fixture fails.
    ");
    insta::assert_snapshot!(help(&["plugin", "inspect", "--help"]), @"
    Shows what a component is and what it may do: hooks, rights, size, limits

    Usage: capstan plugin inspect [OPTIONS] [FILE|DIR|SOURCE]

    Arguments:
      [FILE|DIR|SOURCE]
              A component, a plugin's directory, or a source as the configuration names it: https://...,
              oci://...

              [default: .]

    Options:
          --format <FORMAT>
              How it is shown

              Possible values:
              - text: For people
              - json: One JSON document

              [default: text]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --config <FILE>
              Settings file; default: ./capstan.toml if there is one, then the user's own

      -v, --verbose...
              Tells more on standard error; twice: even more

    Examples:
      capstan plugin inspect rules.wasm
      capstan plugin inspect oci://registry.example/policies/image:1.2 --format json
    ");
    insta::assert_snapshot!(help(&["plugin", "bench", "--help"]), @"
    Measures a plugin's calls against its limits

    Usage: capstan plugin bench [OPTIONS] [DIR|FILE.wasm]

    Arguments:
      [DIR|FILE.wasm]
              Directory of a plugin that has been built, or a component

              [default: .]

    Options:
          --fixtures <DIR>
              Directory of fixtures; default: `fixtures` beside the component

          --fixture <NAME>
              Measures this fixture only; may be repeated

      -n, --calls <N>
              Calls of each fixture

              [default: 100]

          --format <FORMAT>
              How results are shown

              Possible values:
              - text: For people
              - json: One JSON document

              [default: text]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --config <FILE>
              Settings file; default: ./capstan.toml if there is one, then the user's own

      -v, --verbose...
              Tells more on standard error; twice: even more

    Examples:
      capstan plugin bench rules.wasm
      capstan plugin bench tidy-diff --fixture large -n 1000
    ");
}
