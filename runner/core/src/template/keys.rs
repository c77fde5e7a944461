//! Keys that no run can have, found before anything runs.

use std::collections::BTreeSet;

use super::Template;
use super::context::Variable;
use super::error::{Position, TemplateError, nearest};

/// A reference to a key that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct UnknownKey {
    /// The error that rendering would end with.
    pub error: TemplateError,
    /// What could be written instead, whole: `repository.branch`.
    pub known: Vec<String>,
}

impl Template {
    /// Looks for keys that are not there whatever the values: `repository.nam`, or an output that is not among
    /// `outputs`, those that have been set when the template is rendered. `None`: they are not known.
    ///
    /// Upstream finds them when it renders, so a reference in a branch that is never taken passes there.
    ///
    /// # Errors
    /// The first such reference.
    pub fn check_keys(&self, outputs: Option<&BTreeSet<&str>>) -> Result<(), UnknownKey> {
        let unknown = self.references.iter().filter_map(|reference| {
            let key = reference.key.as_deref()?;
            let known: Vec<&str> = match reference.variable {
                Variable::Outputs => outputs?.iter().copied().collect(),
                variable => variable.keys(self.scope)?.to_vec(),
            };
            let is_unknown = !known.contains(&key);
            is_unknown.then_some((reference, key, known))
        });
        let Some((reference, key, known)) = unknown.min_by_key(|(found, ..)| found.offset) else {
            return Ok(());
        };
        let variable = reference.variable.name();
        let whole = |key: &str| format!("{variable}.{key}");
        let error = TemplateError::execution(
            &self.name,
            Position::of(&self.text, reference.offset),
            &self.name,
            variable.to_owned(),
            format!("map has no entry for key {}", super::quote::quote(key)),
        );
        let meant = nearest(key, known.iter().copied());
        Err(UnknownKey {
            error: error.with_suggestion(meant.as_deref().map(whole)),
            known: known.into_iter().map(whole).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{ChangesetContext, Scope, StepContext, Template};

    #[test]
    fn finds_what_rendering_would_find() {
        let steps = [
            "repository.nam",
            "steps.pth",
            "step.path",
            "previous_step.x",
            "batch_change.z",
        ];
        let changesets = ["steps.stdout", "repository.id", "outputs.b"];
        let all = steps
            .map(|text| (text, Scope::Step))
            .into_iter()
            .chain(changesets.map(|text| (text, Scope::Changeset)));
        for (text, scope) in all {
            let template = Template::parse("t", &format!("a ${{{{ {text} }}}}"), scope).unwrap();
            let found = template
                .check_keys(Some(&BTreeSet::from(["a"])))
                .unwrap_err();
            let rendered = match scope {
                Scope::Step => template.render_step(&StepContext::default()),
                Scope::Changeset => template.render_changeset(&ChangesetContext::default()),
            };
            assert_eq!(
                found.to_string(),
                rendered.unwrap_err().to_string(),
                "{text}"
            );
        }
    }

    #[test]
    fn passes_what_may_be_there() {
        for (text, scope) in [
            (
                "${{ repository.name }} ${{ steps.stdout }} ${{ step.stderr }}",
                Scope::Step,
            ),
            (
                "${{ outputs.a.b.c }} ${{ index outputs \"zz\" }}",
                Scope::Step,
            ),
            (
                "${{ batch_change_link }} ${{ steps.path }}",
                Scope::Changeset,
            ),
        ] {
            let template = Template::parse("t", text, scope).unwrap();
            assert_eq!(
                template.check_keys(Some(&BTreeSet::from(["a"]))),
                Ok(()),
                "{text}"
            );
        }
        let template = Template::parse("t", "${{ outputs.a }}", Scope::Step).unwrap();
        assert_eq!(template.check_keys(None), Ok(()));
    }

    #[test]
    fn says_what_there_is() {
        let template = Template::parse("t", "x\n${{ outputs.versoin }}", Scope::Step).unwrap();
        let found = template
            .check_keys(Some(&BTreeSet::from(["tag", "version"])))
            .unwrap_err();
        assert_eq!(found.error.did_you_mean(), Some("outputs.version"));
        assert_eq!(found.known, ["outputs.tag", "outputs.version"]);
        assert_eq!((found.error.line(), found.error.column()), (2, 4));
    }
}
