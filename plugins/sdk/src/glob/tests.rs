use proptest::prelude::*;

use super::*;

#[test]
fn patterns_match_whole_texts() {
    for (pattern, yes, no) in [
        ("abc", &["abc"][..], &["ab", "abcd", ""][..]),
        ("", &[""], &["a"]),
        ("*", &["", "abc", "é"], &["a/b", "/"]),
        ("a*c", &["ac", "abc", "abcbc"], &["a/c", "abcd"]),
        ("?", &["a", "é"], &["", "/", "ab"]),
        ("**", &["", "a", "a/b/c"], &[]),
        ("**/a", &["a", "x/a", "x/y/a"], &["xa", "x/ya", "a/x"]),
        ("a/**", &["a/b", "a/b/c", "a/"], &["a", "b/a/c"]),
        (
            "a/**/b",
            &["a/b", "a/x/b", "a/x/y/b"],
            &["ab", "a/xb", "a/b/x"],
        ),
        (
            "**/*.rs",
            &["a.rs", "x/a.rs", "x/y/a.rs"],
            &["a.r", "a.rs/x"],
        ),
        ("**/**/a", &["a", "x/a", "x/y/a"], &["b"]),
        ("a**b", &["ab", "axb", "a/x/b"], &["a/x/bc"]),
        ("x/***", &["x/y", "x/y/z"], &["x"]),
        ("{a,bc}", &["a", "bc"], &["b", "abc", "{a,bc}"]),
        ("{a,b}c", &["ac", "bc"], &["c", "abc"]),
        ("x{,y}z", &["xz", "xyz"], &["xyyz"]),
        ("{a,{b,c}d}e", &["ae", "bde", "cde"], &["be", "de"]),
        ("{**/,x}a", &["a", "p/q/a", "xa"], &["pa"]),
        ("{a,b/}**/c", &["b/c", "b/x/c", "a/c", "ax/c"], &["ac", "c"]),
        ("x{**/y}", &["x/y", "xz/y"], &["xy", "y"]),
        ("*.{js,ts}", &["a.js", "b.ts"], &["a.jsx"]),
        ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
        ("[!a-c]x", &["dx", "éx"], &["ax", "/x"]),
        ("[^a]", &["b"], &["a", "/"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[\\]]", &["]"], &["\\"]),
        ("[/]", &[], &["/"]),
        (r"\*", &["*"], &["a"]),
        (r"\{a,b\}", &["{a,b}"], &["a"]),
        ("a,b}", &["a,b}"], &["a"]),
        (
            "docker.io/library/*",
            &["docker.io/library/alpine:3"],
            &["docker.io/library/a/b", "evil.io/docker.io/library/a"],
        ),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for text in yes {
            assert!(glob.matches(text), "{pattern:?} should match {text:?}");
        }
        for text in no {
            assert!(!glob.matches(text), "{pattern:?} should not match {text:?}");
        }
    }
}

#[test]
fn path_patterns_are_names_at_any_depth_unless_they_have_a_slash() {
    for (pattern, yes, no) in [
        ("*.lock", &["a.lock", "x/y/a.lock"][..], &["a.lock/x"][..]),
        ("docs/", &["docs/a", "x/docs/y/z"], &["docs", "xdocs/a"]),
        ("/docs/", &["docs/a", "docs/b/c"], &["x/docs/a", "docs"]),
        ("/README.md", &["README.md"], &["x/README.md"]),
        ("src/*.rs", &["src/a.rs"], &["x/src/a.rs", "src/x/a.rs"]),
        ("a/b/", &["a/b/c"], &["x/a/b/c", "a/b"]),
    ] {
        let glob = Glob::path(pattern).unwrap();
        for text in yes {
            assert!(glob.matches(text), "{pattern:?} should match {text:?}");
        }
        for text in no {
            assert!(!glob.matches(text), "{pattern:?} should not match {text:?}");
        }
    }
}

