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
    insta::assert_snapshot!(stage.log(), @r#"
    [Plugin workspace-files] info: wrote ci/origin.txt
    [Plugin workspace-files] info: wrote run.sh
    [Plugin workspace-files] info: removed 1 files
    [Step 1] run: "list . ci", container: "wasm://./tool.wasm"
    stdout | .: .git README.md ci keep.png run.sh
    stdout | ci: origin.txt
    [Step 1] complete
    [Step 2] run: "cat ci/origin.txt", container: "wasm://./tool.wasm"
    stdout | widgets on main
    [Step 2] complete
    "#);
    insta::assert_snapshot!(stage.diff(), @"
    diff --git a/b.png a/b.png
    deleted file mode 100644
    index 587be6b..0000000
    --- a/b.png
    +++ /dev/null
    @@ -1 +0,0 @@
    -x
    diff --git ci/origin.txt ci/origin.txt
    new file mode 100644
    index 0000000..15dfab4
    --- /dev/null
    +++ ci/origin.txt
    @@ -0,0 +1 @@
    +widgets on main
    diff --git run.sh run.sh
    new file mode 100755
    index 0000000..27ba77d
    --- /dev/null
    +++ run.sh
    @@ -0,0 +1 @@
    +true
    ");
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
    insta::assert_snapshot!(story(&output), @r#"
    ✗ widgets: refused
      refused, as the plugin workspace-files failed in workspace.prepare: assets.tar cannot be opened: No such file or directory (os error 44) (io)
    hint: mend or update the plugin workspace-files, or its configuration; on-failure = "skip" has runs go on without it
    "#);
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
    insta::assert_snapshot!(output.stderr(), @"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] plugin fails: passed over: the plugin fails failed in workspace.prepare: prepare was asked to fail (asked-to)
    [widgets] plugin fails: its last messages:
    [widgets] plugin fails:   found README.md before
    [widgets] step 1/2: list .
    [widgets] step 2/2: cat README.md
    [widgets] done
    widgets: branch test
      after  | 1 +
      before | 1 +
      2 files changed, 2 insertions(+)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    ");
    insta::assert_snapshot!(stage.log(), @r#"
    [Plugin before] info: found README.md
    [Plugin fails] info: found README.md before
    [Plugin fails] passed over: the plugin fails failed in workspace.prepare: prepare was asked to fail (asked-to)
    [Plugin fails] its last messages:
    [Plugin fails]   found README.md before
    [Plugin before] info: found README.md
    [Plugin after] info: found README.md before
    [Step 1] run: "list .", container: "wasm://./tool.wasm"
    stdout | .: .git README.md after before
    [Step 1] complete
    [Step 2] run: "cat README.md", container: "wasm://./tool.wasm"
    stdout | hi
    [Step 2] complete
    "#);
    insta::assert_snapshot!(stage.diff(), @"
    diff --git after after
    new file mode 100644
    index 0000000..587be6b
    --- /dev/null
    +++ after
    @@ -0,0 +1 @@
    +x
    diff --git before before
    new file mode 100644
    index 0000000..587be6b
    --- /dev/null
    +++ before
    @@ -0,0 +1 @@
    +x
    ");
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
