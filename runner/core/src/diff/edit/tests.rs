//! Edits by hand, with what they make and why they are refused.

mod by_git;

use rstest::rstest;

use super::*;

/// Two hunks in one file, a file that also changes its mode, an added and a deleted one, a binary one, and a changed type.
const DIFF: &str = "\
diff --git a.txt a.txt
index 1..2 100644
--- a.txt
+++ a.txt
@@ -1,4 +1,6 @@ fn first()
 a
+b
+c
 d
 e
 f
@@ -20,5 +22,5 @@
 g
-h
+i  
 j
 k
 l
diff --git run.sh run.sh
old mode 100644
new mode 100755
index 3..4
--- run.sh
+++ run.sh
@@ -1 +1 @@
-x
\\ No newline at end of file
+y
diff --git new.txt new.txt
new file mode 100644
index 0..5
--- /dev/null
+++ new.txt
@@ -0,0 +1,2 @@
+n
+ 
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

diff --git link link
deleted file mode 100644
index 9..0
--- link
+++ /dev/null
@@ -1 +0,0 @@
-was a file
diff --git link link
new file mode 120000
index 0..a
--- /dev/null
+++ link
@@ -0,0 +1 @@
+target
\\ No newline at end of file
";

const A: usize = 0;
const RUN: usize = 1;
const NEW: usize = 2;
const OLD: usize = 3;
const LINK: usize = 5;
const TARGET: usize = 6;

/// An edit, of a hunk by its number in the section.
#[derive(Clone, Copy)]
enum By {
    DropFile(usize),
    DropHunk(usize, usize),
    Replace(usize, usize, &'static str),
}

fn attempt(edits: &mut Edits, by: By) -> Result<(), HunkRule> {
    let diff = Diff::parse(DIFF.as_bytes()).unwrap();
    let subject = |section: usize| Subject::of(section, &diff.sections[section]);
    match by {
        By::DropFile(section) => edits.drop_file(section),
        By::DropHunk(section, hunk) => edits.drop_hunk(subject(section), hunk),
        By::Replace(section, number, body) => {
            let hunk = diff.sections[section].hunks().nth(number).unwrap();
            edits.replace_hunk(subject(section), number, &hunk, body.into())
        }
    }
}

fn edited(shape: Shape, edits: &[By]) -> Result<Option<String>, EditError> {
    let mut collected = Edits::new(shape);
    for by in edits {
        attempt(&mut collected, *by).unwrap();
    }
    let output = collected.apply(DIFF.as_bytes())?;
    Ok(output.map(|bytes| String::from_utf8(bytes).unwrap()))
}

/// The lines that differ from the whole diff's, in brackets.
fn difference(shape: Shape, edits: &[By]) -> String {
    let output = edited(shape, edits).unwrap().expect("something changed");
    let old: Vec<&str> = DIFF.lines().collect();
    let new: Vec<&str> = output.lines().collect();
    // Longest common subsequences of what follows each pair of lines.
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = String::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines += &format!("gone [{}]\n", old[i]);
            i += 1;
        } else {
            lines += &format!("new  [{}]\n", new[j]);
            j += 1;
        }
    }
    lines
}

#[test]
fn no_edits_are_no_change() {
    assert_eq!(edited(Shape::Annotate, &[]), Ok(None));
    let same = By::Replace(RUN, 0, "-x\n\\ No newline at end of file\n+y\n");
    assert_eq!(edited(Shape::Rewrite, &[same]), Ok(None));
}

