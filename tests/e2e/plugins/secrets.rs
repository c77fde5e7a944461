//! Secrets are taken out of all that people see, after plugins had their say; never out of results.

use capstan_tests::Output;
use serde_json::json;

use super::stage::{Stage, official, others, policy};
use crate::scene::assert_says;

const SECRET: &str = "hunter2/+swordfish";
/// In base64, by itself and behind `user:`, and percent-encoded.
const SPELLINGS: [&str; 4] = [
    SECRET,
    "aHVudGVyMi8rc3dvcmRmaXNo",
    "dXNlcjpodW50ZXIyLytzd29yZGZpc2g=",
    "hunter2%2F%2Bswordfish",
];

/// Steps of which one prints the texts, and the next one writes what it printed into a file.
fn steps(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let printing = json!({
        "container": "wasm://./tool.wasm",
        "run": format!("say {}", words.join(" ")),
        "env": ["TOKEN"],
        "outputs": {"said": {"value": "${{ step.stdout }}"}},
    });
    let writing =
        json!({"container": "wasm://./tool.wasm", "run": "write said '${{ outputs.said }}'"});
    format!("  - {printing}\n  - {writing}\n")
}

/// Asserts that no text of a run has the secret in any spelling.
#[track_caller]
fn assert_clean(stage: &Stage, output: &Output, spellings: &[&str]) {
    for text in [output.stderr(), stage.log()] {
        for spelling in spellings {
            assert!(!text.contains(spelling), "{spelling} is in\n{text}");
        }
        assert!(text.contains("********"), "{text}");
    }
}

#[test]
fn every_spelling_is_masked_for_people_and_kept_in_results() {
    for spelling in SPELLINGS {
        let stage = Stage::new(&[]);
        let steps = steps(&["a ", spelling, " b"]);
        let output = stage.yaml(&steps).arg("-v").env("TOKEN", SECRET).run();
        output.assert_code(0);
        // What stands before and after it in base64 may be left.
        assert_clean(&stage, &output, &[&spelling[8..spelling.len() - 4]]);
        assert_says(&stage.diff(), &[&format!("+a {spelling} b\n")]);
    }
}

#[test]
fn a_secret_in_pieces_is_masked() {
    let stage = Stage::new(&[]);
    let pieces: Vec<String> = SECRET.chars().map(String::from).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let output = stage
        .yaml(&steps(&pieces))
        .arg("-v")
        .env("TOKEN", SECRET)
        .run();
    output.assert_code(0);
    assert_clean(&stage, &output, &[SECRET, "swordfish"]);
    assert_says(&stage.diff(), &[&format!("+{SECRET}\n")]);
}

#[test]
fn a_secret_that_a_filter_uncovers_is_masked() {
    let stage = Stage::new(&[
        official("ansi-strip", "{}"),
        others(
            "uncovers",
            r#"{ replace = ["REVERSED", "hunter2/+swordfish"] }"#,
        ),
    ]);
    let hidden = SECRET.replace("sword", "\u{1b}[0msword\u{1b}[1m");
    let step = json!({
        "container": "wasm://./tool.wasm",
        "run": "cat /tmp/hidden",
        "files": {"/tmp/hidden": format!("{hidden} and REVERSED")},
        "env": ["TOKEN"],
    });
    let writes =
        "  - container: wasm://./tool.wasm\n    run: write said '${{ previous_step.stdout }}'\n";
    let output = stage
        .yaml(&format!("  - {step}\n{writes}"))
        .arg("-v")
        .env("TOKEN", SECRET)
        .run();
    output.assert_code(0);
    assert_clean(&stage, &output, &[SECRET, "swordfish"]);
    assert_says(&stage.log(), &["stdout | ******** and ********"]);
    assert_says(&stage.diff(), &[&format!("+{SECRET} and {SECRET}\n")]);
}

#[test]
fn events_are_masked_and_results_in_them_are_not() {
    let stage = Stage::new(&[
        policy("gate", r#"{ say = "I saw hunter2/+swordfish" }"#),
        others("notes", r#"{ annotate = "hunter2/+swordfish" }"#),
    ]);
    let output = stage
        .yaml(&steps(&[SECRET]))
        .args(["--format", "json"])
        .env("TOKEN", SECRET)
        .run();
    output.assert_code(0);
    let mut results = 0;
    for line in output.stdout().lines() {
        let is_result =
            line.contains(r#""operation":"TASK_STEP""#) && line.contains(r#""status":"SUCCESS""#);
        results += usize::from(is_result);
        assert_eq!(line.contains("swordfish"), is_result, "{line}");
    }
    assert_eq!(results, 2, "{output}");
    assert_says(
        &output.stdout(),
        &[r#""out":"stdout: ********\n""#, r#""message":"********""#],
    );
    assert_says(
        &stage.log(),
        &["[Plugin gate] warning: check-job: I saw ********\n"],
    );
}

#[test]
fn what_a_refusal_says_is_masked() {
    let config = r#"{ allow = [], wasm = ["./tool.wasm"] }"#;
    let stage = Stage::new(&[official("image-policy", config)]);
    let step =
        |container: &str| json!({"container": container, "run": "version", "env": ["TOKEN"]});
    let steps = [
        step("wasm://./tool.wasm"),
        step(&format!("wasm://./{SECRET}.wasm")),
    ];
    let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    let output = stage.yaml(&steps).env("TOKEN", SECRET).run();
    output.assert_code(4);
    assert_clean(&stage, &output, &["swordfish"]);
}

#[test]
fn secrets_by_name_and_by_grant() {
    let granted = others("granted", "{}").replace(
        "workspace = \"write\"",
        "workspace = \"write\", env = [\"GRANTED\"]",
    );
    let stage = Stage::new(&["secrets = [\"NAMED\"]\n".to_owned(), granted]);
    let output = stage
        .tool(&["say 'first-secret and second-secret and third-secret'"])
        .env("NAMED", "first-secret")
        .env("GRANTED", "second-secret")
        .env("NEITHER", "third-secret")
        .run();
    output.assert_code(0);
    assert_says(
        &stage.log(),
        &["stdout | ******** and ******** and third-secret"],
    );
}
