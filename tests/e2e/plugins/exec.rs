//! `batch exec` with plugins: the same hooks, in the repository itself.

use capstan_tests::{Capstan, Output, World};
use serde_json::{Value, json};

use super::stage::{NOWHERE, official, others, plugin_events, policy, tool};
use crate::scene::{assert_says, last_log};

/// A world with `input.json`, the checked-out repository `repo`, a directory `tmp`, and these plugins.
fn world(runs: &[&str], plugins: &[String]) -> World {
    let world = World::new();
    let steps = runs
        .iter()
        .map(|run| json!({"run": run, "container": "wasm://./tool.wasm"}));
    let input = json!({
        "BatchChangeAttributes": {"Name": "demo", "Description": "A demo"},
        "repository": {"id": "UmVwbzox", "name": "github.com/acme/widgets"},
        "branch": {"name": "refs/heads/main", "target": {"oid": "b490fed1abace25d1a2b01dc984148bc9dc2558e"}},
        "path": "", "onlyFetchWorkspace": false, "searchResultPaths": [], "cachedStepResultFound": false,
        "steps": steps.collect::<Value>(),
    });
    world.write("input.json", input.to_string());
    std::fs::create_dir(world.work().join("tmp")).expect("the world is writable");
    world.repository("repo", &[("README.md", "hi\n")]);
    world.write("tool.wasm", tool());
    world.write("capstan.toml", plugins.concat());
    world
}

fn exec(world: &World) -> Capstan<'_> {
    let tmp = world.work().join("tmp");
    let exec = world.capstan(["batch", "exec", "-f", "input.json", "-repo", "repo", "-tmp"]);
    exec.arg(tmp).env("DOCKER_HOST", NOWHERE)
}

/// `OPERATION STATUS` of all events.
fn events(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(output.raw_stdout()).into_owned();
    let event = |line: &str| {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        format!("{} {}", event["operation"], event["status"]).replace('"', "")
    };
    text.lines().map(event).collect()
}

