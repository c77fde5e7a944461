//! `capstan batch exec`: what a server's executor sends and what the server reads.

use capstan_tests::{Capstan, Engine, Output, Repository, World};
use serde_json::{Value, json};

/// The base of facts/batch-spec.md 6.7 with these steps.
fn input(steps: &Value) -> Value {
    json!({
        "BatchChangeAttributes": {"Name": "demo", "Description": "A demo"},
        "repository": {"id": "UmVwbzox", "name": "github.com/acme/widgets"},
        "branch": {"name": "refs/heads/main", "target": {"oid": "b490fed1abace25d1a2b01dc984148bc9dc2558e"}},
        "path": "",
        "onlyFetchWorkspace": false,
        "steps": steps,
        "searchResultPaths": ["README.md"],
        "cachedStepResultFound": false,
    })
}

/// A world with `input.json`, the checked-out repository `repo`, and a directory `tmp`.
fn world(input: &Value) -> (World, Repository) {
    Engine::require();
    let world = World::new();
    world.write("input.json", input.to_string());
    std::fs::create_dir(world.work().join("tmp")).unwrap();
    let repository = world.repository("repo", &[("README.md", "hi\n")]);
    (world, repository)
}

fn exec(world: &World) -> Capstan<'_> {
    let tmp = world.work().join("tmp");
    world
        .capstan(["batch", "exec", "-f", "input.json", "-repo", "repo"])
        .arg("-tmp")
        .arg(tmp)
}

/// The events of standard output: `OPERATION STATUS metadata`. Asserts that every line is one, with these four keys in
/// this order and a time in UTC with at most milliseconds.
fn events(output: &Output) -> Vec<String> {
    let text = std::str::from_utf8(output.raw_stdout()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let time = event["timestamp"].as_str().unwrap();
        let (_, fraction) = time.strip_suffix('Z').unwrap().split_at(19);
        assert!(fraction.len() <= 4 && !fraction.ends_with('0'), "{time}");
        let (operation, status) = (event["operation"].as_str(), event["status"].as_str());
        let (operation, status) = (operation.unwrap(), status.unwrap());
        let start = format!(
            r#"{{"operation":"{operation}","timestamp":"{time}","status":"{status}","metadata":"#
        );
        let metadata = line
            .strip_prefix(&start)
            .unwrap_or_else(|| panic!("{line}"));
        format!("{operation} {status} {}", &metadata[..metadata.len() - 1])
    };
    text.lines().map(event).collect()
}

