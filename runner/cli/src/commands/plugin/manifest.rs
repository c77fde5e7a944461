//! `capstan-plugin.toml`: what the tools know of a plugin's sources.

use std::path::{Path, PathBuf};

use capstan_core::plugin::Hook;
use serde::Deserialize;

use crate::args::plugin::Language;
use crate::failure::Failed;

/// Name of the file.
pub(super) const FILE: &str = "capstan-plugin.toml";

/// Longest name of a plugin.
const LONGEST_NAME: usize = 64;

/// A plugin's sources.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its name, and that of the component without `.wasm`.
    pub(super) name: String,
    /// The language it is written in.
    pub(super) language: Language,
    /// The hook that it must have.
    pub(super) hook: Hook,
    /// The source file to begin with, relative to the directory; for Rust it is not asked for.
    pub(super) entry: PathBuf,
    /// The world of the WIT package that it is built for.
    pub(super) world: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    lang: String,
    hook: String,
    entry: Option<PathBuf>,
    world: Option<String>,
}

impl Manifest {
    /// Reads the one of a directory.
    pub(super) fn read(directory: &Path) -> Result<Self, Failed> {
        let path = directory.join(FILE);
        if !path.is_file() {
            let message = format!("there is no {FILE} in {}", shown(directory));
            return Err(Failed::usage(message)
                .hint("name the plugin's directory, or make a plugin with `capstan plugin new`"));
        }
        let text = fs_err::read_to_string(&path).map_err(Failed::usage)?;
        Self::parse(&text).map_err(|message| {
            Failed::usage(format!("{}: {message}", path.display()))
                .hint("it has the keys name, lang, hook, entry and, if need be, world")
        })
    }

    /// Reads the text of one.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: Written =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        check_name(&written.name)?;
        let language = Language::from_name(&written.lang).ok_or_else(|| {
            let names = Language::ALL.map(Language::name).join(", ");
            format!("lang = {:?} is none of {names}", written.lang)
        })?;
        let hook = Hook::from_name(&written.hook).ok_or_else(|| {
            let names = Hook::ALL.map(Hook::name).join(", ");
            format!("hook = {:?} is none of {names}", written.hook)
        })?;
        Ok(Self {
            name: written.name,
            language,
            hook,
            entry: written.entry.unwrap_or_else(|| language.entry().into()),
            world: written.world.unwrap_or_else(|| format!("{hook}-plugin")),
        })
    }

    /// Where its component is put.
    pub(super) fn component(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.wasm", self.name))
    }
}

/// Whether a plugin may be called that.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(fits)
        && !name.ends_with('-')
        && name.len() <= LONGEST_NAME;
    if good {
        return Ok(());
    }
    Err(format!(
        "{name:?} cannot be a plugin's name: lower-case letters, digits and hyphens, a letter first, \
         no hyphen at the end, at most {LONGEST_NAME} characters"
    ))
}

/// A directory as a person would write it.
pub(super) fn shown(directory: &Path) -> String {
    match directory.to_str() {
        Some("" | ".") => "this directory".to_owned(),
        _ => directory.display().to_string(),
    }
}

impl Language {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Rust, Self::Python, Self::Js, Self::C];

    /// As `--lang` and the manifest name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::C => "c",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }

    /// The source file to begin with, unless the manifest names another.
    fn entry(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "app.py",
            Self::Js => "plugin.js",
            Self::C => "plugin.c",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "image-policy", "x2"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        for bad in ["", "2x", "-a", "a-", "Image", "a_b", "a/b", "..", &long] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let manifest =
            Manifest::parse("name = \"x\"\nlang = \"python\"\nhook = \"diff\"\n").unwrap();
        assert_eq!(manifest.entry, Path::new("app.py"));
        assert_eq!(manifest.world, "diff-plugin");
        assert_eq!(manifest.component(Path::new("d")), Path::new("d/x.wasm"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| Manifest::parse(text).unwrap_err();
        insta::assert_snapshot!(error("name = \"x\"\nlang = \"go\"\nhook = \"diff\"\n"), @r#"lang = "go" is none of rust, python, js, c"#);
        insta::assert_snapshot!(error("name = \"x\"\nlang = \"c\"\nhook = \"dif\"\n"), @r#"hook = "dif" is none of policy, workspace, output, diff"#);
        insta::assert_snapshot!(error("name = \"x\"\nlanguage = \"c\"\nhook = \"diff\"\n"), @r#"
        TOML parse error at line 2, column 1
          |
        2 | language = "c"
          | ^^^^^^^^
        unknown field `language`, expected one of `name`, `lang`, `hook`, `entry`, `world`
        "#);
    }
}
