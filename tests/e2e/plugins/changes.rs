//! Policies that change steps: what really runs.

use super::stage::{Stage, policy};
use crate::scene::{Scene, assert_says, story};

/// A scene with these tables in `capstan.toml`.
fn scene(plugins: &[String]) -> Scene {
    let scene = Scene::new();
    scene.world.write("capstan.toml", plugins.concat());
    scene
}

/// Tells what a step runs in.
const LOOK: &str = r#"
set -e
{
    id -u
    env | grep -E '^(ADDED|CHANGED|REMOVED|TOKEN)='
    cat /mounted /kept 2>/dev/null || echo no mount
    ls /sys/class/net | grep -c eth || true
    # Of cgroup version 1, then of 2.
    cd /sys/fs/cgroup
    cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max
    cat pids/pids.max 2>/dev/null || cat pids.max
} > /work/seen
"#;

/// A step whose image, environment, mounts, network and limits are the spec's and the command line's.
fn look(scene: &Scene) -> String {
    scene.world.write("kept", "kept\n");
    scene.world.write("mounted", "mounted\n");
    let step = serde_json::json!({
        "container": "alpine:3",
        "run": LOOK,
        "env": [{"CHANGED": "by the spec"}, {"REMOVED": "by the spec"}, "TOKEN"],
        "mount": [{"path": "./kept", "mountpoint": "/kept"}],
    });
    let output = scene
        .yaml(&format!("  - {step}\n"))
        .args(["--network", "bridge", "--memory", "128MiB", "--pids", "100"])
        .env("TOKEN", "from outside")
        .run();
    output.assert_code(0);
    scene.diff()
}

#[test]
fn a_change_is_what_runs() {
    let scene = scene(&[]);
    let before = look(&scene);
    insta::assert_snapshot!(before, @"");
    let mounted = scene.world.work().join("mounted");
    let config = format!(
        r#"{{ change = {{ by = "check-step", image = "capstan-test/nonroot", set = {{ ADDED = "a", CHANGED = "c" }}, remove = ["REMOVED", "TOKEN"], mount = [{mounted:?}, "/mounted"], unmount = "/kept", network = "none", memory = 32, pids = 20 }} }}"#
    );
    scene.world.write("capstan.toml", policy("gate", &config));
    insta::assert_snapshot!(look(&scene), @"");
    let told = scene.logs();
    assert_says(
        &told,
        &["[Plugin gate] changed: image capstan-test/nonroot; "],
    );
}

#[test]
fn a_time_limit_of_a_policy_ends_the_step() {
    let scene = scene(&[policy(
        "gate",
        r#"{ change = { by = "check-step", timeout = 1 } }"#,
    )]);
    let story = scene.failure_of(1, &[("alpine:3", "sleep 1000")]);
    insta::assert_snapshot!(story, @"");
}

#[test]
fn a_change_of_a_job_is_one_of_every_step() {
    let stage = Stage::new(&[
        policy(
            "gate",
            r#"{ change = { by = "check-job", set = { ADDED = "by the gate" } } }"#,
        ),
        // It sees what the one before it changed.
        policy(
            "second",
            r#"{ change = { by = "check-step", image = "wasm://./tool.wasm" } }"#,
        ),
    ]);
    let steps = "  - {container: 'wasm://./gone.wasm', run: show}\n  - {container: 'wasm://./gone.wasm', run: show, env: {OWN: x}}\n";
    stage.yaml(steps).run().assert_code(0);
    insta::assert_snapshot!(stage.log(), @"");
}

#[test]
fn a_change_is_an_event() {
    let stage = Stage::new(&[policy(
        "gate",
        r#"{ change = { by = "check-step", set = { ADDED = "secret" }, network = "none" } }"#,
    )]);
    let output = stage.tool(&["version"]).args(["--format", "json"]).run();
    output.assert_code(0);
    let events = super::stage::plugin_events(&output);
    insta::assert_snapshot!(format!("{events:?}"), @"");
}

#[test]
fn a_change_that_makes_no_sense_refuses() {
    for (change, expected) in [
        (r#"image = " ""#, "it sets an image without a name"),
        (
            r#"mount = ["/nonexistent", "/x"]"#,
            "it mounts \"/nonexistent\", which is not on this machine",
        ),
        (r#"memory = 1"#, "memory"),
    ] {
        let stage = Stage::new(&[policy(
            "gate",
            &format!("{{ change = {{ by = \"check-step\", {change} }} }}"),
        )]);
        let output = stage.tool(&["version"]).run();
        output.assert_code(4);
        assert_says(
            &story(&output),
            &[
                "✗ widgets: step 1 refused\n",
                "the plugin gate failed",
                expected,
            ],
        );
    }
}
