//! The flags of `batch exec` (facts/batch-spec.md 6.7): whoever is called by that name takes them.

use std::time::Duration;

use crate::diff::Encoding;
use crate::go_flags::{self, Flag, Parsed};

/// All of them.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "f",
        boolean: false,
        about: "The workspace execution input file to read (JSON). Required.",
    },
    Flag {
        name: "repo",
        boolean: false,
        about: "The checked-out repository; steps run in it. Required.",
    },
    Flag {
        name: "tmp",
        boolean: false,
        about: "Directory for temporary data. Required. A relative one is created and must not exist yet.",
    },
    Flag {
        name: "workspaceFiles",
        boolean: false,
        about: "Directory in which mount paths are looked up. Default: the current one.",
    },
    Flag {
        name: "timeout",
        boolean: false,
        about: "Longest run of all steps, as a Go duration. Default: 1h.",
    },
    Flag {
        name: "run-as-image-user",
        boolean: true,
        about: "Run steps as the image's user instead of as root.",
    },
    Flag {
        name: "binaryDiffs",
        boolean: true,
        about: "Write results in version 2, whose diffs may hold any bytes.",
    },
];

/// What the flags said. Paths are as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecFlags {
    /// The execution input.
    pub input: String,
    /// The checked-out repository.
    pub repository: String,
    /// Directory for temporary data.
    pub temporary: String,
    /// Directory in which mount paths are looked up; `None`: the current one.
    pub workspace_files: Option<String>,
    /// Longest run of all steps.
    pub timeout: Option<Duration>,
    /// Whether steps run as the image's user instead of as root.
    pub as_image_user: bool,
    /// The version of step results.
    pub encoding: Encoding,
}

/// Reads the arguments that stand behind `batch exec`.
///
/// # Errors
///
/// One line that says what is wrong with them, as `src` has it.
pub fn parse(arguments: &[String]) -> Result<ExecFlags, String> {
    let values = match go_flags::parse(FLAGS, arguments)? {
        Parsed::Values(values) => values,
        Parsed::Help => return Err("flag: help requested".to_owned()),
    };
    let get = |name| values.get(name).filter(|value| !value.is_empty()).cloned();
    let required = |name, missing: &str| get(name).ok_or_else(|| missing.to_owned());
    let is_set = |name| values.get(name).is_some_and(|value| value == "true");
    let timeout = get("timeout").map(|text| {
        crate::duration::parse(&text)
            .map_err(|error| format!("invalid value {text:?} for flag -timeout: {error}"))
    });
    Ok(ExecFlags {
        input: required("f", "input file parameter missing")?,
        temporary: required("tmp", "tempDir parameter missing")?,
        repository: required("repo", "repoDir parameter missing")?,
        workspace_files: get("workspaceFiles"),
        timeout: timeout.transpose()?,
        as_image_user: is_set("run-as-image-user"),
        encoding: if is_set("binaryDiffs") {
            Encoding::Base64
        } else {
            Encoding::Text
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<ExecFlags, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn what_servers_send_is_read() {
        let line = "-f input.json -repo repository -tmp .src-tmp -binaryDiffs -workspaceFiles workspace-files -timeout 90m0s";
        let expected = ExecFlags {
            input: "input.json".to_owned(),
            repository: "repository".to_owned(),
            temporary: ".src-tmp".to_owned(),
            workspace_files: Some("workspace-files".to_owned()),
            timeout: Some(Duration::from_secs(5400)),
            as_image_user: false,
            encoding: Encoding::Base64,
        };
        assert_eq!(read(line), Ok(expected));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        for (line, error) in [
            ("-f a -repo b", "tempDir parameter missing"),
            ("-repo a -tmp b", "input file parameter missing"),
            ("-f a -tmp b", "repoDir parameter missing"),
            ("-f a -x", "flag provided but not defined: -x"),
            ("-help", "flag: help requested"),
            (
                "-f a -repo b -tmp c -timeout soon",
                "invalid value \"soon\" for flag -timeout: expected a duration such as 90s, 30m or 1h30m",
            ),
        ] {
            assert_eq!(read(line).unwrap_err(), error);
        }
    }
}
