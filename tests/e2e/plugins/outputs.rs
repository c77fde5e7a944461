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
    insta::assert_snapshot!(stage.log(), @r#"
    [Step 1] run: "cat /tmp/0", container: "wasm://./tool.wasm"
    stdout | loading 100%
    stdout | red
    [Step 1] complete
    [Step 2] run: "write said '17 bytes'", container: "wasm://./tool.wasm"
    stdout | said: written
    [Step 2] complete
    "#);
    insta::assert_snapshot!(stage.diff(), @"
    diff --git said said
    new file mode 100644
    index 0000000..aa26baa
    --- /dev/null
    +++ said
    @@ -0,0 +1 @@
    +17 bytes
    ");
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
    let stage = Stage::new(std::slice::from_ref(&plugin));
    let steps = prints(&["no JSON\n"], json!({})) + &writes("x");
    let output = stage.yaml(&steps).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @r#"
    ✗ widgets: step 1 refused
      refused, as the plugin json-outputs failed in output.derive-outputs: step 1: no line that it printed is a JSON object (input)
    hint: mend or update the plugin json-outputs, or its configuration; on-failure = "skip" has runs go on without it
    "#);
    stage.configure(&[plugin + "on-failure = \"skip\"\n"]);
    let output = stage.yaml(&steps).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/2: cat /tmp/0
    [widgets] step 1/2: plugin json-outputs: passed over: the plugin json-outputs failed in output.derive-outputs: step 1: no line that it printed is a JSON object (input)
    [widgets] step 2/2: write said 'x'
    [widgets] step 2/2: plugin json-outputs: passed over: the plugin json-outputs failed in output.derive-outputs: step 2: no line that it printed is a JSON object (input)
    [widgets] done
    widgets: branch test
      said | 1 +
      1 file changed, 1 insertion(+)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    ");
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
    insta::assert_snapshot!(output.stderr(), @r#"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: cat /tmp/0 /tmp/1 /tmp/2 /tmp/3
    [widgets] step 1/1: plugin fails: passed over: the plugin fails failed in output.filter.push: there is "3" (asked-to)
    [widgets] done, nothing changed
    widgets: nothing changed
    wrote out/changesets.json
    1 workspace: 1 done; 0 changesets; <time>
    "#);
    insta::assert_snapshot!(stage.log(), @r#"
    [Plugin first] info: found README.md
    [Plugin fails] info: found README.md
    [Plugin last] info: found README.md
    [Step 1] run: "cat /tmp/0 /tmp/1 /tmp/2 /tmp/3", container: "wasm://./tool.wasm"
    stdout | one
    stdout | 2 one
    [Plugin fails] passed over: the plugin fails failed in output.filter.push: there is "3" (asked-to)
    stdout | 3 last
    stdout | 4 last
    [Step 1] complete
    "#);
    stage.configure(&[failing]);
    let output = stage.yaml(&steps).run();
    output.assert_code(4);
    insta::assert_snapshot!(story(&output), @r#"
    ✗ widgets: step 1 refused
      refused, as the plugin fails failed in output.filter.push: there is "3" (asked-to)
    hint: mend or update the plugin fails, or its configuration; on-failure = "skip" has runs go on without it
    "#);
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
    insta::assert_snapshot!(passed_over.join("\n"), @r#"
    PROGRESS {"act":{"kind":"passedOver","reason":"the plugin at-start failed in output.filter.push: filter was asked to fail (asked-to)"},"plugin":"at-start","step":1,"taskID":"task0"}
    PROGRESS {"act":{"kind":"passedOver","reason":"the plugin at-end failed in output.filter.finish: finish was asked to fail (asked-to)"},"plugin":"at-end","step":1,"taskID":"task0"}
    PROGRESS {"act":{"kind":"passedOver","reason":"the plugin at-end failed in output.filter.finish: finish was asked to fail (asked-to)"},"plugin":"at-end","step":1,"taskID":"task0"}
    PROGRESS {"act":{"kind":"passedOver","reason":"the plugin at-start failed in output.filter.finish: filter was asked to fail (asked-to)"},"plugin":"at-start","step":1,"taskID":"task0"}
    "#);
    insta::assert_snapshot!(stage.log(), @r#"
    [Plugin at-end] info: found README.md
    [Plugin at-start] info: found README.md
    [Step 1] run: "cat /tmp/0 /tmp/1", container: "wasm://./tool.wasm"
    [Plugin at-start] passed over: the plugin at-start failed in output.filter.push: filter was asked to fail (asked-to)
    stdout | y
    [Plugin at-end] passed over: the plugin at-end failed in output.filter.finish: finish was asked to fail (asked-to)
    [Plugin at-end] passed over: the plugin at-end failed in output.filter.finish: finish was asked to fail (asked-to)
    [Plugin at-start] passed over: the plugin at-start failed in output.filter.finish: filter was asked to fail (asked-to)
    stdout | y
    [Step 1] complete
    "#);
}
