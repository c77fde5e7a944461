//! The variables, and what each is in either context (facts/batch-spec.md 2.5).

use std::rc::Rc;

use super::datum::{Datum, Map, Text, Texts};
use super::error::nearest;
use super::{ChangesetContext, RepositoryVars, Scope, StepContext, StepVars};
use crate::changed_files::ChangedFiles;
use crate::task::BatchChange;

/// A variable that templates can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `repository`.
    Repository,
    /// `batch_change`.
    BatchChange,
    /// `batch_change_link`; changeset templates only.
    BatchChangeLink,
    /// `outputs`.
    Outputs,
    /// `steps`.
    Steps,
    /// `previous_step`; step templates only.
    PreviousStep,
    /// `step`; step templates only.
    Step,
}

impl Variable {
    const ALL: [Self; 7] = [
        Self::Repository,
        Self::BatchChange,
        Self::BatchChangeLink,
        Self::Outputs,
        Self::Steps,
        Self::PreviousStep,
        Self::Step,
    ];

    /// The name as templates write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::BatchChange => "batch_change",
            Self::BatchChangeLink => "batch_change_link",
            Self::Outputs => "outputs",
            Self::Steps => "steps",
            Self::PreviousStep => "previous_step",
            Self::Step => "step",
        }
    }

    /// The keys that it always has, sorted; `None` if they differ from run to run, or it has none.
    pub(super) fn keys(self, scope: Scope) -> Option<&'static [&'static str]> {
        const STEP: &[&str] = &[
            "added_files",
            "deleted_files",
            "modified_files",
            "renamed_files",
            "stderr",
            "stdout",
        ];
        Some(match (self, scope) {
            (Self::Repository, _) => &["branch", "name", "search_result_paths"],
            (Self::BatchChange, _) => &["description", "name"],
            (Self::Steps, Scope::Step) => &[
                "added_files",
                "deleted_files",
                "modified_files",
                "path",
                "renamed_files",
                "stderr",
                "stdout",
            ],
            (Self::Steps, Scope::Changeset) => &[
                "added_files",
                "deleted_files",
                "modified_files",
                "path",
                "renamed_files",
            ],
            (Self::PreviousStep | Self::Step, _) => STEP,
            (Self::BatchChangeLink | Self::Outputs, _) => return None,
        })
    }

    fn is_in(self, scope: Scope) -> bool {
        match self {
            Self::BatchChangeLink => scope == Scope::Changeset,
            Self::PreviousStep | Self::Step => scope == Scope::Step,
            _ => true,
        }
    }

    pub(super) fn named(name: &str, scope: Scope) -> Option<Self> {
        variables(scope).find(|variable| variable.name() == name)
    }
}

/// The variables of a scope.
pub(super) fn variables(scope: Scope) -> impl Iterator<Item = Variable> {
    Variable::ALL
        .into_iter()
        .filter(move |variable| variable.is_in(scope))
}

/// A variable that a template refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The variable.
    pub variable: Variable,
    /// The first key asked of it, as in `repository.name`; `None` if it is used as a whole.
    pub key: Option<String>,
    /// The byte of the text where it starts.
    pub offset: usize,
}

impl Reference {
    /// Whether the value is the same before the first step and after the last.
    pub(super) fn is_settled_before_steps(&self) -> bool {
        match self.variable {
            Variable::Repository | Variable::BatchChange | Variable::BatchChangeLink => true,
            Variable::Steps => self.key.as_deref() == Some("path"),
            Variable::Outputs | Variable::PreviousStep | Variable::Step => false,
        }
    }
}

/// `.Repository.Name` as `repository.name`, if that is a variable.
pub(super) fn spelled_as_variable(path: &str, scope: Scope) -> Option<String> {
    let mut spelled = String::new();
    let mut previous = '.';
    for c in path.trim_start_matches('.').chars() {
        if c.is_uppercase() && previous != '.' && previous != '_' {
            spelled.push('_');
        }
        spelled.extend(c.to_lowercase());
        previous = c;
    }
    let (root, rest) = match spelled.split_once('.') {
        Some((root, rest)) => (root, Some(rest)),
        None => (spelled.as_str(), None),
    };
    let root = nearest(root, variables(scope).map(Variable::name))?;
    Some(match rest {
        Some(rest) => format!("{root}.{rest}"),
        None => root,
    })
}

/// The values that the variables have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Context<'c> {
    Step(&'c StepContext),
    Changeset(&'c ChangesetContext),
}

impl<'c> Context<'c> {
    /// The value of a variable; `None` if the context does not have it.
    pub(super) fn value(self, variable: Variable) -> Option<Datum<'c>> {
        Some(match (variable, self) {
            (Variable::Repository, Self::Step(context)) => repository(&context.repository),
            (Variable::Repository, Self::Changeset(context)) => repository(&context.repository),
            (Variable::BatchChange, Self::Step(context)) => batch_change(&context.batch_change),
            (Variable::BatchChange, Self::Changeset(context)) => {
                batch_change(&context.batch_change)
            }
            (Variable::Outputs, Self::Step(context)) => Datum::Map(Map::Data(&context.outputs)),
            (Variable::Outputs, Self::Changeset(context)) => {
                Datum::Map(Map::Data(&context.outputs))
            }
            (Variable::Steps, Self::Step(context)) => {
                let mut keys = files(&context.steps);
                keys.push(("path", text(&context.path)));
                keys.push(("stderr", text("")));
                keys.push(("stdout", text("")));
                map(keys)
            }
            (Variable::Steps, Self::Changeset(context)) => {
                let mut keys = files(&context.steps);
                keys.push(("path", text(&context.path)));
                map(keys)
            }
            (Variable::PreviousStep, Self::Step(context)) => step(&context.previous_step),
            (Variable::Step, Self::Step(context)) => step(&context.step),
            // The server puts the link in later, so the text stays.
            (Variable::BatchChangeLink, Self::Changeset(_)) => text("${{ batch_change_link }}"),
            (Variable::PreviousStep | Variable::Step, Self::Changeset(_))
            | (Variable::BatchChangeLink, Self::Step(_)) => return None,
        })
    }
}

fn repository(vars: &RepositoryVars) -> Datum<'_> {
    map(vec![
        ("branch", text(&vars.branch)),
        ("name", text(&vars.name)),
        (
            "search_result_paths",
            Datum::Paths(&vars.search_result_paths),
        ),
    ])
}

fn batch_change(vars: &BatchChange) -> Datum<'_> {
    map(vec![
        ("description", text(&vars.description)),
        ("name", text(&vars.name)),
    ])
}

fn step(vars: &StepVars) -> Datum<'_> {
    let mut keys = files(&vars.files);
    keys.push(("stderr", text(&vars.stderr)));
    keys.push(("stdout", text(&vars.stdout)));
    map(keys)
}

type Keys<'c> = Vec<(&'static str, Datum<'c>)>;

/// The four file lists, in the order of their names.
fn files(files: &ChangedFiles) -> Keys<'_> {
    let list = |names| Datum::Texts(Texts::Borrowed(names));
    vec![
        ("added_files", list(&files.added)),
        ("deleted_files", list(&files.deleted)),
        ("modified_files", list(&files.modified)),
        ("renamed_files", list(&files.renamed)),
    ]
}

fn text(text: &str) -> Datum<'_> {
    Datum::Text(Text::Borrowed(text))
}

/// Keys must come sorted.
fn map<'c>(keys: Keys<'c>) -> Datum<'c> {
    Datum::Map(Map::Variable(Rc::from(keys)))
}
