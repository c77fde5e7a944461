//! Plugins that are only watched: what they would have done is told, and nothing else happens.

use super::stage::{Stage, official, others, plugin_events, policy};
use crate::scene::assert_says;

/// Plugins of which each says "no" in its own way.
fn refusing() -> Vec<String> {
    vec![
        policy(
            "gate",
            r#"{ refuse = "check-job", change = { by = "check-step", set = { ADDED = "x" } } }"#,
        ),
        policy("crash", r#"{ crash = "check-step" }"#),
        official("diff-policy", r#"{ protected = ["/new"] }"#),
        others("diffs", r#"{ refuse = "process" }"#),
        others("fails", r#"{ fail = "derive-outputs" }"#),
    ]
}

#[test]
fn audit_for_all_only_tells() {
    let stage = Stage::new(&refusing());
    let output = stage.tool(&["show", "write new 1"]).arg("--audit").run();
    output.assert_code(0);
    insta::assert_snapshot!(output, @"");
    // The change of the policy was not made.
    let log = stage.log();
    assert!(!log.contains("ADDED"), "{log}");
    assert_says(
        &log,
        &[
            "[Plugin gate] audit, would have been refused by the plugin gate (asked-to): check-job was asked to refuse",
        ],
    );
    assert_says(&stage.diff(), &["+++ new\n"]);

    let command = stage.tool(&["show", "write new 1"]);
    command
        .env("CAPSTAN_PLUGINS_AUDIT", "true")
        .run()
        .assert_code(0);
    stage.tool(&["show", "write new 1"]).run().assert_code(4);
}

#[test]
fn audit_of_one_plugin_leaves_the_others() {
    let audited = policy("watched", r#"{ refuse = "check-job" }"#) + "audit = true\n";
    let stage = Stage::new(&[audited, policy("gate", r#"{ refuse = "check-diff" }"#)]);
    let output = stage
        .tool(&["write new 1"])
        .args(["--format", "json"])
        .run();
    output.assert_code(4);
    let events: Vec<_> = plugin_events(&output)
        .into_iter()
        .map(|(status, metadata)| format!("{status} {metadata}"))
        .collect();
    insta::assert_snapshot!(events.join("\n"), @"");
}
