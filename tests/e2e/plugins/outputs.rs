//! Plugins that filter what steps print, and that derive outputs from it.

use serde_json::{Value, json};

use super::stage::{Stage, official, others, plugin_events};
use crate::scene::{assert_says, spec, story};

/// The text of a spec's step that prints these texts, one after the other, and has these outputs.
fn prints(texts: &[&str], outputs: Value) -> String {
    let files = texts.iter().enumerate();
    let files: serde_json::Map<_, _> = files
        .map(|(index, text)| (format!("/tmp/{index}"), json!(text)))
        .collect();
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let step = json!({
        "container": "wasm://./tool.wasm",
        "run": format!("cat {}", names.join(" ")),
        "files": files,
        "outputs": outputs,
    });
    format!("  - {step}\n")
}

/// A step that writes the file `said` with this text.
fn writes(text: &str) -> String {
    let step = json!({"container": "wasm://./tool.wasm", "run": format!("write said '{text}'")});
    format!("  - {step}\n")
}

#[test]
fn colours_are_taken_out_of_log_terminal_and_outputs() {
    let stage = Stage::new(&[official("ansi-strip", "{}")]);
    let coloured = "loading 10%\rloading 100%\n\u{1b}[1;31mred\u{1b}[0m\n";
    let outputs = json!({"said": {"value": "${{ len step.stdout }} bytes"}});
    let steps = prints(&[coloured], outputs) + &writes("${{ outputs.said }}");
    let output = stage.yaml(&steps).arg("-v").run();
    output.assert_code(0);
    assert_says(
        &output.stderr(),
        &["[widgets] | loading 100%\n", "[widgets] | red\n"],
    );
    insta::assert_snapshot!(stage.log(), @"");
    insta::assert_snapshot!(stage.diff(), @"");
}

#[test]
fn outputs_are_derived_for_later_steps_and_the_changeset() {
    let stage = Stage::new(&[official(
        "json-outputs",
        r#"{ map = { version = "release.tag", first = "files.0" } }"#,
    )]);
    let report = r#"{"release": {"tag": "1.2.3"}, "files": ["a", "b"]}"#;
    // What the step itself declares wins.
    let declared = json!({"first": {"value": "declared"}});
    let steps = prints(&["working\n", report, "\n"], declared)
        + &writes("${{ outputs.version }} ${{ outputs.first }}");
    let spec = spec(&steps).replace("title: Test", "title: Release ${{ outputs.version }}");
    stage.spec(&spec).arg("widgets").run().assert_code(0);
    assert_says(&stage.diff(), &["+1.2.3 declared\n"]);
    assert_eq!(stage.world.changesets("out")[0]["title"], "Release 1.2.3");
}

#[test]
fn outputs_that_cannot_be_derived_refuse_unless_they_may_be_passed_over() {
    let plugin = official("json-outputs", "{ required = true }");
    let stage = Stage::new(&[plugin.clone()]);
    let steps = prints(&["no JSON\n"], json!({})) + &writes("x");
    let output = stage.yaml(&steps).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
    stage.configure(&[plugin + "on-failure = \"skip\"\n"]);
    let output = stage.yaml(&steps).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"");
}

#[test]
fn filters_are_chained_and_one_that_fails_may_be_passed_over() {
    let failing = others("fails", r#"{ replace = ["1", "one"], fail-at = "3" }"#);
    let stage = Stage::new(&[
        others("first", r#"{ replace = ["x", "1"] }"#),
        failing.clone() + "on-failure = \"skip\"\n",
        others("last", r#"{ replace = ["1", "last"] }"#),
    ]);
    let steps = prints(&["x\n", "2 x\n", "3 x\n", "4 x"], json!({}));
    let output = stage.yaml(&steps).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"");
    insta::assert_snapshot!(stage.log(), @"");
    stage.configure(&[failing]);
    let output = stage.yaml(&steps).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @"");
}

#[test]
fn a_filter_that_cannot_end_or_begin_is_passed_over_with_what_it_has_given() {
    let at_end = others("at-end", r#"{ replace = ["x", "y"], fail = "finish" }"#);
    let at_start = others("at-start", r#"{ fail = "filter" }"#);
    let skip = "on-failure = \"skip\"\n";
    let stage = Stage::new(&[at_end + skip, at_start + skip]);
    let output = stage
        .yaml(&prints(&["x\n", "x"], json!({})))
        .args(["--format", "json"])
        .run();
    output.assert_code(0);
    let events = plugin_events(&output);
    let passed_over: Vec<_> = events
        .iter()
        .map(|(status, event)| format!("{status} {event}"))
        .collect();
    insta::assert_snapshot!(passed_over.join("\n"), @"");
    insta::assert_snapshot!(stage.log(), @"");
}
