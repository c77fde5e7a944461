//! Flags as Go programs take them: one dash or two, `-name=value` or `-name value`, booleans only with `=`.
//!
//! `src batch exec` is called by programs that spell them so (facts/batch-spec.md 6).

use std::collections::BTreeMap;

/// A flag that is known.
#[derive(Debug)]
pub struct Flag {
    /// Without dashes.
    pub name: &'static str,
    /// Whether it is `true` or `false`.
    pub boolean: bool,
    /// For people.
    pub about: &'static str,
}

/// What the flags said.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Values by name; booleans are `true` or `false`.
    Values(BTreeMap<&'static str, String>),
    /// Help was asked for.
    Help,
}

/// Reads `arguments`.
///
/// # Errors
///
/// One line in Go's words.
pub fn parse(known: &[Flag], arguments: &[String]) -> Result<Parsed, String> {
    let mut values = BTreeMap::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(body) = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-'))
        else {
            return Err("additional arguments not allowed".to_owned());
        };
        if body.is_empty() {
            return Err("additional arguments not allowed".to_owned());
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        if name == "h" || name == "help" {
            return Ok(Parsed::Help);
        }
        let Some(flag) = known.iter().find(|flag| flag.name == name) else {
            return Err(format!("flag provided but not defined: -{name}"));
        };
        let value = match (flag.boolean, value) {
            (true, None) => "true".to_owned(),
            (true, Some(value)) => match value.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => "true".to_owned(),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => "false".to_owned(),
                _ => {
                    return Err(format!(
                        "invalid boolean value {value:?} for -{name}: parse error"
                    ));
                }
            },
            (false, Some(value)) => value,
            (false, None) => match arguments.next() {
                Some(value) => value.clone(),
                None => return Err(format!("flag needs an argument: -{name}")),
            },
        };
        values.insert(flag.name, value);
    }
    Ok(Parsed::Values(values))
}

/// The list of flags for people.
pub fn usage(known: &[Flag]) -> String {
    known
        .iter()
        .map(|flag| {
            let value = if flag.boolean { "" } else { " value" };
            format!("  -{}{value}\n        {}\n", flag.name, flag.about)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Flag] = &[
        Flag {
            name: "f",
            boolean: false,
            about: "",
        },
        Flag {
            name: "binaryDiffs",
            boolean: true,
            about: "",
        },
    ];

    fn parsed(arguments: &[&str]) -> Result<Vec<(&'static str, String)>, String> {
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        match parse(KNOWN, &arguments)? {
            Parsed::Values(values) => Ok(values.into_iter().collect()),
            Parsed::Help => Ok(vec![("help", String::new())]),
        }
    }

    #[test]
    fn reads_what_go_reads() {
        let both = vec![("binaryDiffs", "true".to_owned()), ("f", "x".to_owned())];
        assert_eq!(parsed(&["-f", "x", "-binaryDiffs"]), Ok(both.clone()));
        assert_eq!(parsed(&["--f=x", "--binaryDiffs=1"]), Ok(both));
        assert_eq!(parsed(&["-f="]), Ok(vec![("f", String::new())]));
        assert_eq!(parsed(&["-h"]).unwrap()[0].0, "help");
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (arguments, error) in [
            (&["-x"][..], "flag provided but not defined: -x"),
            (&["-f"], "flag needs an argument: -f"),
            (
                &["-binaryDiffs=maybe"],
                "invalid boolean value \"maybe\" for -binaryDiffs: parse error",
            ),
            (
                &["-binaryDiffs", "false"],
                "additional arguments not allowed",
            ),
        ] {
            assert_eq!(parsed(arguments).unwrap_err(), error);
        }
    }
}
