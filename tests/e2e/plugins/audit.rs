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
    // What of all that is said about the first step, but for the crash.
    let stderr = output.stderr();
    let told = stderr
        .lines()
        .filter(|line| line.contains(": audit, ") || line.contains("would have changed"));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    [widgets] plugin gate: audit, would have been refused by the plugin gate (asked-to): check-job was asked to refuse
    [widgets] step 1/2: plugin gate: would have changed: variable ADDED set
    [widgets] step 1/2: plugin crash: audit, would have been refused, as the plugin crash failed in policy.check-step: it crashed: it panicked, or aborted, in probe::config::Config::of < probe::policy::decide < capstan:plugin/policy@0.1.0#check-step
    [widgets] step 1/2: plugin fails: audit, would have been refused, as the plugin fails failed in output.derive-outputs: derive-outputs was asked to fail (asked-to)
    [widgets] step 2/2: plugin gate: would have changed: variable ADDED set
    [widgets] step 2/2: plugin crash: audit, would have been refused, as the plugin crash failed in policy.check-step: it crashed: it panicked, or aborted, in probe::config::Config::of < probe::policy::decide < capstan:plugin/policy@0.1.0#check-step
    [widgets] step 2/2: plugin diffs: audit, would have been refused by the plugin diffs (asked-to): process was asked to refuse
    [widgets] step 2/2: plugin diff-policy: audit, would have been refused by the plugin diff-policy (protected-path): new is protected: batch changes must leave it as it is
    [widgets] step 2/2: plugin fails: audit, would have been refused, as the plugin fails failed in output.derive-outputs: derive-outputs was asked to fail (asked-to)
    ");
    assert_says(&stderr, &["1 workspace: 1 done; 1 changeset"]);
    // The change of the policy was not made.
    let log = stage.log();
    assert!(log.contains("stdout | []\n"), "{log}");
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
    insta::assert_snapshot!(events.join("\n"), @r#"
    PROGRESS {"act":{"audit":true,"details":[["function","check-job"]],"kind":"refused","reason":"check-job was asked to refuse","rule":"asked-to"},"plugin":"watched","taskID":"task0"}
    FAILURE {"act":{"audit":false,"details":[["function","check-diff"]],"kind":"refused","reason":"check-diff was asked to refuse","rule":"asked-to"},"plugin":"gate","step":1,"taskID":"task0"}
    "#);
}
