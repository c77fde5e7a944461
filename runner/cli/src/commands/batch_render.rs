//! `capstan batch render`.

use std::path::Path;

use capstan_core::redact::Secrets;
use capstan_core::wasm_step::Invocation;
use capstan_engine::run::{Preview, StepPreview, preview};
use owo_colors::OwoColorize as _;

use crate::args::{Render, SettingFlags};
use crate::config::{Config, Environment};
use crate::failure::{Exit, Failed};
use crate::tools::Tools;
use crate::{jobs, printer, spec_file};

pub(super) async fn run(
    args: Render,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let flags = SettingFlags {
        cache_dir: args.cache_dir.clone(),
        ..SettingFlags::default()
    };
    let config = Config::load(config_file, environment, &flags, &directory)?;
    let loaded = spec_file::load(&args.spec.file, !config.plugins.is_empty())?;
    let tools = Tools::open(&config, environment).await?;
    let tell = |line: &str| tracing::info!("{line}");
    let plan = jobs::plan(
        &loaded,
        &args.repositories,
        &directory,
        environment,
        &tools,
        &Secrets::default(),
        tell,
    )
    .await?;
    for warning in &plan.warnings {
        printer::warning(warning);
    }
    let previews: Vec<_> = plan
        .jobs
        .iter()
        .map(|job| (job.task.name(), &job.task, preview(&job.task)))
        .collect();
    if args.json {
        let all: Vec<_> = previews
            .iter()
            .map(|(_, task, steps)| {
                serde_json::json!({
                    "repository": task.repository.name,
                    "branch": task.repository.branch,
                    "rev": task.repository.rev,
                    "path": task.path,
                    "steps": steps,
                })
            })
            .collect();
        let json = serde_json::to_string_pretty(&all).map_err(Failed::environment)?;
        printer::result_line(json).map_err(Failed::environment)?;
    } else {
        for (name, _, steps) in &previews {
            print(name, steps).map_err(Failed::environment)?;
        }
    }
    let wrong = previews
        .iter()
        .flat_map(|(_, _, steps)| steps)
        .any(has_error);
    Ok(if wrong { Exit::Usage } else { Exit::Success })
}

fn has_error(step: &StepPreview) -> bool {
    [&step.container, &step.run]
        .into_iter()
        .chain(&step.condition)
        .chain(step.env.values())
        .chain(step.files.values())
        .any(|text| matches!(text, Preview::Error(_)))
}

fn print(name: &str, steps: &[StepPreview]) -> std::io::Result<()> {
    printer::result_line(name.bold())?;
    for (index, step) in steps.iter().enumerate() {
        let skipped = if step.runs == Some(false) {
            " (skipped)"
        } else {
            ""
        };
        printer::result_line(format_args!("  step {}{skipped}", index + 1))?;
        if let Some(condition) = &step.condition {
            field("if", condition)?;
        }
        field("container", &step.container)?;
        for (name, value) in &step.env {
            field(&format!("env {name}"), value)?;
        }
        for (target, content) in &step.files {
            field(&format!("file {target}"), content)?;
        }
        match &step.invocation {
            Some(Invocation { arguments, input }) => {
                // As JSON, one can see where one ends and the next begins.
                let arguments = serde_json::json!(arguments).to_string();
                field("arguments", &Preview::Final(arguments))?;
                if !input.is_empty() {
                    field("standard input", &Preview::Final(input.clone()))?;
                }
            }
            None => field("run", &step.run)?,
        }
    }
    Ok(())
}

/// A short text on the same line, a longer one below, indented.
fn field(name: &str, text: &Preview) -> std::io::Result<()> {
    let (text, note) = match text {
        Preview::Final(text) => (text, ""),
        Preview::Later(text) => (text, " (rendered when earlier steps have run)"),
        Preview::Error(error) => (error, " (error)"),
    };
    let name = name.cyan();
    match text.trim_end_matches('\n') {
        line if !line.contains('\n') => {
            printer::result_line(format_args!("    {name}: {line}{note}"))
        }
        lines => {
            printer::result_line(format_args!("    {name}:{note}"))?;
            lines
                .lines()
                .try_for_each(|line| printer::result_line(format_args!("      {line}")))
        }
    }
}