#[test]
fn the_hooks_are_called_as_in_other_runs() {
    let plugins = [
        policy(
            "gate",
            r#"{ change = { by = "check-step", set = { ADDED = "yes" } } }"#,
        ),
        official(
            "workspace-files",
            r#"{ write = [{ path = "prepared", content = "x\n" }] }"#,
        ),
        others(
            "all",
            r#"{ replace = ["hello", "good-bye"], annotate = "seen", outputs = { a = "b" } }"#,
        ),
        official("diff-filter", r#"{ drop = ["*.log"] }"#),
    ];
    let world = world(
        &["say hello", "write x.log ${{ outputs.a }}", "show"],
        &plugins,
    );
    let output = exec(&world).run();
    output.assert_code(0);
    insta::assert_snapshot!(events(&output).join("\n"), @"
    PREPARING_DOCKER_IMAGES STARTED
    PREPARING_DOCKER_IMAGES PROGRESS
    PREPARING_DOCKER_IMAGES SUCCESS
    DETERMINING_WORKSPACE_TYPE STARTED
    DETERMINING_WORKSPACE_TYPE SUCCESS
    EXECUTING_TASK STARTED
    TASK_PREPARING_STEP STARTED
    TASK_PLUGIN PROGRESS
    TASK_PREPARING_STEP SUCCESS
    TASK_STEP STARTED
    TASK_PLUGIN PROGRESS
    TASK_STEP PROGRESS
    TASK_STEP SUCCESS
    TASK_PREPARING_STEP STARTED
    TASK_PLUGIN PROGRESS
    TASK_PREPARING_STEP SUCCESS
    TASK_STEP STARTED
    TASK_STEP PROGRESS
    TASK_PLUGIN PROGRESS
    TASK_PLUGIN PROGRESS
    TASK_STEP SUCCESS
    TASK_PREPARING_STEP STARTED
    TASK_PLUGIN PROGRESS
    TASK_PREPARING_STEP SUCCESS
    TASK_STEP STARTED
    TASK_STEP PROGRESS
    TASK_PLUGIN PROGRESS
    TASK_PLUGIN PROGRESS
    TASK_STEP SUCCESS
    CACHE_AFTER_STEP_RESULT SUCCESS
    CACHE_AFTER_STEP_RESULT SUCCESS
    CACHE_AFTER_STEP_RESULT SUCCESS
    EXECUTING_TASK SUCCESS
    ");
    let values: Vec<Value> = String::from_utf8_lossy(output.raw_stdout())
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["operation"] == "CACHE_AFTER_STEP_RESULT")
        .map(|mut event| event["metadata"]["value"].take())
        .collect();
    assert_eq!(values[0]["stdout"], "good-bye");
    assert_eq!(values[0]["outputs"], json!({"a": "b"}));
    insta::assert_snapshot!(values[2]["diff"].as_str().unwrap_or_default(), @"
    diff --git prepared prepared
    new file mode 100644
    index 0000000..587be6b
    --- /dev/null
    +++ prepared
    @@ -0,0 +1 @@
    +x
    ");
    assert!(
        values[2]["stdout"].to_string().contains("ADDED"),
        "{}",
        values[2]
    );
    // The steps ran in the repository itself.
    assert_eq!(world.read("repo/x.log"), "b\n");
    assert_eq!(world.read("repo/prepared"), "x\n");
}

#[test]
fn a_refusal_ends_with_the_code_that_servers_know() {
    let world = world(
        &["write protected 1"],
        &[official("diff-policy", r#"{ protected = ["/protected"] }"#)],
    );
    let output = exec(&world).run();
    output.assert_code(1);
    insta::assert_snapshot!(output.stderr(), @"
    error: refused by the plugin diff-policy (protected-path): protected is protected: batch changes must leave it as it is
    	path: protected
    	pattern: /protected (exit code: 1)
    ");
    insta::assert_snapshot!(events(&output).join("\n"), @"
    PREPARING_DOCKER_IMAGES STARTED
    PREPARING_DOCKER_IMAGES PROGRESS
    PREPARING_DOCKER_IMAGES SUCCESS
    DETERMINING_WORKSPACE_TYPE STARTED
    DETERMINING_WORKSPACE_TYPE SUCCESS
    EXECUTING_TASK STARTED
    TASK_PREPARING_STEP STARTED
    TASK_PREPARING_STEP SUCCESS
    TASK_STEP STARTED
    TASK_STEP PROGRESS
    TASK_PLUGIN FAILURE
    TASK_STEP FAILURE
    EXECUTING_TASK FAILURE
    ");
    let refusals = plugin_events(&output);
    assert_eq!(refusals[0].0, "FAILURE");
    assert_eq!(refusals[0].1["act"]["rule"], "protected-path");
}

#[test]
fn a_preparation_that_fails_refuses_whatever_the_operator_says() {
    let failing = others("fails", r#"{ write = { left = "x" }, fail = "prepare" }"#)
        + "on-failure = \"skip\"\n";
    let world = world(&["version"], &[failing]);
    let output = exec(&world).run();
    output.assert_code(1);
    assert_says(
        &output.stderr(),
        &[
            "refused, as the plugin fails failed in workspace.prepare: prepare was asked to fail (asked-to)",
        ],
    );
    let refusals = plugin_events(&output);
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].0, "FAILURE");
}

#[test]
fn what_is_wrong_with_the_plugins_is_told_before_anything_runs() {
    let world = world(&["write a 1"], &[]);
    world.write(
        "capstan.toml",
        "[[plugin]]\nname = \"gate\"\nsource = \"gone.wasm\"\nautid = true\n",
    );
    let output = exec(&world).run();
    output.assert_code(1);
    insta::assert_snapshot!(output.stderr(), @r#"
    warning: $WORLD/work/capstan.toml:4: unknown key "autid" of the plugin "gate" is ignored; did you mean "audit"?
    error: the plugin gate cannot be used: failed to open file `$WORLD/work/gone.wasm`: No such file or directory (os error 2) (exit code: 1)
    "#);
    assert_eq!(events(&output), [""; 0]);
    assert_eq!(last_log(&world), "");
}
