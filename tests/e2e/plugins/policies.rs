//! Policies that say "no", and policies that fail.

use capstan_tests::Registry;

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
    let registry = Registry::require();
    registry.log_in(&scene.world, &registry.password);
    scene.engine.remove_image(&registry.image);
    let config =
        r#"{ allow = ["docker.io/library/*"], exceptions = ["docker.io/library/alpine:3"] }"#;
    scene
        .world
        .write("capstan.toml", official("image-policy", config));
    let output = scene
        .batch(&[("alpine:3", "echo 1 > one"), (&registry.image, "true")])
        .run();
    output.assert_code(4);
    let told = output.stderr().replace(&registry.image, "<image>");
    insta::assert_snapshot!(told, @"");
    assert!(!scene.engine.has_image(&registry.image));
    insta::assert_snapshot!(scene.logs().replace(&registry.image, "<image>"), @"");
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
    insta::assert_snapshot!(format!("{metadata:#}"), @"");
    let text = output.stdout();
    let failed = text
        .lines()
        .find(|line| line.contains("EXECUTING_TASK\",") && line.contains("FAILURE"));
    insta::assert_snapshot!(failed.unwrap_or_default(), @"");
}

#[test]
fn a_refusal_ends_its_workspace_and_no_other() {
    let stage = Stage::new(&[official("diff-policy", r#"{ protected = ["/gadgets"] }"#)]);
    three_repositories(&stage);
    let spec = spec(&steps(&[
        "write ${{ repository.name }} 1",
        "replace hi ho README.md",
    ]));
    let refused = stage.spec(&spec).args(["widgets", "gadgets"]).run();
    refused.assert_code(4);
    insta::assert_snapshot!(refused, @"");
    let changesets = stage.world.changesets("out");
    let repositories: Vec<_> = changesets
        .iter()
        .map(|changeset| &changeset["headRepository"])
        .collect();
    assert_eq!(repositories.len(), 1);

    let failed = stage
        .spec(&spec)
        .args(["widgets", "gadgets", "broken"])
        .run();
    failed.assert_code(1);
    assert_says(
        &failed.stderr(),
        &[
            "✗ gadgets: step 1 refused",
            "✗ broken: step 2 failed",
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
            "refused by the plugin gate (asked-to): {function} was asked to refuse\n    \tfunction: {function}"
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
        assert_eq!(stage.log().contains("widgets: step 1"), false);
    }
}

#[test]
fn a_policy_that_fails_refuses() {
    let stage = Stage::new(&[policy("gate", r#"{ crash = "check-step" }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
    stage.configure(&[policy("gate", r#"{ fail = "check-diff" }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
    assert_eq!(stage.diff(), "");
    stage.configure(&[official("image-policy", r#"{ alow = [] }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
}

#[test]
fn a_policy_cannot_be_passed_over() {
    let stage = Stage::new(&[policy("gate", "{}") + "on-failure = \"skip\"\n"]);
    insta::assert_snapshot!(stage.tool(&["version"]).run(), @"");
}
