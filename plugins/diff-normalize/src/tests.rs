use capstan_plugin::test;

use super::*;

fn processed(config: &str, diff: &str) -> String {
    test::config(config);
    let processed = test::process::<DiffNormalize>(test::Job::default(), diff).unwrap();
    assert_eq!(processed.outcome, Outcome::Done);
    String::from_utf8(processed.diff).unwrap()
}

fn modified(path: &str, hunk: &str) -> String {
    format!("diff --git {path} {path}\nindex 1..2 100644\n--- {path}\n+++ {path}\n{hunk}")
}

fn added(path: &str, hunk: &str) -> String {
    format!(
        "diff --git {path} {path}\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ {path}\n{hunk}"
    )
}

#[test]
fn added_lines_are_evened_out_and_others_left() {
    let diff = modified("a.c", "@@ -1,5 +1,5 @@\n a \n-b \n+x \t\n c\n d\n e\n");
    assert_eq!(
        processed("{}", &diff),
        modified("a.c", "@@ -1,5 +1,5 @@\n a \n-b \n+x\n c\n d\n e\n")
    );
}

#[test]
fn line_endings_match_those_around() {
    // A tool has turned a whole file's line endings around, and changed one line.
    let diff = modified(
        "a.c",
        "@@ -1,4 +1,5 @@\n-a\r\n-b\r\n-c\r\n-d\r\n+a\n+b\n+x\n+y\n+d\n",
    );
    assert_eq!(
        processed("{}", &diff),
        modified(
            "a.c",
            "@@ -1,4 +1,5 @@\n a\r\n b\r\n-c\r\n+x\r\n+y\r\n d\r\n"
        )
    );
    assert_eq!(processed(r#"{"line-endings": "keep"}"#, &diff), diff);
    assert_eq!(processed(r#"{"line-endings": "lf"}"#, &diff), diff);
}

#[test]
fn line_endings_can_be_demanded() {
    let diff = added("run.bat", "@@ -0,0 +1,2 @@\n+a\n+b\r\n");
    assert_eq!(processed("{}", &diff), diff);
    let config = r#"{"overrides": [{"paths": ["*.bat"], "line-endings": "crlf"}]}"#;
    let crlf = added("run.bat", "@@ -0,0 +1,2 @@\n+a\r\n+b\r\n");
    assert_eq!(processed(config, &diff), crlf);
    let lf = added("run.bat", "@@ -0,0 +1,2 @@\n+a\n+b\n");
    assert_eq!(processed(r#"{"line-endings": "lf"}"#, &diff), lf);
}

#[test]
fn the_end_of_a_file_is_evened_out() {
    let none = "\\ No newline at end of file\n";
    for (before, after) in [
        (
            added("a", "@@ -0,0 +1,4 @@\n+a\n+\n+ \n+\n"),
            added("a", "@@ -0,0 +1 @@\n+a\n"),
        ),
        (
            added("a", &format!("@@ -0,0 +1 @@\n+a\n{none}")),
            added("a", "@@ -0,0 +1 @@\n+a\n"),
        ),
        // Nothing but blank lines is meant to be.
        (
            added("a", "@@ -0,0 +1,2 @@\n+\n+\n"),
            added("a", "@@ -0,0 +1,2 @@\n+\n+\n"),
        ),
        // Both ways of ending: what was there stays.
        (
            modified("a", &format!("@@ -1 +1 @@\n-a\n+a\n{none}")),
            String::new(),
        ),
        (
            modified("a", &format!("@@ -1 +1 @@\n-a\n{none}+b\n{none}")),
            modified("a", &format!("@@ -1 +1 @@\n-a\n{none}+b\n")),
        ),
        // In the middle of a file blank lines stay.
        (
            modified("a", "@@ -1,3 +1,5 @@\n+x\n+\n a\n b\n c\n"),
            modified("a", "@@ -1,3 +1,5 @@\n+x\n+\n a\n b\n c\n"),
        ),
        (modified("a", "@@ -1 +1,2 @@\n a\n+\n"), String::new()),
    ] {
        assert_eq!(processed("{}", &before), after, "{before}");
    }
}

#[test]
fn rules_are_chosen_by_path() {
    let hunk = "@@ -0,0 +1 @@\n+a  \n";
    let evened = "@@ -0,0 +1 @@\n+a\n";
    for (config, path, hunk_after) in [
        ("{}", "a.md", hunk),
        ("{}", "x/a.patch", hunk),
        ("{}", "a.rs", evened),
        (r#"{"except": ["*.rs"]}"#, "a.rs", hunk),
        (r#"{"trailing-blanks": false}"#, "a.rs", hunk),
        (
            r#"{"overrides": [{"paths": ["*.md"], "trailing-blanks": true}]}"#,
            "a.md",
            evened,
        ),
    ] {
        let diff = added(path, hunk);
        assert_eq!(
            processed(config, &diff),
            added(path, hunk_after),
            "{config}"
        );
    }
}

#[test]
fn links_and_deleted_files_are_left_alone() {
    let link = "diff --git a a\nnew file mode 120000\nindex 0..1\n--- /dev/null\n+++ a\n@@ -0,0 +1 @@\n+target \n\\ No newline at end of file\n";
    assert_eq!(processed("{}", link), link);
    let gone = "diff --git a a\ndeleted file mode 100644\nindex 1..0\n--- a\n+++ /dev/null\n@@ -1 +0,0 @@\n-a \n";
    assert_eq!(processed("{}", gone), gone);
}
