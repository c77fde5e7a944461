//! One line on standard error for everything that happens: for logs of CI systems.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use capstan_engine::docker::PullProgress;
use capstan_engine::run::{Report, Reported};

use super::{JobLabel, Phase, Reporter};
use crate::printer;
use crate::text::{plural, printable};

/// Longest piece of a script or of output in a line.
const WIDTH: usize = 100;

/// The plain display.
pub(crate) struct Plain {
    jobs: OnceLock<Vec<JobLabel>>,
    /// Whether output is shown too.
    verbose: bool,
    /// The last line about an image.
    last_pull: Mutex<String>,
    /// Jobs of which a failed step has been told: that is their failure.
    failed: Mutex<BTreeSet<usize>>,
}

impl Plain {
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            jobs: OnceLock::new(),
            verbose,
            last_pull: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    fn say(&self, job: usize, text: &str) {
        let name = self.label(job).map_or("", |label| label.name.as_str());
        printer::note(format_args!("[{name}] {text}"));
    }

    fn has_told_failure(&self, job: usize) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.contains(&job)
    }

    fn label(&self, job: usize) -> Option<&JobLabel> {
        self.jobs.get()?.get(job)
    }

    fn step(&self, job: usize, step: usize) -> String {
        match self.label(job) {
            Some(label) => format!("step {}/{}", step + 1, label.steps),
            None => format!("step {}", step + 1),
        }
    }
}

impl Report for Plain {
    fn report(&self, job: usize, what: Reported<'_>) {
        match what {
            Reported::Workspace => self.say(job, "preparing the workspace"),
            Reported::Resumed { start } => {
                let known = self.step(job, start - 1);
                let text = match start {
                    1 => format!("{known}: from the cache"),
                    _ => format!("{known} and those before: from the cache"),
                };
                self.say(job, &text);
            }
            Reported::CacheEntryDropped { path, reason } => {
                let path = path.display();
                self.say(
                    job,
                    &format!("warning: removed the unusable cache entry {path}: {reason}"),
                );
            }
            Reported::CacheGivenUp { reason } => {
                self.warn(&format!("results are not kept for later runs: {reason}"));
            }
            Reported::Plugin { plugin, step, what }
                if self.verbose || what.changes_the_result() =>
            {
                let place = step.map(|step| format!("{}: ", self.step(job, step)));
                let place = place.unwrap_or_default();
                for line in what.to_string().lines() {
                    let line = printable(line, 1000);
                    self.say(job, &format!("{place}plugin {plugin}: {line}"));
                }
            }
            Reported::StepSkipped { step } => {
                self.say(job, &format!("{}: skipped", self.step(job, step)));
            }
            Reported::StepStarted { step, script, .. } => {
                let first = script
                    .lines()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or_default();
                let first = printable(first.trim(), WIDTH);
                self.say(job, &format!("{}: {first}", self.step(job, step)));
            }
            Reported::Output { bytes, .. } if self.verbose => {
                for line in String::from_utf8_lossy(bytes).lines() {
                    self.say(job, &format!("| {}", printable(line, 1000)));
                }
            }
            Reported::StepFailed { step, failure } => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.insert(job);
                drop(failed);
                self.say(
                    job,
                    &format!(
                        "{}: failed: {}",
                        self.step(job, step),
                        printable(&failure.summary, WIDTH)
                    ),
                );
            }
            Reported::Done { cached, result } => {
                let changed = result.is_some_and(|result| !result.diff.is_empty());
                let text = match (changed, cached) {
                    (true, false) => "done",
                    (true, true) => "done, from the cache",
                    (false, false) => "done, nothing changed",
                    (false, true) => "done, nothing to change",
                };
                self.say(job, text);
            }
            Reported::Failed { failure } if !self.has_told_failure(job) => {
                let summary = printable(&failure.summary, WIDTH);
                let place = failure
                    .step
                    .map(|step| format!("{}: ", self.step(job, step)));
                let place = place.unwrap_or_default();
                self.say(job, &format!("{place}failed: {summary}"));
            }
            Reported::Cancelled => self.say(job, "cancelled"),
            _ => {}
        }
    }
}

impl Reporter for Plain {
    fn jobs(&self, labels: Vec<JobLabel>) {
        let _ = self.jobs.set(labels);
    }

    fn phase(&self, phase: Phase<'_>) {
        match phase {
            Phase::Resolved {
                repositories,
                workspaces,
                ..
            } => printer::note(format_args!(
                "{} in {}",
                plural(workspaces, "workspace"),
                if repositories == 1 {
                    "1 repository".to_owned()
                } else {
                    format!("{repositories} repositories")
                },
            )),
            Phase::LoadedPlugin { name } if self.verbose => {
                printer::note(format_args!("loaded the plugin {name}"));
            }
            Phase::CheckedCache { found, .. } if found > 0 => {
                printer::note(format_args!("{found} known from the cache"));
            }
            _ => {}
        }
    }

    fn warn(&self, text: &str) {
        printer::warning(text);
    }

    fn note(&self, text: &str) {
        printer::note(text);
    }

    fn fetching(&self, line: &str) {
        if self.verbose {
            printer::note(printable(line, WIDTH));
        }
    }

    fn pull(&self, progress: &PullProgress) {
        // Only changes of state: a log is no place for percentages.
        let line = format!(
            "[{}] {}",
            progress.image,
            printable(&progress.status, WIDTH)
        );
        let mut last = self
            .last_pull
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *last != line {
            printer::note(&line);
            *last = line;
        }
    }

    fn finish(&self) {}
}
