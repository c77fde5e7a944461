//! The batch spec: its form in memory, how it is read, and what is checked.

mod decode;
mod decode_step;
mod decode_template;
mod decoder;
mod email;
mod fields;
mod json;
mod mount_check;
mod parse;
pub(crate) mod step_json;
mod suggest;
mod whole;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use decoder::Spans;
pub use fields::{GlobField, TemplateField};
pub use mount_check::{MountError, ResolvedMount, check_mounts};
pub use parse::{
    CheckGlob, CheckTemplate, FieldError, ParseOptions, Parsed, UnsupportedVersion, parse,
};
pub use whole::{component_problems, parse_whole};

/// A whole batch spec (facts/batch-spec.md 1.3).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchSpec {
    /// Schema version, 1 to 3; 0 when the document has none (behaves as 1).
    pub version: u32,
    /// Name in its namespace.
    pub name: String,
    /// Markdown text, empty if absent.
    pub description: String,
    /// Where to find repositories.
    pub on: Vec<On>,
    /// How repositories split into workspaces.
    pub workspaces: Vec<WorkspaceRule>,
    /// What to run.
    pub steps: Vec<Step>,
    /// How one workspace's diff is split over branches.
    pub transform_changes: Option<TransformChanges>,
    /// Existing changesets to track.
    pub import_changesets: Vec<ImportChangesets>,
    /// How a diff becomes a changeset.
    pub changeset_template: Option<ChangesetTemplate>,
}

/// One entry of `on`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// `repositoriesMatchingQuery`.
    Query(String),
    /// `repository`, with the branches asked for (none: the default branch).
    Repository {
        /// Repository name.
        name: String,
        /// Branches; empty means the default branch.
        branches: Vec<String>,
    },
}

/// One entry of `workspaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRule {
    /// File name whose directories become workspaces.
    pub root_at_location_of: String,
    /// Glob on repository names; `None` matches all.
    pub in_: Option<String>,
    /// Whether only the workspace's directory is fetched.
    pub only_fetch_workspace: bool,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Shell script; a template.
    pub run: String,
    /// Image; a template.
    pub container: String,
    /// Environment variables.
    pub env: Environment,
    /// Target path in the container to content (a template).
    pub files: BTreeMap<String, String>,
    /// Output name to how it is made.
    pub outputs: BTreeMap<String, Output>,
    /// Host files and directories shown to the step, read-only.
    pub mount: Vec<Mount>,
    /// When to run.
    pub if_: Condition,
}

/// `env` of a step, in source order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The variables; a later duplicate wins.
    pub vars: Vec<EnvVar>,
}

/// One variable of `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvVar {
    /// A value written in the spec; a template.
    Static {
        /// Variable name.
        name: String,
        /// Unrendered value.
        value: String,
    },
    /// A variable taken from the environment that Capstan runs in. Its value is a template too.
    Forwarded {
        /// Variable name.
        name: String,
    },
}

/// One entry of `outputs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The text to decode; a template.
    pub value: String,
    /// How to decode it; `None` is text and is left out of the JSON form.
    pub format: Option<OutputFormat>,
}

/// How an output's text becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// The text as it is.
    Text,
    /// The first JSON value.
    Json,
    /// The first YAML document.
    Yaml,
}

/// One entry of `mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host, relative to the directory of the spec file, or absolute inside it.
    pub path: String,
    /// Absolute path in the container.
    pub mountpoint: String,
}

/// `if` of a step; keeps the type it was written with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// Absent: the step runs.
    #[default]
    Absent,
    /// `true` or `false`.
    Bool(bool),
    /// A template; the step runs if it renders to `true`. Empty text counts as absent.
    Text(String),
}

/// `transformChanges`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransformChanges {
    /// The groups, in order.
    pub group: Vec<Group>,
}

/// One entry of `transformChanges.group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Directory whose files go to the branch.
    pub directory: String,
    /// The branch.
    pub branch: String,
    /// Repository it is for; `None`: all.
    pub repository: Option<String>,
}

/// One entry of `importChangesets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportChangesets {
    /// Repository name.
    pub repository: String,
    /// Identifiers on the code host; whole numbers in plain decimal.
    pub external_ids: Vec<String>,
}

/// `changesetTemplate`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangesetTemplate {
    /// Title; a template.
    pub title: String,
    /// Body; a template, empty if absent.
    pub body: String,
    /// Branch; a template.
    pub branch: String,
    /// Whether to push to a fork; `None` leaves it to the server.
    pub fork: Option<bool>,
    /// Commit message; a template.
    pub message: String,
    /// Commit author; both parts are templates.
    pub author: Option<Author>,
    /// Publication rules; `None` when unset.
    pub published: Option<Published>,
}

/// Author of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Name; a template.
    pub name: String,
    /// E-mail address; a template.
    pub email: String,
}

/// `published`: rules, the last that matches decides (facts/batch-spec.md 1.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The rules, in order. A scalar is one rule with pattern `*`.
    pub rules: Vec<PublishedRule>,
}

/// One publication rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRule {
    /// Glob on repository names.
    pub pattern: String,
    /// Branch that the rule is limited to, compared exactly.
    pub branch: Option<String>,
    /// The value.
    pub value: PublishedValue,
}

/// State in which a changeset is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedValue {
    /// `true`.
    Yes,
    /// `false`.
    No,
    /// `draft`.
    Draft,
}
