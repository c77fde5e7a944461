//! What each step of a task would run, as far as it is known before anything ran.

use std::collections::BTreeMap;

use capstan_core::spec::{Condition, Step};
use capstan_core::task::Task;
use capstan_core::template::{Scope, StepContext, Template, is_true};
use capstan_core::wasm_step::{Invocation, Reference};
use serde::Serialize;

use super::render;

/// A text of a step, or what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preview {
    /// What it will be.
    Final(String),
    /// The template: it depends on what earlier steps do.
    Later(String),
    /// Why it cannot be rendered.
    Error(String),
}

/// What a step would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepPreview {
    /// `if`: the text that decides; `None` when the step always runs.
    #[serde(rename = "if")]
    pub condition: Option<Preview>,
    /// Whether the step runs; `None` when only earlier steps decide.
    pub runs: Option<bool>,
    /// The image.
    pub container: Preview,
    /// The script; an error, too, where it is none that the step's component can be started with.
    pub run: Preview,
    /// What a component is started with, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation: Option<Invocation>,
    /// The environment; forwarded values are masked.
    pub env: BTreeMap<String, Preview>,
    /// The files, by target path.
    pub files: BTreeMap<String, Preview>,
}

/// Previews all steps of `task`.
pub fn preview(task: &Task) -> Vec<StepPreview> {
    let context = render::context(task, None);
    task.steps
        .iter()
        .map(|step| step_preview(step, &context))
        .collect()
}

fn step_preview(step: &Step, context: &StepContext) -> StepPreview {
    let (condition, runs) = match &step.if_ {
        Condition::Absent => (None, Some(true)),
        Condition::Bool(runs) => (Some(Preview::Final(runs.to_string())), Some(*runs)),
        Condition::Text(text) if text.is_empty() => (None, Some(true)),
        Condition::Text(text) => {
            let condition = text_preview("step-condition", text, context);
            let runs = match &condition {
                Preview::Final(rendered) => Some(is_true(rendered)),
                Preview::Later(_) | Preview::Error(_) => None,
            };
            (Some(condition), runs)
        }
    };
    // The values of forwarded variables are not ours to show: each stands for itself.
    let env = render::resolve(step, &BTreeMap::new());
    let forwarded = render::forwarded(step);
    let mut container = text_preview("step-container", &step.container, context);
    let mut run = text_preview("step-run", &step.run, context);
    let mut invocation = None;
    if let Preview::Final(name) = &container
        && let Some(reference) = Reference::parse(name)
    {
        if let Preview::Final(text) = &run {
            match Invocation::parse(text) {
                Ok(known) => invocation = Some(known),
                Err(error) => run = Preview::Error(error.to_string()),
            }
        }
        if let Err(error) = reference {
            container = Preview::Error(error.to_string());
        }
    }
    StepPreview {
        condition,
        runs,
        container,
        run,
        invocation,
        env: env
            .into_iter()
            .map(|(name, value)| {
                let value = if forwarded.contains(name.as_str()) {
                    Preview::Final(format!("${name}"))
                } else {
                    text_preview(&name, &value, context)
                };
                (name, value)
            })
            .collect(),
        files: step
            .files
            .iter()
            .map(|(target, text)| (target.clone(), text_preview(target, text, context)))
            .collect(),
    }
}

fn text_preview(name: &str, text: &str, context: &StepContext) -> Preview {
    match Template::parse(name, text, Scope::Step) {
        Err(error) => Preview::Error(error.to_string()),
        Ok(template) if !template.is_final_before_steps() => Preview::Later(text.to_owned()),
        Ok(template) => match template.render_step(context) {
            Ok(rendered) => Preview::Final(rendered),
            Err(error) => Preview::Error(error.to_string()),
        },
    }
}

/// The names of a task's images that do not depend on what its steps do.
pub fn certain_images(task: &Task) -> impl Iterator<Item = String> {
    preview(task)
        .into_iter()
        .filter_map(|step| match (step.container, step.runs) {
            (_, Some(false)) => None,
            (Preview::Final(name), _) if !name.trim().is_empty() => Some(name),
            _ => None,
        })
}
