//! The fields of a spec that hold templates and globs.

use std::collections::BTreeSet;

use super::{BatchSpec, EnvVar, Step};
use crate::template::Scope;

/// A field that is a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateField<'a> {
    /// Dotted path: `steps.0.env.PATH`.
    pub path: String,
    /// What it can refer to.
    pub scope: Scope,
    /// The template name that errors show: `step-run`, a variable's name, `outputs-<name>`, …
    pub name: String,
    /// The template.
    pub text: &'a str,
    /// The outputs that may be set when it is rendered; `None` if a server may set more (version 3).
    pub outputs: Option<BTreeSet<&'a str>>,
}

/// A field that is a glob on repository names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobField<'a> {
    /// Dotted path: `workspaces.0.in`, `changesetTemplate.published.2`.
    pub path: String,
    /// Index of the rule for those of `published`.
    pub rule: Option<usize>,
    /// The glob.
    pub pattern: &'a str,
}

impl BatchSpec {
    /// All templates, step by step, those of the changeset template last.
    pub fn templates(&self) -> impl Iterator<Item = TemplateField<'_>> {
        let known = self.version < 3;
        let mut outputs = known.then(BTreeSet::new);
        let mut fields = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            fields.extend(step.templates(&format!("steps.{index}"), &outputs));
            if let Some(outputs) = &mut outputs {
                outputs.extend(step.outputs.keys().map(String::as_str));
            }
        }
        fields.extend(self.changeset_templates(&outputs));
        fields.into_iter()
    }

    fn changeset_templates<'a>(
        &'a self,
        outputs: &Option<BTreeSet<&'a str>>,
    ) -> Vec<TemplateField<'a>> {
        let Some(template) = &self.changeset_template else {
            return Vec::new();
        };
        let mut fields = vec![
            ("title", "title", template.title.as_str()),
            ("body", "body", &template.body),
            ("branch", "branch", &template.branch),
            ("commit.message", "message", &template.message),
        ];
        if let Some(author) = &template.author {
            fields.push(("commit.author.name", "authorName", &author.name));
            fields.push(("commit.author.email", "authorEmail", &author.email));
        }
        let fields = fields.into_iter().filter(|(_, _, text)| !text.is_empty());
        fields
            .map(|(path, name, text)| TemplateField {
                path: format!("changesetTemplate.{path}"),
                scope: Scope::Changeset,
                name: name.to_owned(),
                text,
                outputs: outputs.clone(),
            })
            .collect()
    }

    /// All globs on repository names.
    pub fn globs(&self) -> impl Iterator<Item = GlobField<'_>> {
        let workspaces = self.workspaces.iter().enumerate();
        let workspaces = workspaces.filter_map(|(index, rule)| {
            Some(GlobField {
                path: format!("workspaces.{index}.in"),
                rule: None,
                pattern: rule.in_.as_deref()?,
            })
        });
        let published = self
            .changeset_template
            .iter()
            .filter_map(|template| template.published.as_ref());
        let rules = published.flat_map(|published| published.rules.iter().enumerate());
        workspaces.chain(rules.map(|(index, rule)| GlobField {
            path: format!("changesetTemplate.published.{index}"),
            rule: Some(index),
            pattern: &rule.pattern,
        }))
    }
}

impl Step {
    /// The step's templates; `path` is the step's own, `outputs` what the steps before it set.
    fn templates<'a>(
        &'a self,
        path: &str,
        outputs: &Option<BTreeSet<&'a str>>,
    ) -> Vec<TemplateField<'a>> {
        let mut fields = Vec::new();
        let mut outputs = outputs.clone();
        let mut add = |field: &str, name: &str, text, outputs: &Option<BTreeSet<&'a str>>| {
            fields.push(TemplateField {
                path: format!("{path}.{field}"),
                scope: Scope::Step,
                name: name.to_owned(),
                text,
                outputs: outputs.clone(),
            });
        };
        if let super::Condition::Text(text) = &self.if_ {
            add("if", "step-condition", text.as_str(), &outputs);
        }
        add("container", "step-container", &self.container, &outputs);
        add("run", "step-run", &self.run, &outputs);
        for var in &self.env.vars {
            if let EnvVar::Static { name, value } = var {
                add(&format!("env.{name}"), name, value, &outputs);
            }
        }
        for (target, content) in &self.files {
            add(&format!("files.{target}"), target, content, &outputs);
        }
        for (name, output) in &self.outputs {
            let field = format!("outputs.{name}.value");
            add(&field, &format!("outputs-{name}"), &output.value, &outputs);
            // They are set in this order, and see those before them.
            if let Some(outputs) = &mut outputs {
                outputs.insert(name);
            }
        }
        fields
    }
}
