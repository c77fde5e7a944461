//! A step's templates, rendered at the moment the facts prescribe, with the texts around their errors.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::environment::resolve_environment;
use capstan_core::result::StepResult;
use capstan_core::spec::{Condition, EnvVar, OutputFormat, Step};
use capstan_core::task::Task;
use capstan_core::template::{
    RepositoryVars, Scope, StepContext, StepVars, Template, TemplateError, is_true,
};

use crate::sandbox::can_be_set_late;
use crate::workspace::visible_git_environment;

/// How much of a value is shown in a message, in characters.
const MAX_SHOWN: usize = 60;

/// Which field a template stands in; decides the text before its errors (facts/batch-spec.md 2.9).
#[derive(Debug, Clone, Copy)]
enum Field {
    Condition,
    Run,
    Env,
    Files,
    Outputs,
}

impl Field {
    fn explain(self, error: &TemplateError) -> String {
        let (both, parse_only) = match self {
            Self::Condition => (
                "evaluating step condition: parsing step if: ",
                "parsing step run: ",
            ),
            Self::Run => ("parsing step run: ", "parsing step run: "),
            Self::Env => ("parsing step environment: ", "parsing step run: "),
            Self::Files => ("parsing step files: ", "parsing step run: "),
            Self::Outputs => (
                "setting step outputs: parsing step run: ",
                "parsing step run: ",
            ),
        };
        let parse = if error.is_parse() { parse_only } else { "" };
        format!("{both}{parse}{error}")
    }
}

/// What the templates of the next step can refer to.
pub(super) fn context(task: &Task, previous: Option<&StepResult>) -> StepContext {
    let previous_step = previous.map(|result| StepVars {
        files: result.changed_files.clone(),
        stdout: result.stdout.clone(),
        stderr: result.stderr.clone(),
    });
    StepContext {
        repository: RepositoryVars {
            name: task.repository.name.clone(),
            branch: task.repository.branch.clone(),
            search_result_paths: task.search_result_paths.clone(),
        },
        batch_change: task.batch_change.clone(),
        outputs: previous
            .map(|result| result.outputs.clone())
            .unwrap_or_default(),
        steps: previous
            .map(|result| result.changed_files.clone())
            .unwrap_or_default(),
        path: task.path.clone(),
        previous_step: previous_step.unwrap_or_default(),
        step: StepVars::default(),
    }
}

/// Whether the step runs.
pub(super) fn condition(step: &Step, context: &StepContext) -> Result<bool, String> {
    match &step.if_ {
        Condition::Absent => Ok(true),
        Condition::Bool(runs) => Ok(*runs),
        Condition::Text(text) if text.is_empty() => Ok(true),
        Condition::Text(text) => render(Field::Condition, "step-condition", text, context)
            .map(|rendered| is_true(&rendered)),
    }
}

/// The image's name. `number` counts from 1.
pub(super) fn container(
    step: &Step,
    number: usize,
    context: &StepContext,
) -> Result<String, String> {
    let resolving = format!("failed to resolve image for step {number}: ");
    let name = Template::parse("step-container", &step.container, Scope::Step)
        .and_then(|template| template.render_step(context))
        .map_err(|error| format!("{resolving}{error}"))?;
    if name.trim().is_empty() {
        return Err(format!("{resolving}empty image"));
    }
    if name.contains("${{") {
        return Err(format!(
            "{resolving}unresolved template in image \"{name}\""
        ));
    }
    Ok(name)
}

/// The script.
pub(super) fn script(step: &Step, context: &StepContext) -> Result<String, String> {
    render(Field::Run, "step-run", &step.run, context)
}

/// The environment: static and forwarded variables, every value rendered.
///
/// A forwarded value that is no template does not show up in the error: it may be a secret.
pub(super) fn environment(
    step: &Step,
    outer: &BTreeMap<String, String>,
    context: &StepContext,
) -> Result<BTreeMap<String, String>, String> {
    let forwarded = forwarded(step);
    resolve(step, outer)
        .into_iter()
        .map(|(name, value)| {
            let rendered = render(Field::Env, &name, &value, context).map_err(|error| {
                if forwarded.contains(name.as_str()) {
                    format!(
                        "parsing step environment: the value of the forwarded variable {name} is rendered as \
                         a template, and fails; it is not shown here"
                    )
                } else {
                    error
                }
            })?;
            Ok((name, rendered))
        })
        .collect()
}

/// [`environment`] with what containers get besides.
pub(super) fn container_environment(
    step: &Step,
    outer: &BTreeMap<String, String>,
    context: &StepContext,
    place: &str,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = environment(step, outer, context)?;
    env.extend(visible_git(&env, place));
    Ok(env)
}

