//! Plugins that prepare the workspace.

use super::stage::{Stage, official, others};
use crate::scene::{assert_says, story};

#[test]
fn what_is_prepared_is_seen_by_steps_and_in_the_diff() {
    let config = r#"{ write = [{ path = "ci/origin.txt", content = "{{repository}} on {{branch}}\n" }, { path = "run.sh", content = "true\n", executable = true }], remove = ["*.png"], keep = ["/keep.png"] }"#;
    let files = [
        ("README.md", "hi\n"),
        ("a/b.png", "x\n"),
        ("keep.png", "x\n"),
    ];
    let stage = Stage::of(&files, &[official("workspace-files", config)]);
    stage
        .tool(&["list . ci", "cat ci/origin.txt"])
        .run()
        .assert_code(0);
    insta::assert_snapshot!(stage.log(), @"");
    insta::assert_snapshot!(stage.diff(), @"");
    assert_eq!(stage.widgets.git(["status", "--porcelain"]), "");
}

#[test]
fn files_of_git_are_not_there() {
    let stage = Stage::new(&[others("prepares", "{}")]);
    stage.tool(&["version"]).run().assert_code(0);
    assert_says(&stage.log(), &["[Plugin prepares] info: found README.md\n"]);
    stage.configure(&[others(
        "prepares",
        r#"{ write = { ".git/hooks/post-checkout" = "x" } }"#,
    )]);
    stage.tool(&["version"]).run().assert_code(4);
    stage.configure(&[others("prepares", r#"{ write = { "../beside" = "x" } }"#)]);
    stage.tool(&["version"]).run().assert_code(4);
}

#[test]
fn a_preparation_that_fails_refuses() {
    let config = r#"{ unpack = [{ archive = "assets.tar" }] }"#;
    let stage = Stage::new(&[official("workspace-files", config)]);
    let output = stage.tool(&["version"]).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
}

#[test]
fn a_preparation_that_fails_is_undone_and_passed_over() {
    let failing =
        r#"{ write = { "README.md" = "overwritten\n", "left" = "x\n" }, fail = "prepare" }"#;
    let stage = Stage::new(&[
        others("before", r#"{ write = { "before" = "x\n" } }"#),
        others("fails", failing) + "on-failure = \"skip\"\n",
        others("after", r#"{ write = { "after" = "x\n" } }"#),
    ]);
    let output = stage.tool(&["list .", "cat README.md"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"");
    insta::assert_snapshot!(stage.log(), @"");
    insta::assert_snapshot!(stage.diff(), @"");
}

#[test]
fn a_plugin_that_may_only_read_cannot_write() {
    let plugin =
        others("prepares", r#"{ write = { new = "x" } }"#).replace("\"write\" }", "\"read\" }");
    let stage = Stage::new(&[plugin]);
    let output = stage.tool(&["version"]).run();
    output.assert_code(4);
    assert_says(
        &story(&output),
        &["the plugin prepares failed in workspace.prepare: "],
    );
    assert_says(&stage.log(), &["info: found README.md"]);
}

#[test]
fn a_run_that_resumes_is_prepared_again() {
    let config = r#"{ write = [{ path = "prepared", content = "x\n" }] }"#;
    let stage = Stage::new(&[official("workspace-files", config)]);
    let first = stage.tool(&["replace x y prepared", "exit 1"]).run();
    first.assert_code(1);
    let second = stage
        .tool(&["replace x y prepared", "append prepared z"])
        .run();
    second.assert_code(0);
    assert_says(&second.stderr(), &["step 1/2: from the cache"]);
    assert_says(&stage.diff(), &["+++ prepared\n@@ -0,0 +1,2 @@\n+y\n+z\n"]);
}
