//! The live display of a terminal: a line for every running workspace and every image on its way.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use capstan_engine::docker::PullProgress;
use capstan_engine::run::{PluginReport, Report, Reported};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize as _;

use super::{JobLabel, Phase, Reporter};
use crate::text::{last_line, name, printable};

/// Longest piece of a step's output in its line; the terminal may cut earlier.
const WIDTH: usize = 200;

/// The live display.
pub(crate) struct Live {
    display: MultiProgress,
    /// Whether colours are wanted. The display itself does not take them out of what it is given.
    coloured: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jobs: Vec<JobLabel>,
    /// The phase before jobs run, then the count of jobs.
    overall: Option<ProgressBar>,
    running: BTreeMap<usize, ProgressBar>,
    pulls: BTreeMap<String, ProgressBar>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            display: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            coloured: AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
            state: Mutex::default(),
        }
    }

    /// What is said and stays: lines above the live ones.
    fn say(&self, text: &str) {
        let _ = self.display.println(self.styled(text));
    }

    fn styled(&self, text: &str) -> String {
        if self.coloured {
            text.to_owned()
        } else {
            strip_str(text).to_string()
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn spinner(&self, prefix: String) -> ProgressBar {
        let bar = self.display.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix:.bold} {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(prefix);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn message(&self, job: usize, text: &str) {
        self.with(|state| {
            if let Some(bar) = state.running.get(&job) {
                bar.set_message(self.styled(text));
            }
        });
    }

    fn step(&self, job: usize, step: usize, text: &str) {
        let steps = self.with(|state| state.jobs.get(job).map_or(0, |label| label.steps));
        self.message(job, &format!("{}/{steps} {text}", step + 1));
    }

    fn end(&self, job: usize, mark: &str, text: &str) {
        let name = self.with(|state| {
            if let Some(bar) = state.running.remove(&job) {
                bar.finish_and_clear();
                self.display.remove(&bar);
            }
            if let Some(overall) = &state.overall {
                overall.inc(1);
            }
            state
                .jobs
                .get(job)
                .map(|label| label.name.clone())
                .unwrap_or_default()
        });
        self.say(&format!("{mark} {} {text}", name.bold()));
    }
}

impl Report for Live {
    fn report(&self, job: usize, what: Reported<'_>) {
        match what {
            Reported::Started => self.with(|state| {
                let name = state
                    .jobs
                    .get(job)
                    .map(|label| label.name.clone())
                    .unwrap_or_default();
                let bar = self.spinner(name);
                state.running.insert(job, bar);
            }),
            Reported::Workspace => self.message(job, "preparing the workspace"),
            Reported::CacheEntryDropped { path, reason } => self.say(&format!(
                "{} removed the unusable cache entry {}: {reason}",
                "warning:".yellow().bold(),
                path.display()
            )),
            Reported::CacheGivenUp { reason } => {
                self.warn(&format!("results are not kept for later runs: {reason}"));
            }
            Reported::Plugin { plugin, what, .. } if what.changes_the_result() => {
                let label = self.with(|state| state.jobs.get(job).map(|label| label.name.clone()));
                let label = label.unwrap_or_default();
                for line in what.to_string().lines() {
                    let line = printable(line, WIDTH);
                    self.say(&format!("{}: plugin {plugin}: {line}", label.bold()));
                }
            }
            // What a call took would be in the way of what the step prints; the log has it.
            Reported::Plugin {
                plugin,
                what: what @ PluginReport::Said { .. },
                ..
            } => {
                let first = what.to_string();
                let first = first.lines().next().unwrap_or_default();
                self.message(job, &printable(&format!("{plugin}: {first}"), WIDTH));
            }
            Reported::StepSkipped { step } => self.step(job, step, "skipped"),
            Reported::Preparing { step } => self.step(job, step, "preparing"),
            Reported::StepStarted { step, script, .. } => {
                let first = script
                    .lines()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or_default();
                self.step(job, step, &printable(first.trim(), WIDTH));
            }
            Reported::Output { step, bytes, .. } => {
                if let Some(line) = last_line(bytes, WIDTH) {
                    self.step(job, step, &line.dimmed().to_string());
                }
            }
            Reported::Done { cached, result } => {
                let changed = result.is_some_and(|result| !result.diff.is_empty());
                let text = match (changed, cached) {
                    (true, false) => "",
                    (true, true) => "from the cache",
                    (false, _) => "nothing to change",
                };
                self.end(job, &"✓".green().to_string(), &text.dimmed().to_string());
            }
            Reported::Failed { failure } => {
                self.end(
                    job,
                    &"✗".red().to_string(),
                    &printable(&failure.summary, WIDTH),
                );
            }
            Reported::Cancelled => self.end(job, &"-".yellow().to_string(), "cancelled"),
            _ => {}
        }
    }
}

impl Reporter for Live {
    fn jobs(&self, labels: Vec<JobLabel>) {
        let count = labels.len() as u64;
        self.with(|state| {
            state.jobs = labels;
            if let Some(bar) = state.overall.take() {
                bar.finish_and_clear();
                self.display.remove(&bar);
            }
            let bar = self.display.add(ProgressBar::new(count));
            if let Ok(style) = ProgressStyle::with_template(
                "  {bar:30.cyan} {pos}/{len} workspaces {elapsed:.dim}",
            ) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_secs(1));
            state.overall = Some(bar);
        });
    }

    fn phase(&self, phase: Phase<'_>) {
        let text = match phase {
            Phase::LoadingPlugins => "loading plugins",
            Phase::Resolving => "finding repositories",
            Phase::PreparedImages => {
                let pulls = self.with(|state| std::mem::take(&mut state.pulls));
                for (_, bar) in pulls {
                    bar.finish_and_clear();
                    self.display.remove(&bar);
                }
                return;
            }
            Phase::CheckingCache => "looking for known results",
            _ => return,
        };
        self.with(|state| {
            let bar = state
                .overall
                .get_or_insert_with(|| self.spinner(String::new()));
            bar.set_message(text);
        });
    }

    fn warn(&self, text: &str) {
        self.say(&format!("{} {}", "warning:".yellow().bold(), name(text)));
    }

    fn note(&self, text: &str) {
        self.say(&name(text));
    }

    fn fetching(&self, line: &str) {
        self.with(|state| {
            if let Some(bar) = &state.overall {
                bar.set_message(printable(line, WIDTH));
            }
        });
    }

    fn pull(&self, progress: &PullProgress) {
        self.with(|state| {
            let bar = state
                .pulls
                .entry(progress.image.clone())
                .or_insert_with(|| self.spinner(progress.image.clone()));
            let amount = match progress.total {
                0 => String::new(),
                total => format!(" {}/{} MiB", progress.done >> 20, total >> 20),
            };
            bar.set_message(printable(&format!("{}{amount}", progress.status), WIDTH));
        });
    }

    fn finish(&self) {
        self.with(|state| {
            for (_, bar) in std::mem::take(&mut state.running) {
                bar.finish_and_clear();
            }
            for (_, bar) in std::mem::take(&mut state.pulls) {
                bar.finish_and_clear();
            }
            if let Some(bar) = state.overall.take() {
                bar.finish_and_clear();
            }
        });
        let _ = self.display.clear();
    }
}