#[test]
fn malformed_patterns_are_told_apart() {
    let long = "a".repeat(5000);
    let deep = "{".repeat(9);
    for (pattern, reason) in [
        ("[a", "a `[` is not closed"),
        ("[]", "a `[` is not closed"),
        ("[a-", "a `[` is not closed"),
        ("[z-a]", "a range in `[...]` runs backwards"),
        ("{a", "a `{` is not closed"),
        ("{a,{b}", "a `{` is not closed"),
        ("a\\", "it ends in `\\`"),
        (&long, "it is longer than 4096 bytes"),
        (&deep, "its braces are nested more than 8 deep"),
    ] {
        let error = Glob::new(pattern).unwrap_err();
        assert_eq!(error.code, "config");
        assert_eq!(
            error.message,
            format!("the glob {pattern:?} is malformed: {reason}")
        );
    }
}

/// A matcher that is plainly right and may take any time, for patterns of `*`, `**`, `?` and letters.
fn obviously(pattern: &[char], text: &[char], begins: bool) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', '/', rest @ ..] if begins => {
            obviously(rest, text, true)
                || (0..text.len())
                    .any(|at| text[at] == '/' && obviously(rest, &text[at + 1..], true))
        }
        ['*', '*', rest @ ..] => (0..=text.len()).any(|at| obviously(rest, &text[at..], false)),
        ['*', rest @ ..] => (0..=text.len())
            .take_while(|&at| at == 0 || text[at - 1] != '/')
            .any(|at| obviously(rest, &text[at..], false)),
        [wanted, rest @ ..] => match text {
            [c, others @ ..] => {
                (*wanted == '?' && *c != '/' || wanted == c)
                    && obviously(rest, others, *wanted == '/')
            }
            [] => false,
        },
    }
}

/// What a pattern consists of, in turn: each is one of the alternatives. None ends in a star, so that none joins another's.
fn pieces() -> impl Strategy<Value = Vec<Vec<String>>> {
    let alone = "\\*{0,2}[ab/?]".prop_map(|piece| vec![piece]);
    let alternatives = prop::collection::vec("((\\*\\*/|\\*)?[ab/?])?", 2..4);
    prop::collection::vec(prop_oneof![4 => alone, 1 => alternatives], 0..5)
}

/// Every pattern without braces that the pieces may stand for.
fn spelled_out(pieces: &[Vec<String>]) -> Vec<String> {
    let Some((first, rest)) = pieces.split_first() else {
        return vec![String::new()];
    };
    let rest = spelled_out(rest);
    let with = |piece: &String| {
        rest.iter()
            .map(|rest| format!("{piece}{rest}"))
            .collect::<Vec<_>>()
    };
    first.iter().flat_map(with).collect()
}

proptest! {
    #[test]
    fn agrees_with_a_plain_matcher(pieces in pieces(), end in "\\*{0,2}", text in "[ab/]{0,8}") {
        let braced = |piece: &Vec<String>| match &piece[..] {
            [alone] => alone.clone(),
            alternatives => format!("{{{}}}", alternatives.join(",")),
        };
        let pattern: String = pieces.iter().map(braced).chain([end.clone()]).collect();
        let text_chars: Vec<char> = text.chars().collect();
        let expected = spelled_out(&pieces).iter().any(|pattern| {
            let pattern: Vec<char> = pattern.chars().chain(end.chars()).collect();
            obviously(&pattern, &text_chars, true)
        });
        prop_assert_eq!(Glob::new(&pattern).unwrap().matches(&text), expected, "{}", pattern);
    }

    #[test]
    fn no_pattern_panics(pattern in ".{0,40}", text in ".{0,40}") {
        if let Ok(glob) = Glob::new(&pattern) {
            glob.matches(&text);
        }
        if let Ok(glob) = Glob::path(&pattern) {
            glob.matches(&text);
        }
    }

    #[test]
    fn escaped_texts_match_themselves(text in "[^/]{0,20}") {
        let pattern: String = text.chars().flat_map(|c| ['\\', c]).collect();
        prop_assert!(Glob::new(&pattern).unwrap().matches(&text));
    }
}