#[test]
fn hunks_below_a_dropped_one_move() {
    insta::assert_snapshot!(difference(Shape::RemoveOnly, &[By::DropHunk(A, 0)]), @r"
    gone [@@ -1,4 +1,6 @@ fn first()]
    gone [ a]
    gone [+b]
    gone [+c]
    gone [ d]
    gone [ e]
    gone [ f]
    gone [@@ -20,5 +22,5 @@]
    new  [@@ -20,5 +20,5 @@]
    ");
}

#[test]
fn a_file_without_changes_is_gone() {
    let all = [By::DropHunk(A, 0), By::DropHunk(A, 1)];
    assert_eq!(
        edited(Shape::RemoveOnly, &all),
        edited(Shape::RemoveOnly, &[By::DropFile(A)])
    );
}

#[test]
fn a_changed_mode_stays() {
    insta::assert_snapshot!(difference(Shape::RemoveOnly, &[By::DropHunk(RUN, 0)]), @r"
    gone [index 3..4]
    gone [--- run.sh]
    gone [+++ run.sh]
    gone [@@ -1 +1 @@]
    gone [-x]
    gone [\ No newline at end of file]
    gone [+y]
    ");
}

#[test]
fn a_changed_type_goes_as_a_whole() {
    for half in [LINK, TARGET] {
        let output = edited(Shape::RemoveOnly, &[By::DropFile(half)]).unwrap();
        let output = output.unwrap();
        assert!(DIFF.starts_with(&output));
        assert!(!output.contains("link"));
    }
}

#[test]
fn everything_may_go() {
    let all: Vec<By> = (0..=TARGET).map(By::DropFile).collect();
    assert_eq!(
        edited(Shape::RemoveOnly, &all).unwrap().as_deref(),
        Some("")
    );
}

#[test]
fn blanks_are_normalized() {
    let edits = [
        By::Replace(A, 1, " g\n-h\n+i\n j\n k\n l\n"),
        By::Replace(NEW, 0, "+n\n"),
    ];
    insta::assert_snapshot!(difference(Shape::NormalizeOnly, &edits), @r"
    gone [+i  ]
    new  [+i]
    gone [@@ -0,0 +1,2 @@]
    new  [@@ -0,0 +1 @@]
    gone [+ ]
    ");
}

#[test]
fn what_comes_after_may_be_rewritten() {
    let edits = [
        By::Replace(A, 0, " a\n-d\n+D\n e\n f\n"),
        By::Replace(NEW, 0, ""),
        By::Replace(TARGET, 0, "+elsewhere\n\\ No newline at end of file\n"),
    ];
    insta::assert_snapshot!(difference(Shape::Rewrite, &edits), @r"
    gone [@@ -1,4 +1,6 @@ fn first()]
    new  [@@ -1,4 +1,4 @@ fn first()]
    gone [+b]
    gone [+c]
    gone [ d]
    new  [-d]
    new  [+D]
    gone [@@ -20,5 +22,5 @@]
    new  [@@ -20,5 +20,5 @@]
    gone [index 0..5]
    gone [--- /dev/null]
    gone [+++ new.txt]
    gone [@@ -0,0 +1,2 @@]
    gone [+n]
    gone [+ ]
    gone [+target]
    new  [+elsewhere]
    ");
}

#[test]
fn the_last_edit_counts() {
    let edits = [
        By::DropHunk(A, 1),
        By::Replace(A, 1, " g\n-h\n+i\n j\n k\n l\n"),
        By::DropHunk(A, 1),
    ];
    assert_eq!(
        edited(Shape::Rewrite, &edits),
        edited(Shape::Rewrite, &[By::DropHunk(A, 1)])
    );
    let edits = [By::DropFile(A), By::DropHunk(A, 1)];
    assert_eq!(
        edited(Shape::Rewrite, &edits),
        edited(Shape::Rewrite, &[By::DropFile(A)])
    );
}

#[test]
fn size_is_that_of_the_bodies_held() {
    let mut edits = Edits::new(Shape::Rewrite);
    let replace = By::Replace(NEW, 0, "+other\n");
    attempt(&mut edits, replace).unwrap();
    attempt(&mut edits, replace).unwrap();
    attempt(&mut edits, By::Replace(TARGET, 0, "+t\n")).unwrap();
    assert_eq!(edits.size(), 10);
    attempt(&mut edits, By::DropFile(NEW)).unwrap();
    attempt(&mut edits, replace).unwrap();
    assert_eq!(edits.size(), 3);
}

#[rstest]
#[case::annotate(
    Shape::Annotate,
    By::DropFile(A),
    "dropping a file is not allowed to the shape `annotate`"
)]
#[case::normalize_drops_file(
    Shape::NormalizeOnly,
    By::DropFile(A),
    "dropping a file is not allowed to the shape `normalize-only`"
)]
#[case::normalize_drops_hunk(
    Shape::NormalizeOnly,
    By::DropHunk(A, 0),
    "dropping a hunk is not allowed to the shape `normalize-only`"
)]
#[case::remove_replaces(
    Shape::RemoveOnly,
    By::Replace(A, 0, ""),
    "replacing a hunk is not allowed to the shape `remove-only`"
)]
#[case::part_of_an_added_file(
    Shape::RemoveOnly,
    By::DropHunk(NEW, 0),
    "hunks of an added or deleted file are not dropped: drop the file, or replace the hunk"
)]
#[case::part_of_a_deleted_file(
    Shape::Rewrite,
    By::DropHunk(OLD, 0),
    "hunks of an added or deleted file are not dropped: drop the file, or replace the hunk"
)]
#[case::left_in_a_deleted_file(
    Shape::Rewrite,
    By::Replace(OLD, 0, "-o\n+p\n"),
    "a deleted file has no lines after the change: the body must not have any either"
)]
#[case::old_side(
    Shape::Rewrite,
    By::Replace(RUN, 0, "-x\n+y\n"),
    "the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
)]
#[case::old_side_gone(
    Shape::Rewrite,
    By::Replace(A, 0, ""),
    "the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
)]
#[case::injection(
    Shape::NormalizeOnly,
    By::Replace(NEW, 0, "+n\n+evil\n"),
    "`normalize-only` may change white space at line ends, line endings, blank lines at the end and the final newline; the lines after the change differ in something else"
)]
#[case::undoing(
    Shape::NormalizeOnly,
    By::Replace(A, 1, " g\n h\n j\n k\n l\n"),
    "`normalize-only` may change white space at line ends, line endings, blank lines at the end and the final newline; the lines after the change differ in something else"
)]
#[case::a_link(
    Shape::NormalizeOnly,
    By::Replace(TARGET, 0, "+target\n"),
    "`normalize-only` is for regular files; this one is a link or a submodule"
)]
#[case::no_context_left(
    Shape::Rewrite,
    By::Replace(A, 1, " g\n-h\n j\n k\n-l\n"),
    "the body must end with a line of context as the hunk does: git takes one that ends with a change for the end of the file"
)]
#[case::not_a_body(
    Shape::Rewrite,
    By::Replace(A, 0, "diff --git x x\n"),
    "line 1 of the body begins with none of ` `, `+`, `-` and `\\`; each line needs one of them in front"
)]
fn refused_at_once(#[case] shape: Shape, #[case] by: By, #[case] message: &str) {
    let mut edits = Edits::new(shape);
    assert_eq!(attempt(&mut edits, by).unwrap_err().to_string(), message);
    assert_eq!(
        edits.apply(DIFF.as_bytes()),
        Ok(None),
        "nothing is kept of it"
    );
}

