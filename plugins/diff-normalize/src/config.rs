//! What is done to which files.

use capstan_plugin::{Globs, Result};
use serde::Deserialize;

/// The plugin's configuration; see README.md.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    line_endings: Option<LineEndings>,
    trailing_blanks: Option<bool>,
    blank_lines_at_end: Option<bool>,
    final_newline: Option<bool>,
    except: Globs,
    overrides: Vec<Override>,
}

/// Other rules for some files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Override {
    paths: Globs,
    line_endings: Option<LineEndings>,
    trailing_blanks: Option<bool>,
    blank_lines_at_end: Option<bool>,
    final_newline: Option<bool>,
}

/// How added lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LineEndings {
    /// As the lines around them.
    Match,
    /// As they are.
    Keep,
    /// In a line feed.
    Lf,
    /// In a carriage return and a line feed.
    Crlf,
}

/// What is done to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) line_endings: LineEndings,
    /// Whether blanks at the ends of lines go.
    pub(crate) trailing_blanks: bool,
    /// Whether blank lines at the end of the file go.
    pub(crate) blank_lines_at_end: bool,
    /// Whether the last line gets a line feed.
    pub(crate) final_newline: bool,
}

impl Config {
    /// Puts in front what is true of some kinds of files, unless the operator says otherwise.
    pub(crate) fn with_defaults(mut self) -> Result<Self> {
        let untouched = |paths: &str| -> Result<Override> {
            Ok(Override {
                paths: Globs::paths([paths])?,
                line_endings: None,
                trailing_blanks: Some(false),
                blank_lines_at_end: None,
                final_newline: None,
            })
        };
        let defaults = [
            // Two blanks at the end of a line are a line break.
            untouched("*.{md,markdown,mdx}")?,
            // An empty line of context is a blank.
            untouched("*.{diff,patch}")?,
        ];
        self.overrides.splice(0..0, defaults);
        Ok(self)
    }

    /// What is done to this file; `None`: nothing.
    pub(crate) fn rules(&self, path: &str) -> Option<Rules> {
        if self.except.matches(path) {
            return None;
        }
        let mut rules = Rules {
            line_endings: self.line_endings.unwrap_or(LineEndings::Match),
            trailing_blanks: self.trailing_blanks.unwrap_or(true),
            blank_lines_at_end: self.blank_lines_at_end.unwrap_or(true),
            final_newline: self.final_newline.unwrap_or(true),
        };
        for other in &self.overrides {
            if !other.paths.matches(path) {
                continue;
            }
            rules = Rules {
                line_endings: other.line_endings.unwrap_or(rules.line_endings),
                trailing_blanks: other.trailing_blanks.unwrap_or(rules.trailing_blanks),
                blank_lines_at_end: other.blank_lines_at_end.unwrap_or(rules.blank_lines_at_end),
                final_newline: other.final_newline.unwrap_or(rules.final_newline),
            };
        }
        Some(rules)
    }
}
