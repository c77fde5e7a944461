use std::sync::Arc;

use capstan_plugin_host::{Annotation, Ending, Failure, Processed, Refusal, Severity};
use rstest::rstest;

use crate::fixture::session;

pub(crate) const DIFF: &str = "\
diff --git a.txt a.txt
index 1..2 100644
--- a.txt
+++ a.txt
@@ -1,4 +1,5 @@
 a
+b  
 c
 d
 e
@@ -20,5 +21,5 @@ heading
 g
-h
+i
 j
 k
 l
diff --git b.txt c.txt
similarity index 100%
rename from b.txt
rename to c.txt
diff --git run.sh run.sh
old mode 100644
new mode 100755
diff --git new.txt new.txt
new file mode 100644
index 0..5
--- /dev/null
+++ new.txt
@@ -0,0 +1 @@
+n\t
\\ No newline at end of file
diff --git old.txt old.txt
deleted file mode 100644
index 6..0
--- old.txt
+++ /dev/null
@@ -1 +0,0 @@
-o
diff --git pixel.png pixel.png
index 7..8 100644
GIT binary patch
literal 1
IcmZ

literal 1
IcmZ

diff --git \"na\\303\\257ve\\377\" \"na\\303\\257ve\\377\"
index 9..a 120000
--- \"na\\303\\257ve\\377\"
+++ \"na\\303\\257ve\\377\"
@@ -1 +1 @@
-x
\\ No newline at end of file
+y
\\ No newline at end of file
";

