//! Configurations that do not work are told before anything runs.

use capstan_tests::Output;

use super::stage::{Stage, policy, steps, table};
use crate::scene::assert_says;

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
    insta::assert_snapshot!(output.stderr(), @r#"
    warning: $WORLD/work/capstan.toml:5: unknown key "onfailure" of the plugin "gate" is ignored; did you mean "on-failure"?
    warning: $WORLD/work/capstan.toml:6: unknown key "netwrok" of the grants of the plugin "gate" is ignored; did you mean "network"?
    warning: $WORLD/work/capstan.toml:7: unknown key "mem" of the limits of the plugin "gate" is ignored
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: version
    [widgets] done, nothing changed
    widgets: nothing changed
    wrote out/changesets.json
    1 workspace: 1 done; 0 changesets; <time>
    "#);
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
    insta::assert_snapshot!(refused(&stage, &table("gate", "gone.wasm".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: failed to open file `$WORLD/work/gone.wasm`: No such file or directory (os error 2)
    --- exit 2
    ");
    insta::assert_snapshot!(refused(&stage, &table("gate", "widgets".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: failed to read from file `$WORLD/work/widgets`: Is a directory (os error 21)
    --- exit 2
    ");
    let none = stage
        .tool(&["version"])
        .args(["--plugins", "gone.toml"])
        .run();
    insta::assert_snapshot!(none, @"
    --- stderr
    error: reading the settings file: failed to open file `$WORLD/work/gone.toml`: No such file or directory (os error 2)
    --- exit 2
    ");
}

#[test]
fn what_is_no_plugin_is_told() {
    let stage = Stage::new(&[]);
    stage.world.write("text.wasm", "not wasm");
    stage.world.write("module.wasm", b"\0asm\x01\0\0\0");
    insta::assert_snapshot!(refused(&stage, &table("gate", "text.wasm".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: $WORLD/work/text.wasm: it is not WebAssembly
    --- exit 2
    ");
    insta::assert_snapshot!(refused(&stage, &table("gate", "module.wasm".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: $WORLD/work/module.wasm: it is a core module and not a component: build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`
    --- exit 2
    ");
    // A step is a component, too, but no plugin.
    insta::assert_snapshot!(refused(&stage, &table("gate", "tool.wasm".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: it has none of the hooks policy, workspace, output and diff
    hint: a component that is a command can be a step: container: wasm://...
    --- exit 2
    ");
}

#[test]
fn another_digest_is_told() {
    let stage = Stage::new(&[]);
    let plugin = std::fs::read(capstan_tests::probe_plugin("policy")).expect("it was built");
    stage.world.write("gate.wasm", plugin);
    let table = table("gate", "gate.wasm".as_ref(), "{}");
    let digest = format!("digest = \"sha256:{}\"\n", "0a".repeat(32));
    insta::assert_snapshot!(refused(&stage, &(table + &digest)), @"
    --- stderr
    error: the plugin gate cannot be used: $WORLD/work/gate.wasm has changed: it is sha256:<digest>, and the configuration wants sha256:<digest>
    hint: if that is as it should be, correct the digest in capstan.toml
    --- exit 2
    ");
}

#[test]
fn a_workspace_plugin_without_rights_is_told() {
    let stage = Stage::new(&[]);
    let plugin = capstan_tests::official_plugin("workspace-files");
    insta::assert_snapshot!(refused(&stage, &table("files", &plugin, "{}")).stderr(), @r#"
    error: the plugin files cannot be used: it prepares workspaces, and is not granted to see them
    hint: add grants = { workspace = "write" } if you trust it with them
    "#);
}

#[test]
fn a_run_downloads_nothing_that_is_not_pinned() {
    let stage = Stage::new(&[]);
    insta::assert_snapshot!(refused(&stage, &table("gate", "oci://127.0.0.1:1/policies/gate:1.2".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: oci://127.0.0.1:<port>/policies/gate:1.2 is not locked: $WORLD/work/capstan.lock does not say which bytes it stands for
    hint: look at it and lock it with `capstan plugin pull oci://127.0.0.1:<port>/policies/gate:1.2`
    --- exit 2
    ");
    insta::assert_snapshot!(refused(&stage, &table("gate", "https://127.0.0.1:1/gate.wasm".as_ref(), "{}")), @"
    --- stderr
    error: the plugin gate cannot be used: https://127.0.0.1:<port>/gate.wasm is not locked: $WORLD/work/capstan.lock does not say which bytes it stands for
    hint: look at it and lock it with `capstan plugin pull https://127.0.0.1:<port>/gate.wasm`
    --- exit 2
    ");
}

#[test]
fn specs_are_validated_without_their_plugins() {
    let stage = Stage::new(&[]);
    let spec = crate::scene::spec(&steps(&["version", "write x ${{ outputs.derived }}"]));
    stage.world.write("spec.yaml", spec);
    let validate = || {
        stage
            .world
            .capstan(["batch", "validate", "spec.yaml"])
            .run()
    };
    let without = validate();
    without.assert_code(2);
    assert_says(&without.stderr(), &["map has no entry for key \"derived\""]);
    // Whoever writes a spec need not have the component, only know that there is one.
    stage.configure(&[table("outputs", "gone.wasm".as_ref(), "{}")]);
    validate().assert_code(0);
    let render = ["batch", "render", "-f", "spec.yaml", "widgets"];
    let rendered = stage.world.capstan(render).run();
    rendered.assert_code(0);
    assert_says(&rendered.stdout(), &["${{ outputs.derived }}"]);
}
