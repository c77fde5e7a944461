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
    insta::assert_snapshot!(output.stderr(), @"
    1 workspace in 1 repository
    [widgets] plugin frozen: warning: check-job: Level::Warn
    [widgets] plugin frozen: error: check-job: Level::Error
    [widgets] preparing the workspace
    [widgets] plugin frozen: warning: prepare: Level::Warn
    [widgets] plugin frozen: error: prepare: Level::Error
    [widgets] step 1/4: plugin frozen: warning: check-step: Level::Warn
    [widgets] step 1/4: plugin frozen: error: check-step: Level::Error
    [widgets] step 1/4: plugin frozen: would have changed: image amended:1; variable ADDED set; variable REMOVED removed; mount /source at /target; mount at /removed removed; network none; memory 64 MiB; processors 0.5; processes 32; timeout <time>
    [widgets] step 1/4: say hello
    [widgets] step 1/4: plugin frozen: warning: push: Level::Warn
    [widgets] step 1/4: plugin frozen: error: push: Level::Error
    [widgets] step 1/4: plugin frozen: warning: finish: Level::Warn
    [widgets] step 1/4: plugin frozen: error: finish: Level::Error
    [widgets] step 1/4: plugin frozen: warning: process: Level::Warn
    [widgets] step 1/4: plugin frozen: error: process: Level::Error
    [widgets] step 1/4: plugin frozen: notice: prepared.sh:1: seen
    [widgets] step 1/4: plugin frozen: warning: check-diff: Level::Warn
    [widgets] step 1/4: plugin frozen: error: check-diff: Level::Error
    [widgets] step 1/4: plugin frozen: warning: derive-outputs: Level::Warn
    [widgets] step 1/4: plugin frozen: error: derive-outputs: Level::Error
    [widgets] step 2/4: plugin frozen: warning: check-step: Level::Warn
    [widgets] step 2/4: plugin frozen: error: check-step: Level::Error
    [widgets] step 2/4: plugin frozen: would have changed: image amended:1; variable ADDED set; variable REMOVED removed; mount /source at /target; mount at /removed removed; network none; memory 64 MiB; processors 0.5; processes 32; timeout <time>
    [widgets] step 2/4: write new lower
    [widgets] step 2/4: plugin frozen: warning: push: Level::Warn
    [widgets] step 2/4: plugin frozen: error: push: Level::Error
    [widgets] step 2/4: plugin frozen: warning: finish: Level::Warn
    [widgets] step 2/4: plugin frozen: error: finish: Level::Error
    [widgets] step 2/4: plugin frozen: warning: process: Level::Warn
    [widgets] step 2/4: plugin frozen: error: process: Level::Error
    [widgets] step 2/4: plugin frozen: notice: new:1: seen
    [widgets] step 2/4: plugin frozen: notice: prepared.sh:1: seen
    [widgets] step 2/4: plugin frozen: warning: check-diff: Level::Warn
    [widgets] step 2/4: plugin frozen: error: check-diff: Level::Error
    [widgets] step 2/4: plugin frozen: warning: derive-outputs: Level::Warn
    [widgets] step 2/4: plugin frozen: error: derive-outputs: Level::Error
    [widgets] step 3/4: plugin frozen: warning: check-step: Level::Warn
    [widgets] step 3/4: plugin frozen: error: check-step: Level::Error
    [widgets] step 3/4: plugin frozen: would have changed: image amended:1; variable ADDED set; variable REMOVED removed; mount /source at /target; mount at /removed removed; network none; memory 64 MiB; processors 0.5; processes 32; timeout <time>
    [widgets] step 3/4: write drop.txt x
    [widgets] step 3/4: plugin frozen: warning: push: Level::Warn
    [widgets] step 3/4: plugin frozen: error: push: Level::Error
    [widgets] step 3/4: plugin frozen: warning: finish: Level::Warn
    [widgets] step 3/4: plugin frozen: error: finish: Level::Error
    [widgets] step 3/4: plugin frozen: warning: process: Level::Warn
    [widgets] step 3/4: plugin frozen: error: process: Level::Error
    [widgets] step 3/4: plugin frozen: notice: drop.txt:1: seen
    [widgets] step 3/4: plugin frozen: notice: new:1: seen
    [widgets] step 3/4: plugin frozen: notice: prepared.sh:1: seen
    [widgets] step 3/4: plugin frozen: warning: check-diff: Level::Warn
    [widgets] step 3/4: plugin frozen: error: check-diff: Level::Error
    [widgets] step 3/4: plugin frozen: warning: derive-outputs: Level::Warn
    [widgets] step 3/4: plugin frozen: error: derive-outputs: Level::Error
    [widgets] step 4/4: plugin frozen: warning: check-step: Level::Warn
    [widgets] step 4/4: plugin frozen: error: check-step: Level::Error
    [widgets] step 4/4: plugin frozen: would have changed: image amended:1; variable ADDED set; variable REMOVED removed; mount /source at /target; mount at /removed removed; network none; memory 64 MiB; processors 0.5; processes 32; timeout <time>
    [widgets] step 4/4: cat prepared.sh
    [widgets] step 4/4: plugin frozen: warning: push: Level::Warn
    [widgets] step 4/4: plugin frozen: error: push: Level::Error
    [widgets] step 4/4: plugin frozen: warning: finish: Level::Warn
    [widgets] step 4/4: plugin frozen: error: finish: Level::Error
    [widgets] step 4/4: plugin frozen: warning: process: Level::Warn
    [widgets] step 4/4: plugin frozen: error: process: Level::Error
    [widgets] step 4/4: plugin frozen: notice: drop.txt:1: seen
    [widgets] step 4/4: plugin frozen: notice: new:1: seen
    [widgets] step 4/4: plugin frozen: notice: prepared.sh:1: seen
    [widgets] step 4/4: plugin frozen: warning: check-diff: Level::Warn
    [widgets] step 4/4: plugin frozen: error: check-diff: Level::Error
    [widgets] step 4/4: plugin frozen: warning: derive-outputs: Level::Warn
    [widgets] step 4/4: plugin frozen: error: derive-outputs: Level::Error
    [widgets] done
    widgets: branch test
      new         | 1 +
      prepared.sh | 1 +
      2 files changed, 2 insertions(+)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    ");
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
    insta::assert_snapshot!(stage.calls().join("\n"), @"
    frozen policy.check-job
    frozen workspace.prepare
    frozen policy.check-step
    frozen output.filter
    frozen output.filter.finish
    frozen diff.process
    frozen policy.check-diff
    frozen output.derive-outputs
    frozen policy.check-step
    frozen output.filter
    frozen output.filter.finish
    frozen diff.process
    frozen policy.check-diff
    frozen output.derive-outputs
    frozen policy.check-step
    frozen output.filter
    frozen output.filter.finish
    frozen diff.process
    frozen policy.check-diff
    frozen output.derive-outputs
    frozen policy.check-step
    frozen output.filter
    frozen output.filter.finish
    frozen diff.process
    frozen policy.check-diff
    frozen output.derive-outputs
    ");
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
