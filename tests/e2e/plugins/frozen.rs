//! The plugin of version 0.1.0 of the contract, with every hook, in a whole run.

use super::stage::{Stage, frozen};
use crate::scene::{Scene, assert_says, story};

#[test]
fn every_hook_works_in_a_run() {
    // Its change of steps asks for what is not there, so it is only watched.
    let stage = Stage::of(
        &[("README.md", "hi\n"), ("hunks.txt", &"line\n".repeat(40))],
        &[frozen("frozen", r#"{ text = "configured" }"#) + "audit = true\n"],
    );
    let steps = [
        "say hello",
        "write new lower",
        "write drop.txt x",
        "cat prepared.sh",
    ];
    let output = stage.tool(&steps).run();
    output.assert_code(0);
    insta::assert_snapshot!(stage.diff(), @"
    diff --git new new
    new file mode 100644
    index 0000000..3f2d9ce
    --- /dev/null
    +++ new
    @@ -0,0 +1 @@
    +LOWER
    diff --git prepared.sh prepared.sh
    new file mode 100755
    index 0000000..cd7f97a
    --- /dev/null
    +++ prepared.sh
    @@ -0,0 +1 @@
    +# WIDGETS
    ");
    let calls = stage.calls();
    let (before, steps) = calls.split_at(2);
    insta::assert_snapshot!(before.join("\n"), @"
    frozen policy.check-job
    frozen workspace.prepare
    ");
    let (first, others) = steps.split_at(6);
    insta::assert_snapshot!(first.join("\n"), @"
    frozen policy.check-step
    frozen output.filter
    frozen output.filter.finish
    frozen diff.process
    frozen policy.check-diff
    frozen output.derive-outputs
    ");
    assert_eq!(others, [first, first, first].concat());
    let log = stage.log();
    assert_says(
        &log,
        &[
            "[Plugin frozen] info: job.batch-change=test\n",
            "[Plugin frozen] info: job.repository=widgets\n",
            "[Plugin frozen] info: job.branch=main\n",
            "[Plugin frozen] info: job.step-count=4\n",
            "[Plugin frozen] info: config={\"text\":\"configured\"}\n",
            "[Plugin frozen] info: calls=1\n",
            "[Plugin frozen] info: step.script=say hello\n",
            "stdout | > hello> end\n",
            "[Plugin frozen] info: file.path=prepared.sh\n",
        ],
    );
}

#[test]
fn its_changes_are_what_the_step_runs_with() {
    let scene = Scene::new();
    scene.world.write("capstan.toml", frozen("frozen", "{}"));
    let output = scene.batch(&[("alpine:3", "true")]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @r#"
    ✗ widgets: step 1 refused
      refused, as the plugin frozen failed: its answer is not allowed: it mounts "/source", which is not on this machine
    hint: mend or update the plugin frozen, or its configuration
    "#);
}

#[test]
fn its_refusals_and_failures_end_the_run() {
    for (answer, expected) in [
        (
            "refuse",
            "refused by the plugin frozen (asked-to): check-job was asked to refuse",
        ),
        (
            "error",
            "refused, as the plugin frozen failed in policy.check-job: check-job was asked to fail (asked-to)",
        ),
        (
            "panic",
            "refused, as the plugin frozen failed in policy.check-job: it crashed: ",
        ),
    ] {
        let stage = Stage::new(&[frozen("frozen", &format!("{{ answer = {answer:?} }}"))]);
        let output = stage.tool(&["version"]).run();
        output.assert_code(4);
        assert_says(&output.stderr(), &["✗ widgets: refused\n", expected]);
    }
}
