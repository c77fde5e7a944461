//! The environment of a script, as the shell at the gate sets it.

use std::collections::BTreeMap;

use crate::fault::Fault;

/// Variables the gate's shell sets or uses itself.
const TOUCHED_BY_THE_GATE: [&str; 5] = ["CAPSTAN_GATE", "OLDPWD", "PWD", "SHLVL", "TMOUT"];

/// Variables that shells treat specially, so that `export` would not hand the value on as it is. Names that
/// begin with `BASH` belong to them.
const SPECIAL_IN_SHELLS: [&str; 21] = [
    "_",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "FUNCNEST",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "OPTARG",
    "OPTIND",
    "POSIXLY_CORRECT",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "UID",
];

/// Writes the environment file, so that the script sees what the engine would have given it: `from_image` (as
/// `NAME=value`) with `step` in front.
///
/// # Errors
/// A workspace fault for a name or value that no environment can hold.
pub(crate) fn environment_file(
    from_image: &[String],
    step: &BTreeMap<String, String>,
) -> Result<String, Fault> {
    for (name, value) in step {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Fault::workspace(format!(
                "environment variable {name:?}: the name is empty or contains = or NUL"
            )));
        }
        if value.contains('\0') {
            return Err(Fault::workspace(format!(
                "environment variable {name:?}: the value contains a NUL byte"
            )));
        }
    }
    let mut text = format!("unset {}\n", TOUCHED_BY_THE_GATE.join(" "));
    let mut odd = String::new();
    let from_image = from_image
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .filter(|(name, _)| !is_exportable(name) && !step.contains_key(*name));
    let from_step = step
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in from_image.chain(from_step) {
        if is_exportable(name) {
            text.push_str(&format!("export {name}={}\n", quote(value)));
        } else {
            odd.push_str(&format!(" {}", quote(&format!("{name}={value}"))));
        }
    }
    // The gate has put the path of the `env` utility into $4. It is only needed for such names.
    text.push_str(&match odd.as_str() {
        "" => "set -- \"$1\" \"$2\"\n".to_owned(),
        odd => format!("set -- \"$1\" \"$4\"{odd} \"$2\"\n"),
    });
    Ok(text)
}

/// Whether `export` in any shell hands a variable of this name on unchanged.
fn is_exportable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
        && !name.starts_with("BASH")
        && !SPECIAL_IN_SHELLS.contains(&name)
        && !TOUCHED_BY_THE_GATE.contains(&name)
}

/// Quotes for any POSIX shell.
pub(crate) fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn step(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// Sources the file in a shell and returns what its child sees in variable `X`.
    fn through_shell(file: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs_err::write(&path, file).unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", r#". "$0"; exec "$@" -c 'printf %s "$X"'"#])
            .arg(&path)
            .args(["token", "/bin/sh", "", "/usr/bin/env"])
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_value_survives(value in "[^\0]{0,40}") {
            let file = environment_file(&[], &step(&[("X", &value)])).unwrap();
            let file = file.replace("set -- \"$1\" \"$2\"", "set -- \"$2\"");
            prop_assert_eq!(through_shell(&file), value.as_bytes());
        }
    }

    #[test]
    fn odd_names_go_through_the_env_utility() {
        let image =
            ["SHLVL=3", "dotted.name=from image", "PATH=/bin", "a.b=old"].map(str::to_owned);
        let file = environment_file(&image, &step(&[("a.b", "it's"), ("UID", "7"), ("X", "x")]));
        insta::assert_snapshot!(file.unwrap(), @r#"
        unset CAPSTAN_GATE OLDPWD PWD SHLVL TMOUT
        export X='x'
        set -- "$1" "$4" 'SHLVL=3' 'dotted.name=from image' 'UID=7' 'a.b=it'\''s' "$2"
        "#);
    }

    #[test]
    fn what_no_environment_can_hold_is_refused() {
        for pair in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "\0")] {
            assert!(environment_file(&[], &step(&[pair])).is_err(), "{pair:?}");
        }
    }
}
