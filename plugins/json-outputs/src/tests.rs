use capstan_plugin::test;

use super::*;

fn derived(config: &str, stdout: &str) -> std::result::Result<String, String> {
    test::config(config);
    let step = test::Step {
        number: 3,
        ..test::Step::default()
    };
    let outputs = JsonOutputs::derive_outputs(&step.into(), stdout.as_bytes(), b"{\"stderr\":1}");
    let outputs = outputs.map_err(|error| error.message)?;
    let outputs: Vec<String> = outputs
        .iter()
        .map(|(name, json)| format!("{name}={json}"))
        .collect();
    Ok(outputs.join(" "))
}

#[test]
fn json_is_found_where_it_is_said_to_be() {
    for (config, stdout, outputs) in [
        (
            "{}",
            "text\n{\"a\":1}\n{\"b\":[1,\"x\"]}\nmore\n",
            r#"b=[1,"x"]"#,
        ),
        ("{}", "{\"a\":1}\n{not json}\n", "a=1"),
        ("{}", "  {\"a\":1}\r\n", "a=1"),
        ("{}", "nothing\n", ""),
        (r#"{"stream": "stderr"}"#, "{\"a\":1}\n", "stderr=1"),
        (
            r#"{"from": "marker"}"#,
            "::outputs::{\"a\":1,\"b\":2}\n{\"c\":3}\n::outputs:: {\"b\":4}\n",
            "a=1 b=4",
        ),
        (
            r#"{"from": "marker", "marker": "OUT "}"#,
            "OUT {\"a\":1}",
            "a=1",
        ),
        (r#"{"from": "marker"}"#, "nothing\n", ""),
        (
            r#"{"from": "whole"}"#,
            "{\n  \"a\": {\"b\": null}\n}\n",
            r#"a={"b":null}"#,
        ),
        (r#"{"from": "whole"}"#, " \n", ""),
    ] {
        assert_eq!(
            derived(config, stdout).unwrap(),
            outputs,
            "{config} {stdout}"
        );
    }
}

#[test]
fn values_are_picked_by_their_place() {
    let stdout = r#"{"release": {"tag": "v1", "files": ["a", {"n": 2}]}, "x.y": true}"#;
    let config = r#"{"map": {"version": "release.tag", "n": "release.files.1.n", "flag": "x.y"}}"#;
    assert_eq!(
        derived(config, stdout).unwrap(),
        r#"flag=true n=2 version="v1""#
    );
    assert_eq!(
        derived(r#"{"map": {"v": "release.name"}}"#, stdout).unwrap_err(),
        "step 3: the JSON it printed has nothing at `release.name`"
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    let long = format!("::outputs::{}", "x".repeat(100));
    for (config, stdout, message) in [
        (
            r#"{"from": "marker"}"#,
            "::outputs::[1]",
            "step 3: `[1]` is JSON, but no object".to_owned(),
        ),
        (
            r#"{"from": "marker"}"#,
            &long,
            format!(
                "step 3: `{}...` is no JSON: expected value at line 1 column 1",
                "x".repeat(60)
            ),
        ),
        (
            r#"{"required": true}"#,
            "text\n",
            "step 3: no line that it printed is a JSON object".to_owned(),
        ),
        (
            r#"{"required": true, "from": "marker"}"#,
            "text\n",
            "step 3: no line that it printed begins with `::outputs::`".to_owned(),
        ),
        (
            r#"{"form": "marker"}"#,
            "",
            "the configuration is not understood at `form`: unknown field `form`, expected one of `from`, `marker`, `stream`, `map`, `required`".to_owned(),
        ),
    ] {
        assert_eq!(derived(config, stdout).unwrap_err(), message);
    }
}