/// The same as one text, tasks unnamed.
fn shown(output: &Output) -> String {
    let task = regex_lite::Regex::new(r#""taskID":"[0-9A-Za-z]+""#).unwrap();
    let text = events(output).join("\n");
    format!(
        "{}\nexit {}",
        task.replace_all(&text, r#""taskID":"T""#),
        output.code()
    )
}

fn cache_values(output: &Output) -> Vec<(String, Value)> {
    events(output)
        .iter()
        .filter_map(|event| event.strip_prefix("CACHE_AFTER_STEP_RESULT SUCCESS "))
        .map(|metadata| {
            let mut metadata: Value = serde_json::from_str(metadata).unwrap();
            let key = metadata["key"].as_str().unwrap().to_owned();
            (key, metadata["value"].take())
        })
        .collect()
}

fn two_steps() -> Value {
    json!([
        {"run": "echo \"<$WHO> & co\" | tee -a README.md", "container": "alpine:3",
         "env": {"WHO": "${{ repository.name }}"},
         "outputs": {"seven": {"value": "7", "format": "json"}, "said": {"value": "${{ step.stdout }}"}}},
        {"run": "echo ${{ outputs.seven }} > new.txt; id -u >&2", "container": "alpine:3", "env": ["LC_ALL"]},
    ])
}

#[test]
fn events_in_order() {
    let (world, repository) = world(&input(&two_steps()));
    let output = exec(&world).run();
    insta::assert_snapshot!(shown(&output), @r#"
    PREPARING_DOCKER_IMAGES STARTED {}
    PREPARING_DOCKER_IMAGES PROGRESS {"total":1}
    PREPARING_DOCKER_IMAGES PROGRESS {"done":1,"total":1}
    PREPARING_DOCKER_IMAGES SUCCESS {}
    DETERMINING_WORKSPACE_TYPE STARTED {}
    DETERMINING_WORKSPACE_TYPE SUCCESS {"type":"BIND"}
    EXECUTING_TASK STARTED {"taskID":"T"}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":1}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":1}
    TASK_STEP STARTED {"taskID":"T","step":1,"env":{"WHO":"github.com/acme/widgets"}}
    TASK_STEP PROGRESS {"taskID":"T","step":1,"out":"stdout: \u003cgithub.com/acme/widgets\u003e \u0026 co\n"}
    TASK_STEP SUCCESS {"taskID":"T","step":1,"diff":"diff --git README.md README.md\nindex 45b983b..0387dcc 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+\u003cgithub.com/acme/widgets\u003e \u0026 co\n","outputs":{"said":"\u003cgithub.com/acme/widgets\u003e \u0026 co\n","seven":7}}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":2}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":2}
    TASK_STEP STARTED {"taskID":"T","step":2,"env":{"LC_ALL":"********"}}
    TASK_STEP PROGRESS {"taskID":"T","step":2,"out":"stderr: 0\n"}
    TASK_STEP SUCCESS {"taskID":"T","step":2,"diff":"diff --git README.md README.md\nindex 45b983b..0387dcc 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+\u003cgithub.com/acme/widgets\u003e \u0026 co\ndiff --git new.txt new.txt\nnew file mode 100644\nindex 0000000..7f8f011\n--- /dev/null\n+++ new.txt\n@@ -0,0 +1 @@\n+7\n","outputs":{"said":"\u003cgithub.com/acme/widgets\u003e \u0026 co\n","seven":7}}
    CACHE_AFTER_STEP_RESULT SUCCESS {"key":"dxeqVgzWZkUIYY97dbznXg-step-0","value":{"changedFiles":{"modified":["README.md"],"added":null,"deleted":null,"renamed":null},"stdout":"\u003cgithub.com/acme/widgets\u003e \u0026 co\n","stderr":"","stepIndex":0,"diff":"diff --git README.md README.md\nindex 45b983b..0387dcc 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+\u003cgithub.com/acme/widgets\u003e \u0026 co\n","outputs":{"said":"\u003cgithub.com/acme/widgets\u003e \u0026 co\n","seven":7}}}
    CACHE_AFTER_STEP_RESULT SUCCESS {"key":"mEbZOE5hUfYNIBvGICSuCg-step-1","value":{"changedFiles":{"modified":["README.md"],"added":["new.txt"],"deleted":null,"renamed":null},"stdout":"","stderr":"0\n","stepIndex":1,"diff":"diff --git README.md README.md\nindex 45b983b..0387dcc 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+\u003cgithub.com/acme/widgets\u003e \u0026 co\ndiff --git new.txt new.txt\nnew file mode 100644\nindex 0000000..7f8f011\n--- /dev/null\n+++ new.txt\n@@ -0,0 +1 @@\n+7\n","outputs":{"said":"\u003cgithub.com/acme/widgets\u003e \u0026 co\n","seven":7}}}
    EXECUTING_TASK SUCCESS {"taskID":"T"}
    exit 0
    "#);
    assert_eq!(output.stderr(), "");
    // The steps ran in the repository itself, and nothing else is left.
    assert_eq!(
        repository.git(["status", "--porcelain"]),
        " M README.md\n?? new.txt"
    );
    let left = world.files("tmp");
    assert!(
        left.iter().all(|file| file.starts_with("logs/")),
        "{left:?}"
    );
    Engine::require().assert_no_containers(&world);
}

#[test]
fn binary_diffs_give_results_in_version_2() {
    let (world, _) = world(&input(&two_steps()));
    let output = exec(&world).arg("-binaryDiffs").run();
    let values = cache_values(&output);
    assert_eq!(values.len(), 2);
    let (_, second) = &values[1];
    insta::assert_snapshot!(second, @r#"{"changedFiles":{"added":["new.txt"],"deleted":null,"modified":["README.md"],"renamed":null},"diff":"ZGlmZiAtLWdpdCBSRUFETUUubWQgUkVBRE1FLm1kCmluZGV4IDQ1Yjk4M2IuLjAzODdkY2MgMTAwNjQ0Ci0tLSBSRUFETUUubWQKKysrIFJFQURNRS5tZApAQCAtMSArMSwyIEBACiBoaQorPGdpdGh1Yi5jb20vYWNtZS93aWRnZXRzPiAmIGNvCmRpZmYgLS1naXQgbmV3LnR4dCBuZXcudHh0Cm5ldyBmaWxlIG1vZGUgMTAwNjQ0CmluZGV4IDAwMDAwMDAuLjdmOGYwMTEKLS0tIC9kZXYvbnVsbAorKysgbmV3LnR4dApAQCAtMCwwICsxIEBACis3Cg==","outputs":{"said":"<github.com/acme/widgets> & co\n","seven":7},"skipped":false,"stderr":"0\n","stdout":"","stepIndex":1,"version":2}"#);
}

#[test]
fn a_run_resumes_after_the_cached_result() {
    for flag in ["-binaryDiffs=false", "--binaryDiffs"] {
        let (first, _) = world(&input(&two_steps()));
        let values = cache_values(&exec(&first).arg(flag).run());

        let mut next = input(&two_steps());
        next["cachedStepResultFound"] = true.into();
        next["cachedStepResult"] = values[0].1.clone();
        let (second, repository) = world(&next);
        let resumed = exec(&second).arg(flag).run();
        let told = shown(&resumed);
        let skipping = r#"TASK_SKIPPING_STEPS PROGRESS {"taskID":"T","startStep":2}"#;
        assert!(told.contains(skipping), "{told}");
        assert!(!told.contains(r#""step":1"#), "{told}");
        // The first step's changes are there, and the second's result is what it was, under the same key.
        assert_eq!(
            repository.git(["status", "--porcelain"]),
            " M README.md\n?? new.txt"
        );
        assert_eq!(cache_values(&resumed).last(), values.last());
    }
}

#[test]
fn a_failing_step() {
    let steps = json!([
        {"run": "echo one >> README.md", "container": "alpine:3"},
        {"run": "printf oops >&2; exit 3", "container": "alpine:3"},
        {"run": "echo never", "container": "alpine:3"},
    ]);
    let (world, _) = world(&input(&steps));
    let output = exec(&world).run();
    insta::assert_snapshot!(shown(&output), @r#"
    PREPARING_DOCKER_IMAGES STARTED {}
    PREPARING_DOCKER_IMAGES PROGRESS {"total":1}
    PREPARING_DOCKER_IMAGES PROGRESS {"done":1,"total":1}
    PREPARING_DOCKER_IMAGES SUCCESS {}
    DETERMINING_WORKSPACE_TYPE STARTED {}
    DETERMINING_WORKSPACE_TYPE SUCCESS {"type":"BIND"}
    EXECUTING_TASK STARTED {"taskID":"T"}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":1}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":1}
    TASK_STEP STARTED {"taskID":"T","step":1}
    TASK_STEP SUCCESS {"taskID":"T","step":1,"diff":"diff --git README.md README.md\nindex 45b983b..eea8a8d 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+one\n"}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":2}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":2}
    TASK_STEP STARTED {"taskID":"T","step":2}
    TASK_STEP PROGRESS {"taskID":"T","step":2,"out":"stderr: oops\n"}
    TASK_STEP FAILURE {"taskID":"T","step":2,"error":"run: printf oops \u003e\u00262; exit 3\ncontainer: alpine:3\n\nstandard error:\n\toops\n\nCommand failed with exit code 3.","exitCode":3}
    CACHE_AFTER_STEP_RESULT SUCCESS {"key":"5uyLPlEQU75e_jMmurXyiA-step-0","value":{"changedFiles":{"modified":["README.md"],"added":null,"deleted":null,"renamed":null},"stdout":"","stderr":"","stepIndex":0,"diff":"diff --git README.md README.md\nindex 45b983b..eea8a8d 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+one\n","outputs":{}}}
    EXECUTING_TASK FAILURE {"taskID":"T","error":"run: printf oops \u003e\u00262; exit 3\ncontainer: alpine:3\n\nstandard error:\n\toops\n\nCommand failed with exit code 3."}
    exit 1
    "#);
    insta::assert_snapshot!(output.stderr(), @"
    error: run: printf oops >&2; exit 3
    container: alpine:3

    standard error:
    	oops

    Command failed with exit code 3. (exit code: 1)
    ");
}

#[test]
fn failures_other_than_exit_codes() {
    for (step, expected) in [
        (
            json!({"run": "true", "container": "capstan-test/no-shell"}),
            "TASK_PREPARING_STEP FAILURE",
        ),
        (
            json!({"run": "${{ index steps.modified_files 1 }}", "container": "alpine:3"}),
            "TASK_PREPARING_STEP FAILURE",
        ),
        (
            json!({"run": "true", "container": "alpine:3", "outputs": {"x": {"value": "no", "format": "json"}}}),
            "EXECUTING_TASK FAILURE",
        ),
        (
            json!({"run": "true", "container": "alpine:3", "if": "${{ matches \"\" \"[\" }}"}),
            "EXECUTING_TASK FAILURE",
        ),
    ] {
        let (world, _) = world(&input(&json!([step])));
        let output = exec(&world).run();
        output.assert_code(1);
        let events = events(&output);
        let names: Vec<_> = events
            .iter()
            .filter_map(|event| event.split(" {").next())
            .collect();
        let failures: Vec<_> = names
            .iter()
            .filter(|name| name.ends_with("FAILURE"))
            .copied()
            .collect();
        let all = [
            "TASK_PREPARING_STEP FAILURE",
            "TASK_STEP FAILURE",
            "EXECUTING_TASK FAILURE",
        ];
        let start = all.iter().position(|name| *name == expected).unwrap();
        assert_eq!(failures, all[start..], "{step}\n{}", events.join("\n"));
        let stderr = output.stderr();
        assert!(stderr.contains(" (exit code: 1)"), "{stderr}");
    }
}

#[test]
fn skipped_steps() {
    let steps = json!([
        {"run": "echo never", "container": "alpine:3", "if": false},
        {"run": "echo one >> README.md", "container": "alpine:3", "if": "${{ eq repository.name \"github.com/acme/widgets\" }}"},
        {"run": "echo never", "container": "alpine:3", "if": "${{ previous_step.stdout }}"},
    ]);
    let (world, _) = world(&input(&steps));
    insta::assert_snapshot!(shown(&exec(&world).run()), @r#"
    PREPARING_DOCKER_IMAGES STARTED {}
    PREPARING_DOCKER_IMAGES PROGRESS {"total":1}
    PREPARING_DOCKER_IMAGES PROGRESS {"done":1,"total":1}
    PREPARING_DOCKER_IMAGES SUCCESS {}
    DETERMINING_WORKSPACE_TYPE STARTED {}
    DETERMINING_WORKSPACE_TYPE SUCCESS {"type":"BIND"}
    EXECUTING_TASK STARTED {"taskID":"T"}
    TASK_STEP_SKIPPED PROGRESS {"taskID":"T","step":1}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":2}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":2}
    TASK_STEP STARTED {"taskID":"T","step":2}
    TASK_STEP SUCCESS {"taskID":"T","step":2,"diff":"diff --git README.md README.md\nindex 45b983b..eea8a8d 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+one\n"}
    TASK_STEP_SKIPPED PROGRESS {"taskID":"T","step":3}
    CACHE_AFTER_STEP_RESULT SUCCESS {"key":"DwAy-j0lTALHc8rGmZ6pSQ-step-1","value":{"changedFiles":{"modified":["README.md"],"added":null,"deleted":null,"renamed":null},"stdout":"","stderr":"","stepIndex":1,"diff":"diff --git README.md README.md\nindex 45b983b..eea8a8d 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+one\n","outputs":{}}}
    EXECUTING_TASK SUCCESS {"taskID":"T"}
    exit 0
    "#);
}

#[test]
fn the_user_of_steps() {
    let steps = json!([{"run": "id -u", "container": "capstan-test/nonroot"}]);
    for (flag, expected) in [
        ("-run-as-image-user=false", "0\n"),
        ("-run-as-image-user", "1000\n"),
    ] {
        let (world, _) = world(&input(&steps));
        let output = exec(&world).arg(flag).run();
        output.assert_code(0);
        assert_eq!(cache_values(&output)[0].1["stdout"], expected, "{flag}");
    }
}

#[test]
fn mounts_come_from_the_workspace_files() {
    let steps = json!([{"run": "cat /m/data.txt >> README.md", "container": "alpine:3",
        "mount": [{"mountpoint": "/m/data.txt", "path": "./files/data.txt"}]}]);
    let (world, _) = world(&input(&steps));
    world.write("workspace/files/data.txt", "mounted\n");
    let missing = exec(&world).run();
    insta::assert_snapshot!(missing.stderr(), @"error: handling mount: step 1 mount path ./files/data.txt does not exist (exit code: 1)");
    missing.assert_code(1);
    let output = exec(&world).args(["-workspaceFiles", "workspace"]).run();
    output.assert_code(0);
    let diff = cache_values(&output)[0].1["diff"].to_string();
    assert!(diff.contains("+mounted"), "{diff}");
}

#[test]
fn directories_for_temporary_data() {
    let (world, _) = world(&input(&json!([{"run": "true", "container": "alpine:3"}])));
    let exec = |tmp: &str| {
        world
            .capstan(["batch", "exec", "-f=input.json", "--repo=repo", "-tmp", tmp])
            .run()
    };
    exec("fresh").assert_code(0);
    for (tmp, expected) in [("fresh", "File exists"), ("/nowhere/tmp", "does not exist")] {
        let output = exec(tmp);
        output.assert_code(1);
        let stderr = output.stderr();
        assert!(
            stderr.contains(expected) && stderr.contains(" (exit code: 1)"),
            "{stderr}"
        );
    }
}

#[test]
fn flags_and_inputs_that_cannot_be_used() {
    let (world, _) = world(&input(&json!([])));
    let run = |arguments: &[&str]| world.capstan(["batch", "exec"]).args(arguments).run();
    insta::assert_snapshot!(run(&["-nope"]), @"
    --- stderr
    error: flag provided but not defined: -nope

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
    --- exit 2
    ");
    for (arguments, expected) in [
        (
            &["-repo", "r", "-tmp", "t"][..],
            "error: input file parameter missing (exit code: 1)\n",
        ),
        (
            &["-f", "input.json", "-repo", "r"],
            "error: tempDir parameter missing (exit code: 1)\n",
        ),
        (
            &["-f", "input.json", "-tmp", "t"],
            "error: repoDir parameter missing (exit code: 1)\n",
        ),
    ] {
        let output = run(arguments);
        output.assert_code(1);
        assert_eq!(output.stderr(), expected);
        assert_eq!(output.stdout(), "");
    }
    insta::assert_snapshot!(exec(&world).run(), @"
    --- stderr
    error: invalid execution, no steps to process (exit code: 1)
    --- exit 1
    ");
    world.write("input.json", "{\"steps\": [");
    insta::assert_snapshot!(exec(&world).run(), @"
    --- stderr
    error: reading execution input: EOF while parsing a list at line 1 column 11 (exit code: 1)
    --- exit 1
    ");
    insta::assert_snapshot!(exec(&world).args(["-timeout", "soon"]).run(), @r#"
    --- stderr
    error: invalid value "soon" for flag -timeout: expected a duration such as <time>, 30m or 1h30m

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
    --- exit 2
    "#);
    std::fs::remove_file(world.work().join("input.json")).unwrap();
    insta::assert_snapshot!(exec(&world).run(), @"
    --- stderr
    error: failed to read workspace execution input file: failed to open file `$WORLD/work/input.json`: No such file or directory (os error 2) (exit code: 1)
    --- exit 1
    ");
}

#[test]
fn the_time_limit_covers_all_steps() {
    let steps = json!([{"run": "sleep 600", "container": "alpine:3"}]);
    let (world, _) = world(&input(&steps));
    let output = exec(&world).args(["-timeout", "1s"]).run();
    output.assert_code(1);
    assert!(
        output
            .stderr()
            .contains("Timeout reached. Execution took longer than <time>."),
        "{output}"
    );
    Engine::require().assert_no_containers(&world);
}

#[test]
fn batch_run_tells_the_same_events() {
    Engine::require();
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    let spec = "\
name: demo
steps:
  - run: echo \"$X\" >> README.md; exit ${{ join_if \"\" \"0\" }}
    container: alpine:3
    env: {X: x}
changesetTemplate: {title: T, body: B, branch: demo, commit: {message: M}}
";
    let run = |spec: &str| {
        world.write("spec.yaml", spec);
        let output = world
            .capstan([
                "batch",
                "run",
                "--format",
                "json",
                "-f",
                "spec.yaml",
                "widgets",
            ])
            .run();
        let run = regex_lite::Regex::new("logs/[^/]+/").unwrap();
        let text = shown(&output);
        let text = text.replace(&*world.root().to_string_lossy(), "$WORLD");
        run.replace_all(&text, "logs/RUN/").into_owned()
    };
    insta::assert_snapshot!(run(spec), @r#"
    PARSING_BATCH_SPEC STARTED {}
    PARSING_BATCH_SPEC SUCCESS {}
    DETERMINING_WORKSPACES STARTED {}
    DETERMINING_WORKSPACES SUCCESS {"repoCount":1,"workspaceCount":1}
    CHECKING_CACHE STARTED {}
    CHECKING_CACHE SUCCESS {"tasksToExecute":1}
    PREPARING_DOCKER_IMAGES STARTED {}
    PREPARING_DOCKER_IMAGES PROGRESS {"total":1}
    PREPARING_DOCKER_IMAGES PROGRESS {"done":1,"total":1}
    PREPARING_DOCKER_IMAGES SUCCESS {}
    DETERMINING_WORKSPACE_TYPE STARTED {}
    DETERMINING_WORKSPACE_TYPE SUCCESS {"type":"BIND"}
    EXECUTING_TASK STARTED {"taskID":"T"}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":1}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":1}
    TASK_STEP STARTED {"taskID":"T","step":1,"env":{"X":"x"}}
    TASK_STEP SUCCESS {"taskID":"T","step":1,"diff":"diff --git README.md README.md\nindex 45b983b..7fda762 100644\n--- README.md\n+++ README.md\n@@ -1 +1,2 @@\n hi\n+x\n"}
    EXECUTING_TASK SUCCESS {"taskID":"T"}
    TASK_BUILD_CHANGESET_SPECS SUCCESS {"taskID":"T"}
    EXECUTING_TASKS SUCCESS {}
    exit 0
    "#);
    insta::assert_snapshot!(run(&spec.replace("\"0\"", "\"7\"")), @r#"
    PARSING_BATCH_SPEC STARTED {}
    PARSING_BATCH_SPEC SUCCESS {}
    DETERMINING_WORKSPACES STARTED {}
    DETERMINING_WORKSPACES SUCCESS {"repoCount":1,"workspaceCount":1}
    CHECKING_CACHE STARTED {}
    CHECKING_CACHE SUCCESS {"tasksToExecute":1}
    PREPARING_DOCKER_IMAGES STARTED {}
    PREPARING_DOCKER_IMAGES PROGRESS {"total":1}
    PREPARING_DOCKER_IMAGES PROGRESS {"done":1,"total":1}
    PREPARING_DOCKER_IMAGES SUCCESS {}
    DETERMINING_WORKSPACE_TYPE STARTED {}
    DETERMINING_WORKSPACE_TYPE SUCCESS {"type":"BIND"}
    EXECUTING_TASK STARTED {"taskID":"T"}
    TASK_PREPARING_STEP STARTED {"taskID":"T","step":1}
    TASK_PREPARING_STEP SUCCESS {"taskID":"T","step":1}
    TASK_STEP STARTED {"taskID":"T","step":1,"env":{"X":"x"}}
    TASK_STEP FAILURE {"taskID":"T","step":1,"error":"run: echo \"$X\" \u003e\u003e README.md; exit 7\ncontainer: alpine:3\n\nCommand failed with exit code 7.","exitCode":7}
    EXECUTING_TASK FAILURE {"taskID":"T","error":"run: echo \"$X\" \u003e\u003e README.md; exit 7\ncontainer: alpine:3\n\nCommand failed with exit code 7."}
    EXECUTING_TASKS SUCCESS {}
    BATCH_SPEC_EXECUTION FAILURE {"error":"execution in widgets failed: run: echo \"$X\" \u003e\u003e README.md; exit 7\ncontainer: alpine:3\n\nCommand failed with exit code 7. (see $WORLD/home/.local/state/capstan/logs/RUN/0000-widgets-b490fed1abace25d1a2b01dc984148bc9dc2558e.log for details)"}
    exit 1
    "#);
    insta::assert_snapshot!(run("name: [x]\n"), @r#"
    PARSING_BATCH_SPEC STARTED {}
    PARSING_BATCH_SPEC FAILURE {"error":"the batch spec is not valid (1 problem):\n\nspec.yaml:1:7: name: Invalid type. Expected: string, given: array\n  1 | name: [x]\n    |       ^^^"}
    BATCH_SPEC_EXECUTION FAILURE {"error":"exit code: 2"}
    exit 2
    "#);
    // A second run finds the first one's results.
    let again = run(spec);
    assert!(
        again.contains(r#"CHECKING_CACHE SUCCESS {"cachedSpecsFound":1}"#),
        "{again}"
    );
}