/// Diffs that no edits made, against the whole one.
#[rstest]
#[case::annotate(
    Shape::Annotate,
    "+b\n",
    "",
    "the diff was changed, which is not allowed to the shape `annotate`"
)]
#[case::line_removed(
    Shape::RemoveOnly,
    "-1,4 +1,6 @@ fn first()\n a\n+b\n",
    "-1,4 +1,5 @@ fn first()\n a\n",
    "a.txt, hunk at line 1: replacing a hunk is not allowed to the shape `remove-only`"
)]
#[case::line_added(
    Shape::NormalizeOnly,
    "+1,2 @@\n+n\n",
    "+1,3 @@\n+n\n+m\n",
    "new.txt, hunk at line 0: `normalize-only` may change white space at line ends, line endings, blank lines at the end and the final newline; the lines after the change differ in something else"
)]
#[case::other_context(
    Shape::Rewrite,
    " k\n",
    " K\n",
    "a.txt, hunk at line 20: the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
)]
#[case::other_line_removed(
    Shape::Rewrite,
    "-o\n",
    "-p\n",
    "old.txt, hunk at line 1: the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
)]
#[case::newline_before(
    Shape::Rewrite,
    "-x\n\\ No newline at end of file\n",
    "-x\n",
    "run.sh, hunk at line 1: the lines before the change (those with ` ` and `-` in front) must stay as they are, and do not"
)]
#[case::elsewhere(
    Shape::Rewrite,
    "+22,5",
    "+23,5",
    "a.txt, hunk at line 20: the `@@` line is not the one that follows from the hunks above"
)]
#[case::heading(
    Shape::Rewrite,
    "first()",
    "second()",
    "a.txt, hunk at line 1: the `@@` line is not the one that follows from the hunks above"
)]
#[case::old_start(
    Shape::Rewrite,
    "@@ -20,5",
    "@@ -21,5",
    "a.txt, hunk at line 21: the diff it was made from has no such hunk, or not at this place"
)]
#[case::mode(
    Shape::Rewrite,
    "new mode 100755",
    "new mode 120000",
    "run.sh: what is above the first hunk was changed"
)]
#[case::blob(
    Shape::Rewrite,
    "index 1..2",
    "index 1..3",
    "a.txt: what is above the first hunk was changed"
)]
#[case::name(
    Shape::Rewrite,
    "+++ a.txt",
    "+++ b.txt",
    "b.txt: the diff it was made from has no such file, or not at this place"
)]
#[case::renamed_away(
    Shape::Rewrite,
    "diff --git a.txt a.txt\nindex 1..2 100644\n",
    "diff --git a.txt a.txt\nrename from b\nrename to c\nindex 1..2 100644\n",
    "c: the diff it was made from has no such file, or not at this place"
)]
#[case::binary(
    Shape::Rewrite,
    "literal 1",
    "literal 2",
    "pixel.png: the content cannot be edited: it is binary, or there are no hunks"
)]
#[case::half_a_type(
    Shape::RemoveOnly,
    "diff --git link link\ndeleted file mode 100644\nindex 9..0\n--- link\n+++ /dev/null\n@@ -1 +0,0 @@\n-was a file\n",
    "",
    "link: one half of a changed type was dropped and the other kept"
)]
#[case::unchanging_hunk(
    Shape::Rewrite,
    "+22,5 @@\n g\n-h\n+i  \n",
    "+22,5 @@\n g\n h\n",
    "a.txt, hunk at line 20: nothing is left of the change, and it is still there"
)]
#[case::text_in_front(
    Shape::Rewrite,
    "diff --git a.txt",
    "Subject: x\ndiff --git a.txt",
    "there is text that belongs to no hunk"
)]
#[case::text_behind(
    Shape::Rewrite,
    "diff --git run.sh",
    "-- \ndiff --git run.sh",
    "a.txt: there is text that belongs to no hunk"
)]
#[case::hunk_of_an_added_file(
    Shape::RemoveOnly,
    "index 0..5\n--- /dev/null\n+++ new.txt\n@@ -0,0 +1,2 @@\n+n\n+ \n",
    "",
    "new.txt, hunk at line 0: a hunk was dropped that must stay"
)]
#[case::content_in_the_mode(
    Shape::RemoveOnly,
    "index 3..4\n--- run.sh\n+++ run.sh\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n",
    "new mode 100644\n",
    "run.sh: what is above the first hunk was changed"
)]
#[case::no_diff(
    Shape::Rewrite,
    DIFF,
    "hello",
    "not a git diff: no line begins with \"diff --git \""
)]
fn no_proof(#[case] shape: Shape, #[case] from: &str, #[case] to: &str, #[case] message: &str) {
    let output = DIFF.replacen(from, to, 1);
    assert_ne!(output, DIFF);
    let violation = prove(DIFF.as_bytes(), output.as_bytes(), shape).unwrap_err();
    assert_eq!(violation.to_string(), message);
}