async fn processed(shape: &str, task: &str, file: &str) -> Result<Processed, Failure> {
    let config = format!(r#"{{"shape": "{shape}", "do": "{task}", "file": "{file}"}}"#);
    session(&config)
        .await
        .process_diff(&DIFF.as_bytes().into())
        .await
}

/// The new diff.
fn edited(processed: Result<Processed, Failure>) -> String {
    match processed.unwrap() {
        Processed::Diff {
            diff: Some(diff),
            annotations,
        } => {
            assert_eq!(annotations, []);
            String::from_utf8(diff).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case("annotate")]
#[case("remove-only")]
#[case("normalize-only")]
#[case("rewrite")]
#[tokio::test]
async fn no_edits_are_no_change(#[case] shape: &str) {
    let unchanged = Processed::Diff {
        diff: None,
        annotations: Vec::new(),
    };
    assert_eq!(processed(shape, "", "").await.unwrap(), unchanged);
}

#[tokio::test]
async fn a_plugin_sees_all_of_a_diff() {
    let Processed::Refused(refusal) = processed("annotate", "see", "").await.unwrap() else {
        panic!("not refused");
    };
    insta::assert_snapshot!(refusal.reason, @r#"
    7 files, +4 -3, 796 bytes
    a.txt 5 from None Status::Modified 100644..100644 binary=false +2 -1 138 bytes: "diff --git" .. " l\n"
      -1,4 +1,5 17 bytes: " a\n+b  \n c\n d\n e\n"
      -20,5 +21,5 18 bytes: " g\n-h\n+i\n j\n k\n l\n"
    c.txt 5 from Some("b.txt") Status::Renamed 0..0 binary=false +0 -0 79 bytes: "diff --git" .. "xt\n"
    run.sh 6 from None Status::ModeChanged 100644..100755 binary=false +0 -0 57 bytes: "diff --git" .. "55\n"
    new.txt 7 from None Status::Added 0..100644 binary=false +1 -0 131 bytes: "diff --git" .. "le\n"
      -0,0 +1,1 32 bytes: "+n\t\n\\ No newline at end of file\n"
    old.txt 7 from None Status::Deleted 100644..0 binary=false +0 -1 106 bytes: "diff --git" .. "-o\n"
      -1,1 +0,0 3 bytes: "-o\n"
    pixel.png 9 from None Status::Modified 100644..100644 binary=true +0 -0 98 bytes: "diff --git" .. "Z\n\n"
    naïve� 7 from None Status::Modified 120000..120000 binary=false +1 -1 187 bytes: "diff --git" .. "le\n"
      -1,1 +1,1 62 bytes: "-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n"
    "#);
}

#[tokio::test]
async fn a_diff_is_refused() {
    assert_eq!(
        processed("annotate", "refuse", "").await.unwrap(),
        Processed::Refused(Refusal {
            rule: "diffs".into(),
            reason: "github.com/acme/widgets".into(),
            details: vec![("by".into(), "the guest".into())],
        })
    );
}

#[rstest]
#[case("remove-only")]
#[case("rewrite")]
#[tokio::test]
async fn files_and_hunks_are_dropped(#[case] shape: &str) {
    let rest = &DIFF[DIFF.find("diff --git b.txt").unwrap()..];
    assert_eq!(edited(processed(shape, "drop-file", "a.txt").await), rest);
    // With its hunks a file goes that has nothing else.
    assert_eq!(edited(processed(shape, "drop-hunk", "a.txt").await), rest);
    assert_eq!(edited(processed(shape, "drop-file", "").await), "");
}

#[rstest]
#[case("normalize-only")]
#[case("rewrite")]
#[tokio::test]
async fn blanks_are_normalized(#[case] shape: &str) {
    let expected = DIFF.replace("+b  \n", "+b\n");
    assert_eq!(edited(processed(shape, "strip", "a.txt").await), expected);
    let config =
        format!(r#"{{"shape": "{shape}", "do": "replace", "file": "new.txt", "body": "+n\n"}}"#);
    let processed = session(&config)
        .await
        .process_diff(&DIFF.as_bytes().into())
        .await;
    let expected = DIFF.replace("+n\t\n\\ No newline at end of file\n", "+n\n");
    assert_eq!(edited(processed), expected);
}

#[tokio::test]
async fn annotations_change_nothing() {
    let annotation = |line, severity, message: &str| Annotation {
        path: "a.txt".into(),
        line,
        severity,
        message: message.into(),
    };
    assert_eq!(
        processed("annotate", "annotate", "a.txt").await.unwrap(),
        Processed::Diff {
            diff: None,
            annotations: vec![
                annotation(Some(3), Severity::Warning, "look here"),
                annotation(None, Severity::Notice, "and at all of it"),
            ],
        }
    );
}

/// Whatever the guest does with the answer: the call has failed.
#[rstest]
#[case::annotate_drops(
    "annotate",
    "drop-file",
    "",
    "a.txt: dropping a file is not allowed to the shape `annotate`"
)]
#[case::normalize_drops(
    "normalize-only",
    "drop-hunk",
    "",
    "a.txt, hunk at line 1: dropping a hunk is not allowed to the shape `normalize-only`"
)]
#[case::remove_injects(
    "remove-only",
    "replace-quietly",
    " a\\n+evil\\n c\\n d\\n e\\n",
    "a.txt, hunk at line 1: replacing a hunk is not allowed to the shape `remove-only`"
)]
#[case::normalize_injects(
    "normalize-only",
    "replace-quietly",
    " a\\n+b\\n+evil\\n c\\n d\\n e\\n",
    "a.txt, hunk at line 1: `normalize-only` may change white space at line ends, line endings, blank lines at the end and the final newline; the lines after the change differ in something else"
)]
#[case::other_before(
    "rewrite",
    "replace-quietly",
    " a\\n+b\\n-evil\\n c\\n d\\n e\\n",
    "a.txt, hunk at line 1: the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
)]
#[case::another_file(
    "rewrite",
    "replace-quietly",
    " a\\n c\\n d\\n e\\ndiff --git evil evil\\nnew file mode 100755\\n",
    "a.txt, hunk at line 1: line 5 of the body begins with none of ` `, `+`, `-` and `\\`; each line needs one of them in front"
)]
#[case::another_hunk(
    "rewrite",
    "replace",
    " a\\n c\\n d\\n e\\n@@ -9 +9 @@\\n-x\\n+evil\\n",
    "a.txt, hunk at line 1: line 5 of the body begins with none of ` `, `+`, `-` and `\\`; each line needs one of them in front"
)]
#[tokio::test]
async fn more_than_was_declared_is_a_failure(
    #[case] shape: &str,
    #[case] task: &str,
    #[case] body: &str,
    #[case] reason: &str,
) {
    let config =
        format!(r#"{{"shape": "{shape}", "do": "{task}", "file": "a.txt", "body": "{body}"}}"#);
    let failure = session(&config)
        .await
        .process_diff(&DIFF.as_bytes().into())
        .await
        .unwrap_err();
    assert_eq!(
        failure.ending,
        Ending::Contract {
            reason: reason.to_owned()
        }
    );
}

#[tokio::test]
async fn what_cannot_be_applied_any_more_is_a_failure() {
    let diff = DIFF.to_owned()
        + "diff --git d d\ndeleted file mode 100644\nindex 6..0\n--- d\n+++ /dev/null\n@@ -1 +0,0 @@\n-o\n\
           diff --git d/e d/e\nnew file mode 100644\nindex 0..6\n--- /dev/null\n+++ d/e\n@@ -0,0 +1 @@\n+o\n";
    let session = session(r#"{"shape": "remove-only", "do": "drop-file", "file": "d"}"#).await;
    let failure = session
        .process_diff(&diff.as_bytes().into())
        .await
        .unwrap_err();
    insta::assert_snapshot!(failure.ending, @"its answer is not allowed: d/e: it cannot be made, as d, which is in its way, is not taken away any more");
}

#[tokio::test]
async fn a_declaration_holds_for_the_job() {
    let session = session(r#"{"shape": "fickle", "do": "strip", "file": "none"}"#).await;
    let diff: Arc<[u8]> = DIFF.as_bytes().into();
    session.process_diff(&diff).await.unwrap();
    let failure = session.process_diff(&diff).await.unwrap_err();
    insta::assert_snapshot!(failure, @"the plugin tester failed in diff.process: its answer is not allowed: it declared the shape `remove-only` before and `rewrite` now");
}

#[rstest]
#[case::annotations(
    "annotate",
    "annotate-flood",
    "it answered with more bytes than it may, more than its 262144"
)]
#[case::bodies(
    "rewrite",
    "replace-by-much",
    "it replaced hunks by more bytes than it may, more than its 1049372"
)]
#[tokio::test]
async fn answers_have_bounds(#[case] shape: &str, #[case] task: &str, #[case] ending: &str) {
    let failure = processed(shape, task, "").await.unwrap_err();
    assert_eq!(failure.ending.to_string(), ending);
}
