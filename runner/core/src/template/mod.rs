//! Templates: the `${{ }}` language of batch specs.
//!
//! It is Go's text/template as far as batch specs can reach it, with the functions and variables of
//! facts/batch-spec.md 2. A text is parsed once ([`Template::parse`]) for the scope it stands in and
//! can then be rendered many times. The way through the modules: `lexer` → `parser` → `ast` →
//! `eval`, which calls `functions` and writes values with `print`; `partial` decides what is already
//! known before anything runs.

mod ast;
mod budget;
mod compare;
mod context;
mod datum;
mod error;
mod escape;
mod eval;
mod float;
mod functions;
mod keys;
mod lexer;
mod number;
mod parser;
mod partial;
mod print;
mod printf;
mod quote;
mod token;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use context::{Reference, Variable};
pub use error::TemplateError;
pub use keys::UnknownKey;
pub use partial::{StaticCondition, StaticVars, condition, static_text};

use crate::changed_files::ChangedFiles;
use crate::task::BatchChange;
use crate::value::Outputs;

/// The repository as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryVars {
    /// `repository.name`.
    pub name: String,
    /// `repository.branch`.
    pub branch: String,
    /// `repository.search_result_paths`, sorted.
    pub search_result_paths: Vec<String>,
}

/// A step as templates see it: `step` and `previous_step`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepVars {
    /// The four file lists.
    pub files: ChangedFiles,
    /// Standard output, untrimmed.
    pub stdout: String,
    /// Standard error, untrimmed.
    pub stderr: String,
}

/// What step templates can refer to (column S of facts/batch-spec.md 2.5).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepContext {
    /// The repository; its branch exactly as given.
    pub repository: RepositoryVars,
    /// The batch change.
    pub batch_change: BatchChange,
    /// Outputs set so far.
    pub outputs: Outputs,
    /// The file lists of `steps`: the state after the previous executed step.
    pub steps: ChangedFiles,
    /// `steps.path`.
    pub path: String,
    /// The last executed step.
    pub previous_step: StepVars,
    /// This step; filled only while its outputs are rendered.
    pub step: StepVars,
}

/// What changeset templates can refer to (column C of facts/batch-spec.md 2.5).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangesetContext {
    /// The repository; its branch without `refs/heads/`.
    pub repository: RepositoryVars,
    /// The batch change.
    pub batch_change: BatchChange,
    /// All outputs.
    pub outputs: Outputs,
    /// The file lists of `steps`: the final state.
    pub steps: ChangedFiles,
    /// `steps.path`.
    pub path: String,
}

/// Where a template stands, which decides the variables it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A field of a step: rendered from a [`StepContext`].
    Step,
    /// A field of `changesetTemplate`: rendered from a [`ChangesetContext`].
    Changeset,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    text: String,
    scope: Scope,
    /// By name; the text itself has the template's own.
    trees: BTreeMap<String, ast::Tree>,
    references: BTreeSet<Reference>,
}

impl Template {
    /// Parses `text`. The name shows in error messages (facts/batch-spec.md 2.1).
    ///
    /// # Errors
    /// When the text is malformed or names a function or variable that its scope does not have.
    pub fn parse(name: &str, text: &str, scope: Scope) -> Result<Self, TemplateError> {
        let parser::Parsed { trees, references } = parser::parse(name, text, scope)?;
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            scope,
            trees,
            references,
        })
    }

    /// Renders a field of a step. The result is not trimmed.
    ///
    /// # Errors
    /// When an operation fails, a key does not exist, the template asks for too much, or it was
    /// parsed for the other scope and uses what only that one has.
    pub fn render_step(&self, context: &StepContext) -> Result<String, TemplateError> {
        eval::render(self, context::Context::Step(context))
    }

    /// Renders a field of `changesetTemplate`. The result is not trimmed; the callers that
    /// facts/batch-spec.md 2.1 names trim it.
    ///
    /// # Errors
    /// As [`Template::render_step`].
    pub fn render_changeset(&self, context: &ChangesetContext) -> Result<String, TemplateError> {
        eval::render(self, context::Context::Changeset(context))
    }

    /// The variables that the text refers to, in any branch of it.
    #[must_use]
    pub fn references(&self) -> &BTreeSet<Reference> {
        &self.references
    }

    /// Whether the text renders to the same before the first step has run as after the last: it
    /// refers to no output and to no step, `steps.path` apart.
    #[must_use]
    pub fn is_final_before_steps(&self) -> bool {
        self.references
            .iter()
            .all(Reference::is_settled_before_steps)
    }
}

/// Parses and renders a field of a step.
///
/// # Errors
/// As [`Template::parse`] and [`Template::render_step`]; [`TemplateError::is_parse`] tells which.
pub fn render_step(name: &str, text: &str, context: &StepContext) -> Result<String, TemplateError> {
    Template::parse(name, text, Scope::Step)?.render_step(context)
}

/// Parses and renders a field of `changesetTemplate`.
///
/// # Errors
/// As [`Template::parse`] and [`Template::render_changeset`]; [`TemplateError::is_parse`] tells
/// which.
pub fn render_changeset(
    name: &str,
    text: &str,
    context: &ChangesetContext,
) -> Result<String, TemplateError> {
    Template::parse(name, text, Scope::Changeset)?.render_changeset(context)
}

/// Whether a rendered `if` lets its step run: it is exactly `true`, white space around it apart
/// (facts/batch-spec.md 2.7).
#[must_use]
pub fn is_true(rendered: &str) -> bool {
    rendered.trim() == "true"
}
