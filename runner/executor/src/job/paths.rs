//! The names that a payload brings along: a server, or whoever pretends to be one, decides what they are.

use std::fmt;

/// Longest path, as the kernel has it.
const PATH: usize = 4095;

/// Longest name in a path.
const NAME: usize = 255;

/// Longest key of a step or of a stored file.
const KEY: usize = 255;

/// Longest name of a repository.
const REPOSITORY: usize = 1024;

/// Longest `NAME=VALUE`: the kernel starts no process with a longer one.
const VARIABLE: usize = 128 << 10;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("it is empty")]
    Empty,
    #[error("it is absolute")]
    Absolute,
    #[error("it leads out of its directory by ..")]
    Parent,
    #[error("it holds a NUL byte")]
    Nul,
    #[error("it holds a control character")]
    Control,
    #[error("it ends with a slash, so it is no file")]
    Slash,
    #[error("it is longer than {0} bytes")]
    Long(usize),
    #[error("a name in it is longer than {NAME} bytes")]
    LongName,
    #[error("it holds a character other than letters, digits and . _ - = / +")]
    Character,
    #[error("it begins with a dash")]
    Dash,
    #[error("it is not in the form NAME=VALUE")]
    NoValue,
    #[error("it is no full commit id")]
    NoCommit,
}

/// A name of the payload that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refusing the {what} {}: {flaw}", Shown(name))]
pub(super) struct Refused {
    what: &'static str,
    name: String,
    flaw: Flaw,
}

/// A name for people: in one line, and not all of a huge one.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 100;
        let end = self.0.floor_char_boundary(SHOWN);
        write!(f, "{:?}", &self.0[..end])?;
        match end == self.0.len() {
            true => Ok(()),
            false => f.write_str("..."),
        }
    }
}

fn refused(what: &'static str, name: &str, flaw: Flaw) -> Refused {
    Refused {
        what,
        name: name.to_owned(),
        flaw,
    }
}

/// A path below a directory: names that are neither empty nor `.` nor `..`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Below(Vec<String>);

impl Below {
    /// Reads the path of a directory, where nothing and `.` stand for the one it is below.
    pub(super) fn directory(what: &'static str, text: &str) -> Result<Self, Refused> {
        names(text.trim_end_matches('/'), text)
            .map(Self)
            .map_err(|flaw| refused(what, text, flaw))
    }

    /// Reads the path of a file.
    pub(super) fn file(what: &'static str, text: &str) -> Result<Self, Refused> {
        if text.ends_with('/') {
            return Err(refused(what, text, Flaw::Slash));
        }
        let names = names(text, text).map_err(|flaw| refused(what, text, flaw))?;
        match names.is_empty() {
            true => Err(refused(what, text, Flaw::Empty)),
            false => Ok(Self(names)),
        }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is `other` or below it.
    pub(super) fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

fn names(text: &str, whole: &str) -> Result<Vec<String>, Flaw> {
    if whole.len() > PATH {
        return Err(Flaw::Long(PATH));
    }
    if whole.contains('\0') {
        return Err(Flaw::Nul);
    }
    if whole.contains(char::is_control) {
        return Err(Flaw::Control);
    }
    if whole.starts_with('/') {
        return Err(Flaw::Absolute);
    }
    let mut names = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => return Err(Flaw::Parent),
            _ if name.len() > NAME => return Err(Flaw::LongName),
            _ => names.push(name.to_owned()),
        }
    }
    Ok(names)
}

/// Checks the key of a step, or a part of the address of a stored file.
pub(super) fn key(what: &'static str, text: &str) -> Result<(), Refused> {
    let flaw = if text.len() > KEY {
        Flaw::Long(KEY)
    } else if text.contains('\0') {
        Flaw::Nul
    } else if text.starts_with('/') {
        Flaw::Absolute
    } else if text.split('/').any(|name| matches!(name, "." | "..")) {
        Flaw::Parent
    } else if text
        .chars()
        .any(|c| !c.is_ascii_alphanumeric() && !"._-=/+".contains(c))
    {
        Flaw::Character
    } else {
        return Ok(());
    };
    Err(refused(what, text, flaw))
}

/// Checks the name of a repository, which becomes part of a URL.
pub(super) fn repository(text: &str) -> Result<(), Refused> {
    let flaw = if text.is_empty() {
        return Ok(());
    } else if text.len() > REPOSITORY {
        Flaw::Long(REPOSITORY)
    } else if text.contains('\0') {
        Flaw::Nul
    } else if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        Flaw::Control
    } else if text.starts_with('/') {
        Flaw::Absolute
    } else if text.starts_with('-') {
        Flaw::Dash
    } else if text.split('/').any(|name| matches!(name, "." | "..")) {
        Flaw::Parent
    } else {
        return Ok(());
    };
    Err(refused("repository", text, flaw))
}

/// Checks the id of a commit.
pub(super) fn commit(text: &str) -> Result<(), Refused> {
    let is_id = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_id {
        true => Ok(()),
        false => Err(refused("commit", text, Flaw::NoCommit)),
    }
}

/// Checks a pattern of what is checked out: a line of a file.
pub(super) fn pattern(text: &str) -> Result<(), Refused> {
    let flaw = if text.contains('\0') {
        Flaw::Nul
    } else if text.contains(char::is_control) {
        Flaw::Control
    } else if text.len() > PATH {
        Flaw::Long(PATH)
    } else {
        return Ok(());
    };
    Err(refused("pattern", text, flaw))
}

/// Splits `NAME=VALUE`. The value is not shown, whatever is wrong: it may be a secret.
pub(super) fn variable(text: &str) -> Result<(&str, &str), Refused> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let flaw = if text.len() >= VARIABLE {
        Flaw::Long(VARIABLE - 1)
    } else if text.contains('\0') {
        Flaw::Nul
    } else if name.is_empty() {
        Flaw::Empty
    } else if name.len() > NAME {
        Flaw::Long(NAME)
    } else if name.contains(char::is_control) {
        Flaw::Control
    } else if let Some(value) = value {
        return Ok((name, value));
    } else {
        Flaw::NoValue
    };
    // Without a name there is only the value.
    let shown = if value.is_none() { "" } else { name };
    Err(refused("environment variable", shown, flaw))
}
