//! When plugins are called, in which order, and which file they are from.

use super::stage::{Stage, official, others, policy, table};
use crate::scene::assert_says;

#[test]
fn hooks_are_called_in_the_order_of_the_file_at_their_points() {
    let stage = Stage::new(&[
        others("first", r#"{ say = "here", replace = ["a", "b"] }"#),
        policy("gate", r#"{ say = "here" }"#),
        others("second", r#"{ say = "here", replace = ["b", "c"] }"#),
    ]);
    stage.tool(&["write new 1", "say a"]).run().assert_code(0);
    insta::assert_snapshot!(stage.log(), @r#"
    [Plugin gate] warning: check-job: here
    [Plugin first] info: found README.md
    [Plugin first] warning: prepare: here
    [Plugin second] info: found README.md
    [Plugin second] warning: prepare: here
    [Plugin gate] info: step 1 runs "write new 1" in wasm://./tool.wasm
    [Plugin gate] warning: check-step: here
    [Step 1] run: "write new 1", container: "wasm://./tool.wasm"
    stdout | new: written
    [Plugin first] warning: finish: here
    [Plugin second] warning: finish: here
    [Plugin first] warning: finish: here
    [Plugin second] warning: finish: here
    [Step 1] complete
    [Plugin first] warning: process: here
    [Plugin second] warning: process: here
    [Plugin gate] info: 1 files changed
    [Plugin gate] warning: check-diff: here
    [Plugin first] warning: derive-outputs: here
    [Plugin second] warning: derive-outputs: here
    [Plugin gate] info: step 2 runs "say a" in wasm://./tool.wasm
    [Plugin gate] warning: check-step: here
    [Step 2] run: "say a", container: "wasm://./tool.wasm"
    [Plugin first] warning: finish: here
    [Plugin second] warning: finish: here
    [Plugin first] warning: finish: here
    [Plugin second] warning: finish: here
    stdout | c
    [Step 2] complete
    [Plugin first] warning: process: here
    [Plugin second] warning: process: here
    [Plugin gate] info: 1 files changed
    [Plugin gate] warning: check-diff: here
    [Plugin first] warning: derive-outputs: here
    [Plugin second] warning: derive-outputs: here
    "#);
}

#[test]
fn an_other_file_of_plugins_counts_in_place_of_the_settings() {
    let stage = Stage::new(&[policy("settings", r#"{ say = "from the settings" }"#)]);
    let copied = std::fs::copy(
        capstan_tests::probe_plugin("policy"),
        stage.world.write("policies/gate.wasm", ""),
    );
    copied.expect("the world is writable");
    // Nothing else in it is read.
    let text = "jobs = \"many\"\n[[plugin]]\nname = \"other\"\nsource = \"gate.wasm\"\nconfig = { say = \"from elsewhere\" }\n";
    stage.world.write("policies/plugins.toml", text);
    let spoke = |log: &str| {
        (
            log.contains("from the settings"),
            log.contains("from elsewhere"),
        )
    };

    stage.tool(&["version"]).run().assert_code(0);
    assert_eq!(spoke(&stage.log()), (true, false));
    let flag = stage.tool(&["version"]);
    flag.args(["--plugins", "policies/plugins.toml"])
        .run()
        .assert_code(0);
    assert_eq!(spoke(&stage.log()), (false, true));
    let variable = stage.tool(&["version"]);
    variable
        .env("CAPSTAN_PLUGINS", "policies/plugins.toml")
        .run()
        .assert_code(0);
    assert_eq!(spoke(&stage.log()), (false, true));
}

#[test]
fn paths_start_at_the_file_that_names_them() {
    let stage = Stage::new(&[]);
    let plugin = std::fs::read(capstan_tests::probe_plugin("policy")).expect("it was built");
    stage.world.write("team/plugins/gate.wasm", plugin);
    let text = table("gate", "plugins/gate.wasm".as_ref(), r#"{ say = "here" }"#);
    stage.world.write("team/settings.toml", text);
    let command = stage.tool(&["version"]);
    command
        .args(["--config", "team/settings.toml"])
        .run()
        .assert_code(0);
    assert_says(&stage.log(), &["[Plugin gate] warning: check-job: here\n"]);
}

#[test]
fn plugins_say_what_they_are_called_for_when_asked() {
    let stage = Stage::new(&[
        policy("gate", r#"{ say = "look at this" }"#),
        official("diff-filter", r#"{ drop = ["*.log"] }"#),
    ]);
    let quiet = stage.tool(&["write x.log 1"]).run();
    insta::assert_snapshot!(quiet, @"
    --- stderr
    1 workspace in 1 repository
    [widgets] plugin gate: warning: check-job: look at this
    [widgets] preparing the workspace
    [widgets] step 1/1: plugin gate: warning: check-step: look at this
    [widgets] step 1/1: write x.log 1
    [widgets] step 1/1: plugin gate: warning: check-diff: look at this
    [widgets] done, nothing changed
    widgets: nothing changed
    wrote out/changesets.json
    1 workspace: 1 done; 0 changesets; <time>
    --- exit 0
    ");
    let verbose = stage
        .tool(&["write x.log 1"])
        .args(["-v", "--no-cache"])
        .run();
    verbose.assert_code(0);
    let stderr = verbose.stderr();
    assert_says(
        &stderr,
        &[
            "loaded the plugin ",
            "[widgets] plugin gate: policy.check-job took ",
            "[widgets] step 1/1: plugin gate: policy.check-step took ",
            "[widgets] step 1/1: plugin diff-filter: info: dropped x.log: drop (*.log)",
            "[widgets] step 1/1: plugin diff-filter: diff.process took ",
            "[widgets] step 1/1: plugin gate: policy.check-diff took ",
        ],
    );
}
