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
    env | grep -E '^(ADDED|CHANGED|REMOVED|TOKEN)=' | sort
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
    insta::assert_snapshot!(before, @"
    diff --git seen seen
    new file mode 100644
    index 0000000..3d68063
    --- /dev/null
    +++ seen
    @@ -0,0 +1,9 @@
    +0
    +CHANGED=by the spec
    +REMOVED=by the spec
    +TOKEN=from outside
    +kept
    +no mount
    +1
    +134217728
    +100
    ");
    let mounted = scene.world.work().join("mounted");
    let config = format!(
        r#"{{ change = {{ by = "check-step", image = "capstan-test/nonroot", set = {{ ADDED = "a", CHANGED = "c" }}, remove = ["REMOVED", "TOKEN"], mount = [{mounted:?}, "/mounted"], unmount = "/kept", network = "none", memory = 32, pids = 20 }} }}"#
    );
    scene.world.write("capstan.toml", policy("gate", &config));
    insta::assert_snapshot!(look(&scene), @"
    diff --git seen seen
    new file mode 100644
    index 0000000..8177fa3
    --- /dev/null
    +++ seen
    @@ -0,0 +1,8 @@
    +1000
    +ADDED=a
    +CHANGED=c
    +mounted
    +no mount
    +0
    +33554432
    +20
    ");
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
    insta::assert_snapshot!(story, @"
    ✗ widgets: step 1 failed
      Timeout reached. Execution took longer than <time>.
    ");
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
    insta::assert_snapshot!(stage.log(), @r#"
    [Plugin gate] changed: variable ADDED set
    [Plugin gate] info: step 1 runs "show" in wasm://./gone.wasm
    [Plugin second] info: step 1 runs "show" in wasm://./gone.wasm
    [Plugin second] changed: image wasm://./tool.wasm
    [Step 1] run: "show", container: "wasm://./tool.wasm"
    stdout | ["tool", "show"]
    stdout | [("ADDED", "by the gate")]
    stdout | ""
    [Step 1] complete
    [Plugin gate] info: 0 files changed
    [Plugin second] info: 0 files changed
    [Plugin gate] info: step 2 runs "show" in wasm://./gone.wasm
    [Plugin second] info: step 2 runs "show" in wasm://./gone.wasm
    [Plugin second] changed: image wasm://./tool.wasm
    [Step 2] run: "show", container: "wasm://./tool.wasm"
    stdout | ["tool", "show"]
    stdout | [("ADDED", "by the gate"), ("OWN", "x")]
    stdout | ""
    [Step 2] complete
    [Plugin gate] info: 0 files changed
    [Plugin second] info: 0 files changed
    "#);
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
    insta::assert_snapshot!(format!("{} {}", events[0].0, events[0].1), @r#"PROGRESS {"act":{"audit":false,"changes":["variable ADDED set","network none"],"kind":"changed"},"plugin":"gate","step":1,"taskID":"task0"}"#);
}

#[test]
fn a_change_that_makes_no_sense_refuses() {
    for (change, expected) in [
        (r#"image = " ""#, "an image must not be empty"),
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
