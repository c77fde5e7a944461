//! Plugins and results that are known: what is called again, and what makes a result another.

use super::stage::{Stage, official, others, policy};
use crate::scene::assert_says;

/// A plugin that evens out and one that checks; with these paths dropped.
fn plugins(drop: &str) -> Vec<String> {
    vec![
        policy("gate", "{}"),
        official("diff-filter", &format!("{{ drop = [{drop:?}] }}")),
        official(
            "workspace-files",
            r#"{ write = [{ path = "prepared", content = "x\n" }] }"#,
        ),
    ]
}

#[test]
fn a_result_from_the_cache_is_decided_about_again() {
    let stage = Stage::new(&plugins("*.log"));
    let first = stage.tool(&["write a.log 1", "write b 1"]).run();
    first.assert_code(0);
    let diff = stage.diff();
    insta::assert_snapshot!(diff, @"
    diff --git b b
    new file mode 100644
    index 0000000..d00491f
    --- /dev/null
    +++ b
    @@ -0,0 +1 @@
    +1
    diff --git prepared prepared
    new file mode 100644
    index 0000000..587be6b
    --- /dev/null
    +++ prepared
    @@ -0,0 +1 @@
    +x
    ");
    insta::assert_snapshot!(stage.calls().join("\n"), @"
    gate policy.check-job
    workspace-files workspace.prepare
    gate policy.check-step
    diff-filter diff.process
    gate policy.check-diff
    gate policy.check-step
    diff-filter diff.process
    gate policy.check-diff
    ");
    let second = stage.tool(&["write a.log 1", "write b 1"]).run();
    second.assert_code(0);
    assert_says(
        &second.stderr(),
        &["1 known from the cache", "done, from the cache"],
    );
    insta::assert_snapshot!(stage.calls().join("\n"), @"
    gate policy.check-job
    diff-filter diff.process
    gate policy.check-diff
    ");
    assert_eq!(stage.diff(), diff);
}

#[test]
fn a_result_from_the_cache_can_be_refused() {
    // The values of variables are no part of a result's key.
    let granted = policy("gate", "{}") + "grants = { env = [\"REFUSE\"] }\n";
    for (function, place) in [
        ("check-job", "✗ widgets: refused\n"),
        ("check-diff", "✗ widgets: step 1 refused\n"),
    ] {
        let stage = Stage::new(std::slice::from_ref(&granted));
        stage.tool(&["write a 1"]).run().assert_code(0);
        let again = stage.tool(&["write a 1"]).env("REFUSE", function).run();
        again.assert_code(4);
        assert_says(&again.stderr(), &["1 known from the cache", place]);
        assert!(stage.world.changesets("out").is_empty());
    }
}

#[test]
fn steps_resume_from_a_result_with_the_diff_as_git_printed_it() {
    let stage = Stage::new(&plugins("*.log"));
    stage
        .tool(&["write a.log 1", "exit 1"])
        .run()
        .assert_code(1);
    let output = stage
        .tool(&[
            "write a.log 1",
            "cat a.log prepared",
            "append a.log 2",
            "cat a.log",
        ])
        .run();
    output.assert_code(0);
    assert_says(&output.stderr(), &["step 1/4: from the cache"]);
    assert_says(
        &stage.log(),
        &[
            "stdout | 1\n",
            "stdout | x\n",
            "stdout | 1\n",
            "stdout | 2\n",
        ],
    );
    assert!(!stage.diff().contains("a.log"), "{}", stage.diff());
}

#[test]
fn another_configuration_makes_another_result() {
    let stage = Stage::new(&plugins("*.log"));
    let is_known = |plugins: &[String]| {
        stage.configure(plugins);
        let output = stage.tool(&["write a.log 1", "write b 1"]).run();
        output.assert_code(0);
        output.stderr().contains("1 known from the cache")
    };
    let mut reversed = plugins("*.log");
    reversed.reverse();
    let mut with_rights = plugins("*.log");
    with_rights[0] += "grants = { network = true }\n";
    let without: &[String] = &[];
    for (what, plugins) in [
        ("at first", &plugins("*.log")[..]),
        ("another configuration", &plugins("*.txt")),
        ("another order", &reversed),
        ("other rights", &with_rights),
        ("fewer", &plugins("*.log")[..1]),
        ("another component", &[others("gate", "{}")]),
        ("none", without),
    ] {
        assert!(!is_known(plugins), "{what}");
        assert!(is_known(plugins), "{what}, again");
    }
    // Names are for people.
    let mut renamed = plugins("*.log");
    renamed[0] = renamed[0].replace("gate", "other");
    assert!(is_known(&renamed), "another name");
}

#[test]
fn a_result_without_a_plugin_that_failed_is_not_kept() {
    let failing = |function: &str| {
        others(
            "fails",
            &format!("{{ fail = {function:?}, outputs = {{ a = \"b\" }} }}"),
        ) + "on-failure = \"skip\"\n"
    };
    for function in ["prepare", "filter", "derive-outputs"] {
        let stage = Stage::new(&[failing(function)]);
        for _ in 0..2 {
            let output = stage.tool(&["write a 1", "write b 1"]).run();
            output.assert_code(0);
            let stderr = output.stderr();
            assert!(!stderr.contains("from the cache"), "{function}: {stderr}");
        }
    }
    // A diff is processed again, so it is kept.
    let stage = Stage::new(&[failing("process")]);
    stage.tool(&["write a 1"]).run().assert_code(0);
    let again = stage.tool(&["write a 1"]).run();
    assert_says(&again.stderr(), &["1 known from the cache", "passed over"]);
}
