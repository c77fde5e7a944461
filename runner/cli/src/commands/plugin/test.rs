//! `capstan plugin test`: fixtures in, what is expected out.

use std::path::Path;
use std::sync::Arc;

use capstan_plugin_host::Component;
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};

use super::component::{Built, settings};
use super::fixture::{self, Difference, Fixture, Played};
use super::measure::time;
use crate::args::plugin::{ResultFormat, Test};
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{plugin_host, printer, text};

/// What a fixture came to.
#[derive(Debug)]
enum Verdict {
    Passed,
    /// What is expected has been written.
    Updated,
    Failed(Vec<Difference>),
    /// Two runs of it differ.
    Unsteady(Vec<Difference>),
    /// The plugin has no such hook.
    NoHook,
}

impl Verdict {
    fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Updated => "updated",
            Self::Failed(_) | Self::NoHook => "failed",
            Self::Unsteady(_) => "unsteady",
        }
    }

    fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Updated)
    }

    fn differences(&self) -> &[Difference] {
        match self {
            Self::Failed(differences) | Self::Unsteady(differences) => differences,
            Self::Passed | Self::Updated | Self::NoHook => &[],
        }
    }
}

pub(super) async fn run(
    args: &Test,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let built = Built::find(&args.plugin)?;
    let directory = args.fixtures.clone().unwrap_or_else(|| built.fixtures());
    let fixtures = fixture::read_all(&directory, &[])?;
    let host = plugin_host::open(&settings(config_file, environment)?)?;
    let component = built.load(&host).await?;
    let mut results = Vec::new();
    let mut good = 0;
    for fixture in &fixtures {
        let (verdict, played) = test(args, fixture, &built.name, &component).await?;
        good += usize::from(verdict.is_good());
        match args.format {
            ResultFormat::Text => {
                printer::result_line(for_people(fixture, &verdict, played.as_ref()))
                    .map_err(Failed::environment)?;
            }
            ResultFormat::Json => results.push(for_programs(fixture, &verdict, played.as_ref())),
        }
    }
    let failed = fixtures.len() - good;
    match args.format {
        ResultFormat::Json => {
            let report = json!({ "fixtures": results, "passed": good, "failed": failed });
            let report = serde_json::to_string_pretty(&report).map_err(Failed::environment)?;
            printer::result_line(report).map_err(Failed::environment)?;
        }
        ResultFormat::Text => {
            let count = text::plural(fixtures.len(), "fixture");
            printer::result_line(format_args!("{count}: {good} passed, {failed} failed"))
                .map_err(Failed::environment)?;
        }
    }
    Ok(if failed == 0 {
        Exit::Success
    } else {
        Exit::Failed
    })
}

async fn test(
    args: &Test,
    fixture: &Fixture,
    name: &str,
    component: &Arc<Component>,
) -> Result<(Verdict, Option<Played>), Failed> {
    if !component.inspection().hooks.contains(&fixture.call.hook()) {
        return Ok((Verdict::NoHook, None));
    }
    let played = fixture::play(fixture, name, component).await?;
    if args.twice {
        let again = fixture::play(fixture, name, component).await?;
        let differences = fixture::between(&played, &again);
        if !differences.is_empty() {
            return Ok((Verdict::Unsteady(differences), Some(played)));
        }
    }
    if args.update {
        let verdict = match fixture::update(fixture, &played)? {
            true => Verdict::Updated,
            false => Verdict::Passed,
        };
        return Ok((verdict, Some(played)));
    }
    let differences = fixture::compare(fixture, &played)?;
    let verdict = match differences.is_empty() {
        true => Verdict::Passed,
        false => Verdict::Failed(differences),
    };
    Ok((verdict, Some(played)))
}

/// One line for what is well; the whole story for what is not.
fn for_people(fixture: &Fixture, verdict: &Verdict, played: Option<&Played>) -> String {
    let mark = match verdict.is_good() {
        true => "✓".green().to_string(),
        false => "✗".red().to_string(),
    };
    let call = fixture.call.name();
    let mut line = format!("{mark} {} {call}", text::name(&fixture.name).bold());
    match verdict {
        Verdict::Passed | Verdict::Failed(_) => {}
        Verdict::Updated => line.push_str(", updated"),
        Verdict::Unsteady(_) => line.push_str(": two runs differ"),
        Verdict::NoHook => {
            line.push_str(&format!(": the plugin has no {} hook", fixture.call.hook()));
        }
    }
    if let (true, Some(played)) = (verdict.is_good(), played) {
        line.push_str(&format!(" ({})", time(played.took)));
    }
    let mut story = vec![line];
    for difference in verdict.differences() {
        story.push(format!("  {}", text::name(&difference.file).bold()));
        story.extend(difference.text.lines().map(|line| format!("    {line}")));
    }
    if let (false, Some(played)) = (verdict.is_good(), played) {
        if let Some(failure) = &played.failure {
            story.push(indented(failure));
        }
        if !played.messages.is_empty() {
            story.push("  it said".to_owned());
            story.extend(played.messages.iter().map(|message| indented(message)));
        }
    }
    story.join("\n")
}

fn indented(message: &str) -> String {
    format!("    {}", text::lines(message).replace('\n', "\n    "))
}

fn for_programs(fixture: &Fixture, verdict: &Verdict, played: Option<&Played>) -> Value {
    let differences = verdict.differences().iter();
    let differences = differences.map(|difference| {
        // Colours are for people.
        json!({ "file": difference.file, "difference": text::lines(&difference.text) })
    });
    json!({
        "name": fixture.name,
        "call": fixture.call.name(),
        "verdict": verdict.name(),
        "differences": differences.collect::<Vec<_>>(),
        "failure": played.and_then(|played| played.failure.as_deref()),
        "messages": played.map(|played| &played.messages),
        "milliseconds": played.map(|played| played.took.as_secs_f64() * 1e3),
    })
}
