//! Words of a line, split as a POSIX shell does where nothing is expanded (POSIX.1-2024, 2.2 Quoting).

/// Characters that mean something to a shell where they are not quoted, and nothing here.
const OPERATORS: [char; 9] = ['|', '&', ';', '<', '>', '(', ')', '$', '`'];

/// Why a line is not split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A character that only a shell would understand.
    #[error(
        "column {column}: there is no shell in a WebAssembly step, so {character:?} has no meaning: put it in single quotes to pass it on as it is"
    )]
    Shell {
        /// The character.
        character: char,
        /// Which character of the line it is, from 1.
        column: usize,
    },
    /// A `#` where a shell would take the rest for a comment.
    #[error(
        "column {column}: there is no shell in a WebAssembly step, so # begins no comment: put it in single quotes to pass it on as it is"
    )]
    Comment {
        /// Which character of the line it is, from 1.
        column: usize,
    },
    /// A quote that does not end on the line.
    #[error("column {column}: the quote {quote} does not end on its line")]
    Open {
        /// The quote.
        quote: char,
        /// Which character of the line it is, from 1.
        column: usize,
    },
    /// A backslash with nothing after it.
    #[error("the line ends with a backslash, but there is no other line to join")]
    Backslash,
    /// NUL, which no argument can hold.
    #[error("column {column}: an argument cannot hold a NUL character")]
    Nul {
        /// Which character of the line it is, from 1.
        column: usize,
    },
}

/// The words of `line`. What is quoted stands for itself; white space between words is blanks and tabs. `*`, `?`, `[`, `~`,
/// `{`, `!` and `=` are characters like any other.
///
/// # Errors
///
/// If a shell would do more with the line than split it.
pub fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    // A word has begun as soon as there is a quote, also an empty one.
    let mut word: Option<String> = None;
    let mut characters = line.chars().zip(1..);
    while let Some((character, column)) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\0' => return Err(WordsError::Nul { column }),
            '#' if word.is_none() => return Err(WordsError::Comment { column }),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                quoted(character, column, &mut characters, word)?;
            }
            '\\' => match characters.next() {
                Some((next, column)) => word.get_or_insert_default().push(whole(next, column)?),
                None => return Err(WordsError::Backslash),
            },
            _ if OPERATORS.contains(&character) => {
                return Err(WordsError::Shell { character, column });
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Adds what follows, up to the closing quote.
fn quoted(
    quote: char,
    opened: usize,
    characters: &mut impl Iterator<Item = (char, usize)>,
    word: &mut String,
) -> Result<(), WordsError> {
    let open = WordsError::Open {
        quote,
        column: opened,
    };
    loop {
        let Some((character, column)) = characters.next() else {
            return Err(open);
        };
        match character {
            _ if character == quote => return Ok(()),
            '\\' if quote == '"' => match characters.next() {
                Some((next @ ('"' | '\\' | '$' | '`'), _)) => word.push(next),
                Some((next, column)) => word.extend(['\\', whole(next, column)?]),
                None => return Err(open),
            },
            // A shell would expand these inside double quotes, too.
            '$' | '`' if quote == '"' => return Err(WordsError::Shell { character, column }),
            _ => word.push(whole(character, column)?),
        }
    }
}

/// Refuses what no argument can hold.
fn whole(character: char, column: usize) -> Result<char, WordsError> {
    match character {
        '\0' => Err(WordsError::Nul { column }),
        _ => Ok(character),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_as_a_shell_quotes() {
        for (line, expected) in [
            ("", vec![]),
            (" \t ", vec![]),
            ("a b\tc", vec!["a", "b", "c"]),
            ("'a b' \"c d\"", vec!["a b", "c d"]),
            ("a'b'\"c\"d", vec!["abcd"]),
            ("'' \"\"", vec!["", ""]),
            (r"a\ b \'c \\", vec!["a b", "'c", r"\"]),
            (r#""a\"b\\c\$d\`e\f""#, vec![r#"a"b\c$d`e\f"#]),
            (r"'a\b$c`d|'", vec![r"a\b$c`d|"]),
            (r"\$HOME \| \#", vec!["$HOME", "|", "#"]),
            (
                "a#b *.rs ~ {a,b} [x] ! k=v",
                vec!["a#b", "*.rs", "~", "{a,b}", "[x]", "!", "k=v"],
            ),
            ("ünï  ¢", vec!["ünï", "¢"]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line:?}");
        }
    }

    #[test]
    fn says_that_there_is_no_shell() {
        let shown = |line: &str| split(line).unwrap_err().to_string();
        insta::assert_snapshot!(shown("ü | x"), @"column 3: there is no shell in a WebAssembly step, so '|' has no meaning: put it in single quotes to pass it on as it is");
        insta::assert_snapshot!(shown("a #b"), @"column 3: there is no shell in a WebAssembly step, so # begins no comment: put it in single quotes to pass it on as it is");
        insta::assert_snapshot!(shown("a 'b"), @"column 3: the quote ' does not end on its line");
        insta::assert_snapshot!(shown("a \\"), @"the line ends with a backslash, but there is no other line to join");
        insta::assert_snapshot!(shown("a\0"), @"column 2: an argument cannot hold a NUL character");
        for operator in OPERATORS {
            let expected = Err(WordsError::Shell {
                character: operator,
                column: 2,
            });
            assert_eq!(split(&format!("a{operator}")), expected);
        }
        for operator in ['$', '`'] {
            assert!(split(&format!("\"{operator}\"")).is_err(), "{operator}");
        }
        for nul in ["'\0'", "\"\\\0\"", "\\\0"] {
            assert!(matches!(split(nul), Err(WordsError::Nul { .. })), "{nul:?}");
        }
    }

    proptest! {
        #[test]
        fn any_quoted_words_come_back(words in prop::collection::vec("[^\0]{0,12}", 0..6)) {
            let quote = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
            let line: Vec<_> = words.iter().map(quote).collect();
            prop_assert_eq!(split(&line.join(" ")).unwrap(), words);
        }

        #[test]
        fn any_line_has_an_answer(line in ".{0,60}") {
            let _ = split(&line);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// Where there is an answer, it is a real shell's.
        #[test]
        fn a_shell_splits_the_same(line in r#"[ab '"\\\t$#=%]{0,16}"#) {
            if let Ok(words) = split(&line) {
                let output = Command::new("/bin/sh")
                    .arg("-fc")
                    .arg(format!("set -- {line}\nfor word; do printf '%s\\0' \"$word\"; done"))
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
                prop_assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
            }
        }
    }
}
