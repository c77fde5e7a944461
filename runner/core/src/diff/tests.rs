//! Diffs by hand, for what git rarely prints, and diffs by git, for all that it does.

mod by_git;
pub(crate) mod repository;

use rstest::rstest;

use super::*;

fn parse(text: &str) -> Diff<'_> {
    Diff::parse(text.as_bytes()).unwrap()
}

#[test]
fn an_empty_diff_has_no_sections() {
    assert!(parse("").sections.is_empty());
    assert!(parse("\n \n").sections.is_empty());
}

#[test]
fn a_modified_file() {
    let text = "diff --git sp ace sp ace\nindex 1b..2c 100644\n--- sp ace\t\n+++ sp ace\t\n\
                @@ -1,2 +1,2 @@ fn heading()\n a\n-b\n+c\n";
    let diff = parse(text);
    let [section] = diff.sections.as_slice() else {
        panic!("one section, not {diff:?}");
    };
    assert_eq!(section.raw, text.as_bytes());
    assert_eq!(section.kind, Kind::Modified);
    assert_eq!(section.name(), b"sp ace");
    assert_eq!(
        (section.old_mode, section.new_mode),
        (Some(0o100_644), Some(0o100_644))
    );
    assert_eq!((section.added, section.removed), (1, 1));
    assert!(!section.binary);
}

/// The section kinds on which the usual parser fails (facts/batch-spec.md 3.6, defect 8).
#[rstest]
#[case::rename_with_spaces(
    "diff --git old name new name\nsimilarity index 100%\nrename from old name\nrename to new name\n",
    Kind::Renamed,
    "old name",
    "new name"
)]
#[case::mode_and_binary(
    "diff --git b in b in\nold mode 100644\nnew mode 100755\nindex 1..2\nGIT binary patch\nliteral 1\nIcmZ\n\nliteral 1\nIcmZ\n\n",
    Kind::Modified,
    "b in",
    "b in"
)]
#[case::rename_and_binary(
    "diff --git a b c\nsimilarity index 90%\nrename from a b\nrename to c\nindex 1..2 100644\nGIT binary patch\ndelta 1\nIcmZ\n\n",
    Kind::Renamed,
    "a b",
    "c"
)]
#[case::mode_only(
    "diff --git a a a a\nold mode 100644\nnew mode 100755\n",
    Kind::ModeChanged,
    "a a",
    "a a"
)]
#[case::empty_file(
    "diff --git e e\nnew file mode 100644\nindex 0000000..e69de29\n",
    Kind::Added,
    "e",
    "e"
)]
#[case::empty_file_gone(
    "diff --git e e\ndeleted file mode 100644\nindex e69de29..0000000\n",
    Kind::Deleted,
    "e",
    "e"
)]
#[case::copy(
    "diff --git a b\nsimilarity index 100%\ncopy from a\ncopy to b\n",
    Kind::Copied,
    "a",
    "b"
)]
#[case::quoted_on_one_side(
    "diff --git plain \"ta\\tb\"\nsimilarity index 100%\nrename from plain\nrename to \"ta\\tb\"\n",
    Kind::Renamed,
    "plain",
    "ta\tb"
)]
#[case::top_level_a_and_b(
    "diff --git a/f a/f\nindex 1..2 100644\n--- a/f\n+++ a/f\n@@ -1 +1 @@\n-x\n+y\n",
    Kind::Modified,
    "a/f",
    "a/f"
)]
#[case::binary_remark(
    "diff --git x x\nindex 1..2 100644\nBinary files x and x differ\n",
    Kind::Modified,
    "x",
    "x"
)]
#[case::crlf(
    "diff --git x x\r\nindex 1..2 100644\r\n--- x\r\n+++ x\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n",
    Kind::Modified,
    "x",
    "x"
)]
fn kinds_and_names(
    #[case] text: &str,
    #[case] kind: Kind,
    #[case] old_name: &str,
    #[case] new_name: &str,
) {
    // A following section must not disturb, nor be disturbed.
    let next = "diff --git next next\nold mode 100644\nnew mode 100755\n";
    for text in [text.to_owned(), format!("{text}{next}")] {
        let diff = parse(&text);
        let section = &diff.sections[0];
        assert_eq!(section.kind, kind);
        assert_eq!(section.old_name, old_name.as_bytes());
        assert_eq!(section.new_name, new_name.as_bytes());
        if let [_, section] = diff.sections.as_slice() {
            assert_eq!(section.raw, next.as_bytes());
            assert_eq!(section.name(), b"next");
        }
    }
}

