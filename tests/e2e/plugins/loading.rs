//! Configurations that do not work are told before anything runs.

use capstan_tests::Output;

use super::stage::{Stage, policy, table};

/// Runs with this settings file, which must end the run before anything of it is done.
#[track_caller]
fn refused(stage: &Stage, settings: &str) -> Output {
    stage.world.write("capstan.toml", settings);
    let output = stage.tool(&["write new 1"]).run();
    output.assert_code(2);
    assert_eq!(stage.log(), "");
    assert_eq!(stage.diff(), "");
    output
}

#[test]
fn unknown_keys_are_warnings_with_a_suggestion() {
    let stage = Stage::new(&[policy("gate", "{}")
        + "onfailure = \"refuse\"\ngrants = { netwrok = true }\nlimits = { mem = \"64MiB\" }\n"]);
    let output = stage.tool(&["version"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stderr(), @"");
}

#[test]
fn wrong_values_name_the_line() {
    let stage = Stage::new(&[]);
    for (text, expected) in [
        (
            "name = \"x\"",
            "the plugin \"x\" needs a source: a path, https://... or oci://...",
        ),
        ("source = \"x.wasm\"", "a plugin needs a name"),
        (
            "name = \"X\"\nsource = \"x.wasm\"",
            "lower-case letters, digits and hyphens",
        ),
        (
            "name = \"x\"\nsource = \"x.wasm\"\non-failure = \"ignore\"",
            "it has to be \"refuse\" or \"skip\"",
        ),
        (
            "name = \"x\"\nsource = \"x.wasm\"\nlimits = { memory = \"much\" }",
            "memory = \"much\"",
        ),
    ] {
        let output = refused(&stage, &format!("[[plugin]]\n{text}\n"));
        let stderr = output.stderr();
        assert!(
            stderr.starts_with("error: $WORLD/work/capstan.toml:"),
            "{stderr}"
        );
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn a_source_that_is_not_there_is_told() {
    let stage = Stage::new(&[]);
    insta::assert_snapshot!(refused(&stage, &table("gate", "gone.wasm".as_ref(), "{}")), @"");
    insta::assert_snapshot!(refused(&stage, &table("gate", "widgets".as_ref(), "{}")), @"");
    let none = stage
        .tool(&["version"])
        .args(["--plugins", "gone.toml"])
        .run();
    insta::assert_snapshot!(none, @"");
}

#[test]
fn what_is_no_plugin_is_told() {
    let stage = Stage::new(&[]);
    stage.world.write("text.wasm", "not wasm");
    stage.world.write("module.wasm", b"\0asm\x01\0\0\0");
    insta::assert_snapshot!(refused(&stage, &table("gate", "text.wasm".as_ref(), "{}")), @"");
    insta::assert_snapshot!(refused(&stage, &table("gate", "module.wasm".as_ref(), "{}")), @"");
    // A step is a component, too, but no plugin.
    insta::assert_snapshot!(refused(&stage, &table("gate", "tool.wasm".as_ref(), "{}")), @"");
}

#[test]
fn another_digest_is_told() {
    let stage = Stage::new(&[]);
    let digest = format!("digest = \"sha256:{}\"\n", "0a".repeat(32));
    insta::assert_snapshot!(refused(&stage, &(policy("gate", "{}") + &digest)), @"");
}

#[test]
fn a_workspace_plugin_without_rights_is_told() {
    let stage = Stage::new(&[]);
    let plugin = capstan_tests::official_plugin("workspace-files");
    insta::assert_snapshot!(refused(&stage, &table("files", &plugin, "{}")).stderr(), @"");
}

#[test]
fn a_run_downloads_nothing_that_is_not_pinned() {
    let stage = Stage::new(&[]);
    insta::assert_snapshot!(refused(&stage, &table("gate", "oci://127.0.0.1:1/policies/gate:1.2".as_ref(), "{}")), @"");
    insta::assert_snapshot!(refused(&stage, &table("gate", "https://127.0.0.1:1/gate.wasm".as_ref(), "{}")), @"");
}

#[test]
fn validate_says_nothing_of_plugins() {
    // Whoever writes a spec need not have the operator's plugins.
    let stage = Stage::new(&[table("gate", "gone.wasm".as_ref(), "{}")]);
    stage.world.write(
        "spec.yaml",
        crate::scene::spec(&super::stage::steps(&["version"])),
    );
    let output = stage
        .world
        .capstan(["batch", "validate", "-f", "spec.yaml"])
        .run();
    output.assert_code(0);
}