/// The variables with which git accepts the workspace whoever owns it: all of them, or none for a step
/// whose own variables set one, as they only make sense together.
pub(super) fn visible_git(own: &BTreeMap<String, String>, place: &str) -> BTreeMap<String, String> {
    let ours = visible_git_environment(place);
    if ours.iter().any(|(ours, _)| own.contains_key(*ours)) {
        return BTreeMap::new();
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    ours.map(owned).into()
}

/// The part of the environment whose values do not depend on what earlier steps did.
///
/// With what containers get besides. `None` if a value that does has a name which cannot be set late.
/// Values that do not render are left out: the error belongs to the moment the step is due.
pub(super) fn early_environment(
    step: &Step,
    outer: &BTreeMap<String, String>,
    context: &StepContext,
    place: &str,
) -> Option<BTreeMap<String, String>> {
    let own = resolve(step, outer);
    let mut early = visible_git(&own, place);
    for (name, value) in own {
        match early_text(&name, &value, context) {
            Some(rendered) => {
                early.insert(name, rendered);
            }
            None if can_be_set_late(&name) => {}
            None => return None,
        }
    }
    Some(early)
}

/// Whether it is already certain, before the steps before it ran, that the step does not run.
pub(super) fn is_skipped_early(step: &Step, context: &StepContext) -> bool {
    runs_early(step, context) == Some(false)
}

/// Whether the step runs, if that is already certain before the steps before it ran.
pub(super) fn runs_early(step: &Step, context: &StepContext) -> Option<bool> {
    match &step.if_ {
        Condition::Absent => Some(true),
        Condition::Bool(runs) => Some(*runs),
        Condition::Text(text) if text.is_empty() => Some(true),
        Condition::Text(text) => {
            early_text("step-condition", text, context).map(|rendered| is_true(&rendered))
        }
    }
}

/// The image's name, if that is already certain before the steps before it ran. `number` counts from 1.
pub(super) fn early_container(step: &Step, number: usize, context: &StepContext) -> Option<String> {
    early_text("step-container", &step.container, context)?;
    container(step, number, context).ok()
}

/// The text a template renders to, if that is already certain before the steps before it ran.
pub(super) fn early_text(name: &str, text: &str, context: &StepContext) -> Option<String> {
    let template = Template::parse(name, text, Scope::Step).ok()?;
    if !template.is_final_before_steps() {
        return None;
    }
    template.render_step(context).ok()
}

/// The contents of the step's files, by target path.
pub(super) fn files(
    step: &Step,
    context: &StepContext,
) -> Result<BTreeMap<String, String>, String> {
    step.files
        .iter()
        .map(|(target, content)| {
            let rendered = render(Field::Files, target, content, context)?;
            Ok((target.clone(), rendered))
        })
        .collect()
}

/// An output that could not be set: the message, and what to do.
pub(super) type OutputFailure = (String, Option<String>);

/// Sets the step's outputs in `context`, in the order of their names; each sees those before it.
pub(super) fn set_outputs(step: &Step, context: &mut StepContext) -> Result<(), OutputFailure> {
    for (name, output) in &step.outputs {
        let text = render(
            Field::Outputs,
            &format!("outputs-{name}"),
            &output.value,
            context,
        )
        .map_err(|error| (error, None))?;
        let value = capstan_core::output::decode(output.format, &text).map_err(|error| {
            let hint = undecodable(name, output.format, &text);
            (format!("setting step outputs: {error}"), Some(hint))
        })?;
        context.outputs.insert(name.clone(), value);
    }
    Ok(())
}

/// What is known of a text that is not in the format it was declared to be in.
fn undecodable(name: &str, format: Option<OutputFormat>, text: &str) -> String {
    let format = match format {
        Some(OutputFormat::Json) => "json",
        Some(OutputFormat::Yaml) => "yaml",
        None | Some(OutputFormat::Text) => "text",
    };
    let mut shown: String = text.trim_end().chars().take(MAX_SHOWN).collect();
    if shown.len() < text.trim_end().len() {
        shown.push('…');
    }
    if shown.is_empty() {
        return format!("the output {name:?} is declared as {format}, but its value is empty");
    }
    format!("the output {name:?} is declared as {format}, but its value is {shown:?}")
}

fn render(field: Field, name: &str, text: &str, context: &StepContext) -> Result<String, String> {
    Template::parse(name, text, Scope::Step)
        .and_then(|template| template.render_step(context))
        .map_err(|error| field.explain(&error))
}

/// A step's variables, unrendered.
pub(super) fn resolve(step: &Step, outer: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    resolve_environment(&step.env, &|name| outer.get(name).cloned())
}

/// The variables whose values come from outside, and so may be secrets.
pub(super) fn forwarded(step: &Step) -> BTreeSet<&str> {
    // A later static variable of the same name wins over a forwarded one.
    let mut forwarded = BTreeSet::new();
    for variable in &step.env.vars {
        match variable {
            EnvVar::Forwarded { name } => {
                forwarded.insert(name.as_str());
            }
            EnvVar::Static { name, .. } => {
                forwarded.remove(name.as_str());
            }
        }
    }
    forwarded
}
