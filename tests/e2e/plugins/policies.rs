//! Policies that say "no", and policies that fail.

use super::stage::{Stage, official, plugin_events, policy, steps};
use crate::scene::{Scene, assert_says, spec, story};

/// A repository in which a step finds what it needs, one where it writes what it must not, one where it fails.
fn three_repositories(stage: &Stage) {
    stage.world.repository("gadgets", &[("README.md", "hi\n")]);
    stage.world.repository("broken", &[("other.txt", "hi\n")]);
}

#[test]
fn an_image_that_is_not_allowed_is_refused_before_anything_is_fetched() {
    let scene = Scene::new();
    // Fetching it would fail, and be another failure.
    let image = "127.0.0.1:1/private/tool:1";
    let config =
        r#"{ allow = ["docker.io/library/*"], exceptions = ["docker.io/library/alpine:3"] }"#;
    scene
        .world
        .write("capstan.toml", official("image-policy", config));
    let output = scene
        .batch(&[("alpine:3", "echo 1 > one"), (image, "true")])
        .run();
    output.assert_code(4);
    insta::assert_snapshot!(output.stderr(), @"
    1 workspace in 1 repository
    [widgets] failed: refused by the plugin image-policy (image-not-allowed): 127.0.0.1:<port>/private/tool:1 is not allowed: a…
    ✗ widgets: refused
      refused by the plugin image-policy (image-not-allowed): 127.0.0.1:<port>/private/tool:1 is not allowed: allowed are docker.io/library/*
      	image: 127.0.0.1:<port>/private/tool:1
      	step: 2
      log: $WORLD/home/.local/state/capstan/logs/<run>/0000-widgets-b490fed1abace25d1a2b01dc984148bc9dc2558e.log
    wrote out/changesets.json
    1 workspace: 0 done, 1 refused; 0 changesets; <time>
    ");
    let log = scene.logs();
    let log: Vec<_> = log
        .lines()
        .filter(|line| !line.contains(" took "))
        .collect();
    insta::assert_snapshot!(log.join("\n"), @"
    [Plugin image-policy] refused by the plugin image-policy (image-not-allowed): 127.0.0.1:1/private/tool:1 is not allowed: allowed are docker.io/library/*
    [Plugin image-policy] 	image: 127.0.0.1:1/private/tool:1
    [Plugin image-policy] 	step: 2
    ");
}

#[test]
fn a_refusal_is_an_event() {
    let stage = Stage::new(&[official(
        "image-policy",
        r#"{ allow = [], wasm = ["./tools/*.wasm"] }"#,
    )]);
    let output = stage.tool(&["version"]).args(["--format", "json"]).run();
    output.assert_code(4);
    let events = plugin_events(&output);
    let (status, metadata) = &events[0];
    assert_eq!((status.as_str(), events.len()), ("FAILURE", 1));
    insta::assert_snapshot!(format!("{metadata:#}"), @r#"
    {
      "act": {
        "audit": false,
        "details": [
          [
            "image",
            "wasm://./tool.wasm"
          ],
          [
            "step",
            "1"
          ]
        ],
        "kind": "refused",
        "reason": "wasm://./tool.wasm is not allowed: allowed are ./tools/*.wasm",
        "rule": "wasm-not-allowed"
      },
      "plugin": "image-policy",
      "taskID": "task0"
    }
    "#);
    let text = output.stdout();
    let failed = text
        .lines()
        .find(|line| line.contains("EXECUTING_TASK\",") && line.contains("FAILURE"));
    insta::assert_snapshot!(failed.unwrap_or_default(), @r#"{"operation":"EXECUTING_TASK","timestamp":"<timestamp>","status":"FAILURE","metadata":{"taskID":"<task>","error":"refused by the plugin image-policy (wasm-not-allowed): wasm://./tool.wasm is not allowed: allowed are ./tools/*.wasm\n\timage: wasm://./tool.wasm\n\tstep: 1"}}"#);
}

#[test]
fn a_refusal_ends_its_workspace_and_no_other() {
    let stage = Stage::new(&[official("diff-policy", r#"{ protected = ["/gadgets"] }"#)]);
    three_repositories(&stage);
    let spec = spec(&steps(&[
        "write ${{ repository.name }} 1",
        "replace hi ho README.md",
    ]));
    let refused = stage
        .spec(&spec)
        .args(["-j", "1", "widgets", "gadgets"])
        .run();
    refused.assert_code(4);
    insta::assert_snapshot!(refused, @"
    --- stderr
    2 workspaces in 2 repositories
    [gadgets] preparing the workspace
    [gadgets] step 1/2: write gadgets 1
    [gadgets] step 1/2: failed: refused by the plugin diff-policy (protected-path): gadgets is protected: batch changes must leave i…
    [widgets] preparing the workspace
    [widgets] step 1/2: write widgets 1
    [widgets] step 2/2: replace hi ho README.md
    [widgets] done
    widgets: branch test
      README.md | 2 +-
      widgets   | 1 +
      2 files changed, 2 insertions(+), 1 deletion(-)
    ✗ gadgets: step 1 refused
      refused by the plugin diff-policy (protected-path): gadgets is protected: batch changes must leave it as it is
      	path: gadgets
      	pattern: /gadgets
      log: $WORLD/home/.local/state/capstan/logs/<run>/0000-gadgets-b490fed1abace25d1a2b01dc984148bc9dc2558e.log
    wrote out/changesets.json
    2 workspaces: 1 done, 1 refused; 1 changeset; <time>
    --- exit 4
    ");
    assert_eq!(stage.world.changesets("out").len(), 1);

    let failed = stage
        .spec(&spec)
        .args(["widgets", "broken", "gadgets"])
        .run();
    failed.assert_code(1);
    assert_says(
        &failed.stderr(),
        &[
            "✗ broken: step 2 failed",
            "✗ gadgets: step 1 refused",
            "3 workspaces: 1 done (1 from the cache), 1 failed, 1 refused",
        ],
    );
}

#[test]
fn with_fail_fast_a_refusal_stops_the_others() {
    let stage = Stage::new(&[official("diff-policy", r#"{ protected = ["/gadgets"] }"#)]);
    three_repositories(&stage);
    let spec = spec(&steps(&["write ${{ repository.name }} 1"]));
    let output = stage
        .spec(&spec)
        .args(["--fail-fast", "-j", "1", "gadgets", "widgets"])
        .run();
    output.assert_code(4);
    assert_says(&output.stderr(), &["1 refused, 1 cancelled"]);
}

#[test]
fn each_function_of_a_policy_can_refuse() {
    for function in ["check-job", "check-step", "check-diff"] {
        let stage = Stage::new(&[policy("gate", &format!("{{ refuse = {function:?} }}"))]);
        let output = stage.tool(&["write new 1"]).run();
        output.assert_code(4);
        let reason = format!(
            "refused by the plugin gate (asked-to): {function} was asked to refuse\n  \tfunction: {function}"
        );
        let place = if function == "check-job" {
            "✗ widgets: refused"
        } else {
            "✗ widgets: step 1 refused"
        };
        assert_says(&output.stderr(), &[place, &reason]);
        assert_says(
            &stage.log(),
            &[&format!(
                "[Plugin gate] refused by the plugin gate (asked-to): {function} was asked to refuse\n"
            )],
        );
        assert_eq!(stage.diff(), "");
        let ran = stage.log().contains("[Step 1] complete");
        assert_eq!(ran, function == "check-diff", "{function}");
    }
}

#[test]
fn a_policy_that_fails_refuses() {
    let stage = Stage::new(&[policy("gate", r#"{ crash = "check-step" }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    let story_without_place = story(&output)
        .lines()
        .filter(|line| !line.contains("panicked at"))
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(story_without_place, @r#"
    ✗ widgets: step 1 refused
      refused, as the plugin gate failed in policy.check-step: it crashed: it panicked, or aborted, in probe::config::Config::of < probe::policy::decide < capstan:plugin/policy@0.1.0#check-step
      	its last messages: step 1 runs "write new 1" in wasm://./tool.wasm
      		check-step was asked to crash
      		note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
    hint: mend or update the plugin gate, or its configuration
    "#);
    stage.configure(&[policy("gate", r#"{ fail = "check-diff" }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"
    ✗ widgets: step 1 refused
      refused, as the plugin gate failed in policy.check-diff: check-diff was asked to fail (asked-to)
      	its last messages: 1 files changed
    hint: mend or update the plugin gate, or its configuration
    ");
    assert_eq!(stage.diff(), "");
    stage.configure(&[official("image-policy", r#"{ alow = [] }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"
    ✗ widgets: refused
      refused, as the plugin image-policy failed in policy.check-job: the configuration is not understood at `alow`: unknown field `alow`, expected one of `allow`, `deny`, `require-digest`, `deny-latest`, `exceptions`, `wasm` (config)
    hint: mend or update the plugin image-policy, or its configuration
    ");
}

#[test]
fn a_policy_cannot_be_passed_over() {
    let stage = Stage::new(&[policy("gate", "{}") + "on-failure = \"skip\"\n"]);
    insta::assert_snapshot!(stage.tool(&["version"]).run(), @r#"
    --- stderr
    error: the plugin gate cannot be used: it is a policy, and a policy that fails refuses
    hint: take on-failure = "skip" away; audit = true makes a policy log what it would refuse
    --- exit 2
    "#);
}

#[test]
fn a_policy_that_computes_for_too_long_refuses() {
    let limits = "limits = { cpu = \"30ms\" }\n";
    let stage = Stage::new(&[policy("gate", r#"{ spin = "check-step" }"#) + limits]);
    let output = stage.tool(&["version"]).run();
    output.assert_code(4);
    assert_says(
        &story(&output),
        &[
            "the plugin gate failed in policy.check-step: it computed for more than <time>: raise its limit `cpu`",
        ],
    );
}

#[test]
fn a_plugin_sees_the_variables_that_it_is_granted() {
    let grants = |names: &str| policy("gate", "{}") + &format!("grants = {{ env = [{names}] }}\n");
    let stage = Stage::new(&[]);
    for (plugin, code) in [(grants("\"OTHER\""), 0), (grants("\"REFUSE\""), 4)] {
        stage.configure(&[plugin]);
        let run = stage.tool(&["version"]).env("REFUSE", "check-job").run();
        run.assert_code(code);
    }
}