#[test]
fn lines_of_a_hunk_may_look_like_headers() {
    let text = "diff --git x x\nindex 1..2 100644\n--- x\n+++ x\n@@ -1,4 +1,4 @@\n\
                --- a\n-diff --git y y\n-rename from q\n@@ -9 +9 @@\n\
                +++ b\n+@@ -1 +1 @@\n+diff --git z z\n\
                @@ -10 +10 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n";
    // The fourth line of the first hunk is a context line that lost its space: not valid.
    assert_eq!(
        Diff::parse(text.as_bytes()),
        Err(DiffError::Hunk {
            line: 5,
            source: HunkError::Line
        })
    );
    let text = text.replacen("\n@@ -9", "\n @@ -9", 1);
    let diff = parse(&text);
    assert_eq!(diff.sections.len(), 1);
    let section = &diff.sections[0];
    assert_eq!((section.added, section.removed), (4, 4));
    let hunks: Vec<&[u8]> = section.hunks().map(|hunk| hunk.raw).collect();
    assert_eq!(hunks.len(), 2);
    assert!(hunks[1].starts_with(b"@@ -10 +10 @@\n"));
    assert!(section.raw.ends_with(&hunks.concat()));
}

#[rstest]
#[case("hello\n", DiffError::NoSection)]
#[case("--- a\n+++ a\n@@ -1 +1 @@\n-a\n+b\n", DiffError::NoSection)]
#[case("diff --git one two\n", DiffError::Names { line: 1 })]
#[case("diff --git \n", DiffError::Names { line: 1 })]
#[case("x\ndiff --git x x\n--- x\n+++ x\n@@ -1 +1 @@\n-a\n", DiffError::Hunk { line: 5, source: HunkError::Short })]
#[case("diff --git x x\n@@ -1 +z @@\n", DiffError::Hunk { line: 2, source: HunkError::Header })]
#[case("diff --git x x\n@@ -1,99999999999999999999 +1 @@\n", DiffError::Hunk { line: 2, source: HunkError::Header })]
#[case("diff --git x x\n@@ -1 +1 @@\n-a\n-b\n+c\n", DiffError::Hunk { line: 2, source: HunkError::Line })]
fn malformed(#[case] text: &str, #[case] error: DiffError) {
    assert_eq!(Diff::parse(text.as_bytes()), Err(error));
}

#[test]
fn errors_name_the_line() {
    let error = Diff::parse(b"diff --git x x\n@@ -1 +1 @@\n").unwrap_err();
    insta::assert_snapshot!(error, @"line 2: the hunk ends before the lines that its header announces");
}

#[test]
fn text_around_sections_is_passed_over() {
    let text =
        "From 1234\nSubject: x\n\ndiff --git x x\n--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.47\n";
    let diff = parse(text);
    assert_eq!(diff.sections.len(), 1);
    assert_eq!((diff.sections[0].added, diff.sections[0].removed), (1, 1));
}

