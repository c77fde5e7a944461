//! The rendered `run` of a step in WebAssembly: arguments and standard input.

use serde::Serialize;

use super::words::{self, WordsError};

/// What a component is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Invocation {
    /// Arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: String,
}

/// A `run` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the first line of run are the component's arguments: {0}")]
pub struct InvocationError(#[from] pub WordsError);

impl Invocation {
    /// Reads a rendered `run`. Its first line, and those that it joins by a backslash at its end, are the
    /// arguments; an empty first line means none. All that follows is standard input, byte for byte.
    ///
    /// # Errors
    /// If the first line has what only a shell would understand, or a quote that does not end.
    pub fn parse(run: &str) -> Result<Self, InvocationError> {
        let mut line = String::new();
        let mut rest = run;
        loop {
            let (first, after) = rest
                .split_once('\n')
                .map_or((rest, None), |(first, after)| {
                    (first.strip_suffix('\r').unwrap_or(first), Some(after))
                });
            rest = after.unwrap_or_default();
            match first.strip_suffix('\\') {
                // Of two backslashes, the first makes the second an ordinary character.
                Some(joined) if after.is_some() && !ends_quoted(joined) => line.push_str(joined),
                _ => {
                    line.push_str(first);
                    break;
                }
            }
        }
        Ok(Self {
            arguments: words::split(&line)?,
            input: rest.to_owned(),
        })
    }
}

/// Whether a backslash after this text would be quoted by one before it.
fn ends_quoted(text: &str) -> bool {
    let backslashes = text.bytes().rev().take_while(|&byte| byte == b'\\');
    backslashes.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_line_are_arguments_and_the_rest_is_input() {
        for (run, arguments, input) in [
            ("", vec![], ""),
            ("\n", vec![], ""),
            ("a 'b c'", vec!["a", "b c"], ""),
            ("a b\n", vec!["a", "b"], ""),
            ("a\nb $x | y\n\n", vec!["a"], "b $x | y\n\n"),
            ("\n\na\n", vec![], "\na\n"),
            ("a \\\n  b \\\n  c\nd", vec!["a", "b", "c"], "d"),
            ("a\\\nb\n", vec!["ab"], ""),
            ("a\\\\\nb\n", vec!["a\\"], "b\n"),
            ("\"a\\\nb\"\nc", vec!["ab"], "c"),
            ("a\r\nb\r\n", vec!["a"], "b\r\n"),
            ("a \\\r\nb\r\nc", vec!["a", "b"], "c"),
        ] {
            let expected = Invocation {
                arguments: arguments.into_iter().map(str::to_owned).collect(),
                input: input.to_owned(),
            };
            assert_eq!(Invocation::parse(run).unwrap(), expected, "{run:?}");
        }
    }

    #[test]
    fn a_script_for_a_shell_is_told_apart() {
        let shown = |run: &str| Invocation::parse(run).unwrap_err().to_string();
        insta::assert_snapshot!(shown("#!/bin/sh\ntrue"), @"the first line of run are the component's arguments: column 1: there is no shell in a WebAssembly step, so # begins no comment: put it in single quotes to pass it on as it is");
        insta::assert_snapshot!(shown("echo $HOME\n"), @"the first line of run are the component's arguments: column 6: there is no shell in a WebAssembly step, so '$' has no meaning: put it in single quotes to pass it on as it is");
        insta::assert_snapshot!(shown("a \\"), @"the first line of run are the component's arguments: the line ends with a backslash, but there is no other line to join");
        insta::assert_snapshot!(shown("'a\nb'"), @"the first line of run are the component's arguments: column 1: the quote ' does not end on its line");
    }

    proptest! {
        #[test]
        fn input_is_what_follows_the_first_line(first in "[a-z ]{0,20}", input in "(?s).{0,60}") {
            let read = Invocation::parse(&format!("{first}\n{input}")).unwrap();
            prop_assert_eq!(read.input, input);
        }

        #[test]
        fn anything_has_an_answer(run in "(?s).{0,80}") {
            let _ = Invocation::parse(&run);
        }
    }
}