#[test]
fn files_change_their_order_in_no_shape() {
    let (first, rest) = DIFF.split_at(DIFF.find("diff --git run.sh").unwrap());
    let output = [rest, first].concat();
    let violation = prove(DIFF.as_bytes(), output.as_bytes(), Shape::Rewrite).unwrap_err();
    insta::assert_snapshot!(violation, @"a.txt: the diff it was made from has no such file, or not at this place");
}

#[rstest]
#[case::directory_for_file("d", "d/f")]
#[case::file_for_directory("d/f", "d")]
#[case::below("d/e", "d/e/f/g")]
fn what_makes_room_stays(#[case] gone: &str, #[case] made: &str) {
    let diff = format!(
        "diff --git {gone} {gone}\ndeleted file mode 100644\nindex 1..0\n--- {gone}\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n\
         diff --git {made} {made}\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ {made}\n@@ -0,0 +1 @@\n+a\n\
         diff --git d0 d0\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ d0\n@@ -0,0 +1 @@\n+a\n"
    );
    let mut edits = Edits::new(Shape::RemoveOnly);
    edits.drop_file(0).unwrap();
    assert_eq!(
        edits.apply(diff.as_bytes()).unwrap_err().to_string(),
        format!(
            "{made}: it cannot be made, as {gone}, which is in its way, is not taken away any more"
        )
    );
    edits.drop_file(1).unwrap();
    assert!(edits.apply(diff.as_bytes()).unwrap().is_some());
}

#[test]
fn text_that_git_did_not_print_is_lost_where_something_is_edited() {
    let tail = "diff --git x x\nindex 1..2 100644\n--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-c\n+d\n";
    let diff = format!("From 1234\n\n{tail}-- \n2.47\n");
    let mut edits = Edits::new(Shape::RemoveOnly);
    let parsed = Diff::parse(diff.as_bytes()).unwrap();
    edits
        .drop_hunk(Subject::of(0, &parsed.sections[0]), 1)
        .unwrap();
    let output = edits.apply(diff.as_bytes()).unwrap().unwrap();
    assert_eq!(output, &tail.as_bytes()[..tail.find("@@ -9").unwrap()]);
}

#[test]
fn absurd_places_are_no_panic() {
    let max = u64::MAX;
    let diff = format!(
        "diff --git x x\nindex 1..2 100644\n--- x\n+++ x\n@@ -{max},0 +{max} @@\n+a\n@@ -{max} +1 @@\n-a\n+b\n@@ -0 +{max} @@\n-a\n+b\n"
    );
    let parsed = Diff::parse(diff.as_bytes()).unwrap();
    let subject = Subject::of(0, &parsed.sections[0]);
    for (number, fits) in [(0, true), (1, false), (2, false)] {
        let mut edits = Edits::new(Shape::Rewrite);
        edits.drop_hunk(subject, number).unwrap();
        assert_eq!(edits.apply(diff.as_bytes()).is_ok(), fits);
    }
}