/// facts/batch-spec.md 10.6, made by hand from its description.
#[test]
fn vector_of_changed_files() {
    let binary = |name: &str, header: &str| {
        format!(
            "diff --git {name} {name}\n{header}GIT binary patch\nliteral 1\nIcmZ\n\nliteral 0\nHcmV\n\n"
        )
    };
    let edit = |name: &str, tab: &str| {
        format!(
            "diff --git {name} {name}\nindex 1..2 100644\n--- {name}{tab}\n+++ {name}{tab}\n@@ -1 +1 @@\n-a\n+b\n"
        )
    };
    let add = |name: &str| {
        format!(
            "diff --git {name} {name}\nnew file mode 100644\nindex 0..2\n--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+b\n"
        )
    };
    let delete = |name: &str| {
        format!(
            "diff --git {name} {name}\ndeleted file mode 100644\nindex 1..0\n--- {name}\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n"
        )
    };
    let text = [
        binary("bin.dat", "index 1..2 100644\n"),
        binary("binadd.dat", "new file mode 100644\nindex 0..2\n"),
        binary("bindel.dat", "deleted file mode 100644\nindex 1..0\n"),
        "diff --git dashes.txt dashes.txt\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ dashes.txt\n@@ -0,0 +1,2 @@\n+-- a\n+++ b\n".to_owned(),
        edit("dir a/sp ace.txt", "\t"),
        "diff --git empty emptyadd\nsimilarity index 100%\nrename from empty\nrename to emptyadd\n".to_owned(),
        "diff --git exe.sh exe.sh\nold mode 100644\nnew mode 100755\n".to_owned(),
        edit("mod.txt", ""),
        edit(r#""na\303\257ve.txt""#, ""),
        add("new.txt"),
        edit("nonl.txt", "") + "\\ No newline at end of file\n",
        add(r#""q\"t.txt""#),
        delete("ren.txt"),
        "diff --git plain.txt renamed.txt\nsimilarity index 100%\nrename from plain.txt\nrename to renamed.txt\n".to_owned(),
        "diff --git src/ren.txt src/ren2.txt\nsimilarity index 60%\nrename from src/ren.txt\nrename to src/ren2.txt\nindex 1..2 100644\n--- src/ren.txt\n+++ src/ren2.txt\n@@ -1 +1 @@\n-a\n+b\n".to_owned(),
        add(r#""ta\tb.txt""#),
        delete("tolink"),
        add("tolink").replace("100644", "120000"),
    ]
    .concat();
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        parse(&text).changed_files(),
        ChangedFiles {
            modified: names(&[
                "bin.dat",
                "dir a/sp ace.txt",
                "exe.sh",
                "mod.txt",
                "naïve.txt",
                "nonl.txt"
            ]),
            added: names(&[
                "binadd.dat",
                "dashes.txt",
                "new.txt",
                "q\"t.txt",
                "ta\tb.txt",
                "tolink"
            ]),
            deleted: names(&["bindel.dat", "ren.txt", "tolink"]),
            renamed: names(&["emptyadd", "renamed.txt", "src/ren2.txt"]),
        }
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Text made of the words that steer the parser.
    fn diff_like() -> impl Strategy<Value = Vec<u8>> {
        let words: &[&[u8]] = &[
            b"diff --git ",
            b"--- ",
            b"+++ ",
            b"@@ -1,2 +1 @@",
            b"@@ -1 +1 @@",
            b"rename from ",
            b"rename to ",
            b"index 1..2",
            b"GIT binary patch",
            b"/dev/null",
            b"old mode 100644",
            b"new file mode 1",
            b"\\ No",
            b"a",
            b"a a",
            b"\"",
            b"\\",
            b"\n",
            b"\n",
            b"\n",
            b"+",
            b"-",
            b" ",
            b"\t",
            b"\xff",
            b"\r\n",
        ];
        prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_parses_is_covered_by_its_sections(text in diff_like()) {
            if let Ok(diff) = Diff::parse(&text) {
                let sections: Vec<u8> = diff.sections.iter().flat_map(|section| section.raw).copied().collect();
                prop_assert!(text.ends_with(&sections));
                for section in &diff.sections {
                    // Each section is a diff by itself and says the same alone.
                    let alone = Diff::parse(section.raw).unwrap();
                    prop_assert_eq!(alone.sections.as_slice(), std::slice::from_ref(section));
                    let counted = section.hunks().fold((0, 0), |(added, removed), hunk| {
                        let lines = |sign| hunk.raw.split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&sign)).count() as u64;
                        (added + lines(b'+'), removed + lines(b'-'))
                    });
                    prop_assert_eq!(counted, (section.added, section.removed));
                }
                render_stat(&diff, 40);
            }
        }

        #[test]
        fn any_bytes_are_safe(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Diff::parse(&[b"diff --git ".as_slice(), &text].concat());
        }
    }
}
