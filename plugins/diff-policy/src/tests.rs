use capstan_plugin::test;

use super::*;

fn modified(path: &str, added: &[&str]) -> String {
    let count = added.len();
    let mut text = format!(
        "diff --git {path} {path}\nindex 1..2 100644\n--- {path}\n+++ {path}\n@@ -9 +9,{count} @@\n-gone\n"
    );
    for line in added {
        text.push_str(&format!("+{line}\n"));
    }
    text
}

fn refusal(config: &str, diff: &str) -> Option<Refusal> {
    test::config(config);
    match DiffPolicy::check_diff(&test::Job::default().into(), &test::changes(diff)).unwrap() {
        Verdict::Keep => None,
        Verdict::Refuse(refusal) => Some(refusal),
    }
}

#[test]
fn limits_are_kept() {
    let diff = modified("a", &["1", "2"]) + &modified("b", &["1"]);
    for (config, expected) in [
        ("{}", None),
        (
            r#"{"max-files": 2, "max-added": 3, "max-removed": 2}"#,
            None,
        ),
        (
            r#"{"max-files": 1}"#,
            Some("the diff touches 2 files; at most 1 are allowed"),
        ),
        (
            r#"{"max-added": 2}"#,
            Some("the diff adds 3 lines; at most 2 are allowed"),
        ),
        (
            r#"{"max-removed": 1}"#,
            Some("the diff removes 2 lines; at most 1 are allowed"),
        ),
        (
            r#"{"max-file-bytes": 70}"#,
            Some("the diff of a has 71 bytes; at most 70 are allowed"),
        ),
    ] {
        let refusal = refusal(config, &diff);
        assert_eq!(refusal.as_ref().map(|r| r.reason.as_str()), expected);
    }
}

#[test]
fn protected_paths_are_kept() {
    let config = r#"{"protected": [".github/", "*.key"], "unprotected": ["/.github/labels.yml"]}"#;
    assert_eq!(refusal(config, &modified("src/a.rs", &["x"])), None);
    assert_eq!(
        refusal(config, &modified(".github/labels.yml", &["x"])),
        None
    );
    assert_eq!(
        refusal(config, &modified(".github/workflows/ci.yml", &["x"])).unwrap(),
        refuse(
            "protected-path",
            ".github/workflows/ci.yml is protected: batch changes must leave it as it is"
        )
        .with("path", ".github/workflows/ci.yml")
        .with("pattern", ".github/")
    );
    // Renaming it away is touching it.
    let renamed =
        "diff --git a.key b.txt\nsimilarity index 100%\nrename from a.key\nrename to b.txt\n";
    assert_eq!(refusal(config, renamed).unwrap().rule, "protected-path");
}

#[test]
fn secrets_do_not_leave() {
    let key = "-----BEGIN PRIVATE ".to_owned() + "KEY-----";
    let diff = modified("deploy/id", &["first", &key]);
    assert_eq!(
        refusal("{}", &diff).unwrap(),
        refuse(
            "secret-private-key",
            "deploy/id, line 10, adds what looks like a private key (-----BEGIN PRIVATE KEY-----): take it out, and replace it where it is in use"
        )
        .with("path", "deploy/id")
        .with("line", 10)
    );
    assert_eq!(refusal(r#"{"secrets": false}"#, &diff), None);
    assert_eq!(
        refusal(r#"{"secrets-allowed-in": ["deploy/"]}"#, &diff),
        None
    );

    let gone =
        format!("diff --git a a\nindex 1..2 100644\n--- a\n+++ a\n@@ -1 +1 @@\n-{key}\n+x\n");
    assert_eq!(refusal("{}", &gone), None);
}

#[test]
fn random_values_are_looked_for_if_wanted() {
    let diff = modified("a.py", &["API_KEY = 'q8ZfT2xW9vLk4RnB7sYd1HcJ'"]);
    assert_eq!(refusal("{}", &diff), None);
    let refusal = refusal(r#"{"high-entropy": true}"#, &diff).unwrap();
    assert_eq!(refusal.rule, "secret-high-entropy");
    assert!(!refusal.reason.contains("q8Zf"));
}
