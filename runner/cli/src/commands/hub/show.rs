//! `capstan hub show`.

use capstan_core::changeset::{self, ChangesetSpec, ImportedChangeset};
use capstan_hub::people::wire::{Detail, JobDetail};
use capstan_hub::{ExecutionState, JobState};
use owo_colors::OwoColorize as _;

use super::contact;
use crate::args::hub::Show;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, results, text};

/// Width of a diffstat.
const WIDTH: usize = 80;

pub(super) async fn run(args: &Show, environment: &Environment) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let client = contact::client(&args.contact, environment)?;
    if let Some(output) = &args.output {
        results::prepare(&directory.join(output))?;
    }
    let detail = client.execution(args.id).await?;
    let results = client.results(args.id).await?;
    let changesets: Vec<ChangesetSpec> = results.changesets.into_iter().map(Into::into).collect();
    let imports: Vec<ImportedChangeset> = results.imports.into_iter().map(Into::into).collect();
    if args.output.is_some() {
        changeset::check_unique_branches(&changesets).map_err(Failed::run)?;
    }
    if let Some(output) = &args.output {
        let output = directory.join(output);
        results::write(&output, &changesets, &imports)?;
        printer::note(format_args!(
            "wrote {}",
            text::name(&output.join("changesets.json").to_string_lossy())
        ));
    }
    if args.json {
        print_json(&detail)?;
    } else if args.diff {
        results::print(&changesets)?;
    } else if args.output.is_none() {
        print(&detail, &changesets).map_err(Failed::environment)?;
    }
    Ok(exit(&detail))
}

/// The code that tells what became of an execution.
pub(super) fn exit(detail: &Detail) -> Exit {
    match ExecutionState::of(&detail.state) {
        Some(ExecutionState::Failed | ExecutionState::Canceled) => Exit::Failed,
        _ => Exit::Success,
    }
}

/// The same of some of its jobs.
pub(super) fn exit_of_jobs(jobs: &[&JobDetail]) -> Exit {
    let failed = |job: &&JobDetail| {
        let state = JobState::of(&job.state);
        matches!(state, Some(JobState::Failed | JobState::Canceled))
    };
    match jobs.iter().any(failed) {
        true => Exit::Failed,
        false => Exit::Success,
    }
}

pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failed> {
    let json = serde_json::to_string_pretty(value).map_err(Failed::environment)?;
    printer::result_line(json).map_err(Failed::environment)
}

fn print(detail: &Detail, changesets: &[ChangesetSpec]) -> std::io::Result<()> {
    printer::result_line(format_args!(
        "{} (execution {}): {}",
        text::name(&detail.name).bold(),
        detail.id,
        coloured(&detail.state, &text::name(&detail.state))
    ))?;
    if let Some(failure) = &detail.failure {
        printer::result_line(text::lines(failure))?;
    }
    for warning in &detail.warnings {
        printer::result_line(format_args!("warning: {}", text::lines(warning)))?;
    }
    for job in &detail.jobs {
        printer::result_line(job_line(job))?;
    }
    for changeset in changesets {
        printer::result_line(format_args!(
            "\n{}, branch {}: {}",
            text::name(&changeset.repository_name).bold(),
            text::name(changeset.branch()),
            text::name(&changeset.title)
        ))?;
        let stat = results::diffstat(changeset, WIDTH);
        printer::result_line(text::lines(stat.trim_end()))?;
    }
    Ok(())
}

/// A text in the colour of a state.
pub(super) fn coloured(state: &str, text: &str) -> String {
    match ExecutionState::of(state) {
        Some(ExecutionState::Completed) => text.green().to_string(),
        Some(ExecutionState::Failed | ExecutionState::Canceled) => text.red().to_string(),
        _ => text.to_owned(),
    }
}

/// A job in a line, and why it failed below.
pub(super) fn job_line(job: &JobDetail) -> String {
    let name = job.state.as_str();
    let state = match JobState::of(name) {
        Some(JobState::Completed) => name.green().to_string(),
        Some(JobState::Failed | JobState::Canceled) => name.red().to_string(),
        _ => text::name(name),
    };
    let mut line = format!("job {} {}: {state}", job.id, text::name(&job.workspace()));
    if job.known_steps > 0 {
        let steps = usize::try_from(job.known_steps).unwrap_or_default();
        line.push_str(&format!(", {} known before", text::plural(steps, "step")));
    }
    if job.cancel && name == JobState::Processing.name() {
        line.push_str(", to be cancelled");
    }
    if let Some(failure) = &job.failure {
        let failure = text::lines(failure).replace('\n', "\n    ");
        line.push_str(&format!("\n    {failure}"));
    }
    line
}
