//! What happens in a run as the events of `src batch exec` (facts/batch-spec.md 7).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use capstan_core::event::{Event, PluginAct, TaskId};
use capstan_plugin_host::Severity;

use super::failure::Cause;
use super::plugin_report::PluginReport;
use super::report::{Report, Reported};
use crate::sandbox::Stream;

/// How often output of a step is told.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Most output that is held back; more is told at once.
const HELD_BACK: usize = 1 << 20;

/// Longest line that is told whole; longer ones are cut into several.
const LONGEST_LINE: usize = 256 << 10;

/// Takes events, one after the other.
type Sink = Box<dyn Fn(&Event) + Send + Sync>;

/// A report that turns what happens into events.
pub struct EventLines {
    /// Whether results are told for whoever keeps them, as only `exec` does.
    cacheable: bool,
    output: Mutex<BTreeMap<usize, Output>>,
    /// One at a time, whoever tells it.
    sink: Mutex<Sink>,
}

/// What a job has said and nobody was told yet.
struct Output {
    step: usize,
    told: String,
    lines: [Vec<u8>; 2],
    since: Instant,
    /// Results to tell at the end of the job, as upstream does.
    results: Vec<Event>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            step: 0,
            told: String::new(),
            lines: [Vec::new(), Vec::new()],
            since: Instant::now(),
            results: Vec::new(),
        }
    }
}

impl Output {
    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let line = &mut self.lines[stream as usize];
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") || line.len() > LONGEST_LINE {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(&mut self.lines[stream as usize]);
        if line.is_empty() {
            return;
        }
        self.told.push_str(match stream {
            Stream::Stdout => "stdout: ",
            Stream::Stderr => "stderr: ",
        });
        self.told.push_str(&String::from_utf8_lossy(&line));
        if !line.ends_with(b"\n") {
            self.told.push('\n');
        }
    }
}

impl EventLines {
    /// Hands the events to `sink`; with `cacheable` those of results that somebody may keep, too. Must be called within a tokio runtime: output is
    /// told twice a second until the value is dropped.
    pub fn new(cacheable: bool, sink: impl Fn(&Event) + Send + Sync + 'static) -> Arc<Self> {
        let lines = Arc::new(Self {
            cacheable,
            output: Mutex::default(),
            sink: Mutex::new(Box::new(sink)),
        });
        let flushed = Arc::downgrade(&lines);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(FLUSH_EVERY);
            loop {
                tick.tick().await;
                let Some(lines) = flushed.upgrade() else {
                    return;
                };
                lines.flush_all();
            }
        });
        lines
    }

    /// Tells one event.
    pub fn tell(&self, event: &Event) {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink(event);
    }

    fn task(job: usize) -> TaskId {
        TaskId(format!("task{job}"))
    }

    fn with_output<T>(&self, job: usize, change: impl FnOnce(&mut Output) -> T) -> T {
        let mut outputs = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        change(outputs.entry(job).or_default())
    }

    /// Tells what a job has said so far; `all`: unfinished lines too.
    pub fn flush(&self, job: usize, all: bool) {
        let (step, out) = self.with_output(job, |output| {
            if all {
                output.end_line(Stream::Stdout);
                output.end_line(Stream::Stderr);
            }
            output.since = Instant::now();
            (output.step, std::mem::take(&mut output.told))
        });
        if !out.is_empty() {
            self.tell(&Event::TaskStepProgress {
                task: Self::task(job),
                step,
                out,
            });
        }
    }

    /// Tells the output that has waited long enough.
    pub fn flush_all(&self) {
        let due: Vec<usize> = {
            let outputs = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            let due = outputs.iter().filter(|(_, output)| {
                !output.told.is_empty() && output.since.elapsed() >= FLUSH_EVERY
            });
            due.map(|(job, _)| *job).collect()
        };
        for job in due {
            self.flush(job, false);
        }
    }

    fn end(&self, job: usize, events: &[Event]) {
        self.flush(job, true);
        let results = self.with_output(job, |output| std::mem::take(&mut output.results));
        for event in results.iter().chain(events) {
            self.tell(event);
        }
        self.output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&job);
    }
}

impl Report for EventLines {
    fn report(&self, job: usize, what: Reported<'_>) {
        let task = Self::task(job);
        match what {
            Reported::Started => self.tell(&Event::ExecutingTaskStarted { task }),
            Reported::Resumed { start } => {
                self.tell(&Event::TaskSkippingSteps {
                    task,
                    start_step: start + 1,
                });
            }
            Reported::Plugin { plugin, step, what } => {
                if let Some(event) = plugin_event(task, plugin, step, &what) {
                    self.flush(job, false);
                    self.tell(&event);
                }
            }
            Reported::StepSkipped { step } => {
                self.tell(&Event::TaskStepSkipped {
                    task,
                    step: step + 1,
                });
            }
            Reported::Preparing { step } => {
                self.tell(&Event::TaskPreparingStepStarted {
                    task,
                    step: step + 1,
                });
            }
            Reported::Prepared { step } => {
                self.tell(&Event::TaskPreparingStepSuccess {
                    task,
                    step: step + 1,
                });
            }
            Reported::PreparingFailed { step, error } => {
                let error = error.to_owned();
                self.tell(&Event::TaskPreparingStepFailure {
                    task,
                    step: step + 1,
                    error,
                });
            }
            Reported::StepStarted { step, env, .. } => {
                self.with_output(job, |output| output.step = step + 1);
                self.tell(&Event::TaskStepStarted {
                    task,
                    step: step + 1,
                    env: env.clone(),
                });
            }
            Reported::Output { stream, bytes, .. } => {
                let held_back = self.with_output(job, |output| {
                    output.push(stream, bytes);
                    output.told.len()
                });
                if held_back > HELD_BACK {
                    self.flush(job, false);
                }
            }
            Reported::StepDone { result } => {
                self.flush(job, true);
                self.tell(&Event::TaskStepSuccess {
                    task,
                    step: result.step_index + 1,
                    diff: result.diff.clone(),
                    outputs: result.outputs.clone(),
                });
            }
            Reported::StepFailed { step, failure } => {
                self.flush(job, true);
                let exit_code = match failure.cause {
                    Cause::Script { code, .. } => code,
                    _ => -1,
                };
                let error = failure.message.clone();
                self.tell(&Event::TaskStepFailure {
                    task,
                    step: step + 1,
                    error,
                    exit_code,
                });
            }
            Reported::Cacheable { key, result } if self.cacheable => {
                let event = Event::CacheAfterStepResult {
                    key: key.to_owned(),
                    value: Box::new(result.clone()),
                };
                self.with_output(job, |output| output.results.push(event));
            }
            Reported::Done { result, .. } => {
                let mut events = vec![Event::ExecutingTaskSuccess { task: task.clone() }];
                if !self.cacheable && result.is_some_and(|result| !result.diff.is_empty()) {
                    events.push(Event::TaskBuildChangesetSpecs { task });
                }
                self.end(job, &events);
            }
            Reported::Failed { failure } => {
                let error = failure.message.clone();
                self.end(job, &[Event::ExecutingTaskFailure { task, error }]);
            }
            Reported::Cancelled => {
                let error = "context canceled".to_owned();
                self.end(job, &[Event::ExecutingTaskFailure { task, error }]);
            }
            _ => {}
        }
    }
}

/// What a program that watches may act on. Messages and times of calls are in the log.
fn plugin_event(
    task: TaskId,
    plugin: &str,
    step: Option<usize>,
    what: &PluginReport<'_>,
) -> Option<Event> {
    let act = match what {
        PluginReport::Changed { changes, audit } => PluginAct::Changed {
            changes: changes.to_vec(),
            audit: *audit,
        },
        PluginReport::Refused { refused, audit } => PluginAct::Refused {
            rule: refused.rule.clone(),
            reason: refused.reason.clone(),
            details: refused.details.clone(),
            audit: *audit,
        },
        PluginReport::Annotated(annotation) => PluginAct::Annotated {
            path: annotation.path.clone(),
            line: annotation.line,
            severity: match annotation.severity {
                Severity::Notice => "notice",
                Severity::Warning => "warning",
                Severity::Failure => "failure",
            },
            message: annotation.message.clone(),
        },
        PluginReport::PassedOver { reason } => PluginAct::PassedOver {
            reason: (*reason).to_owned(),
        },
        _ => return None,
    };
    Some(Event::TaskPlugin {
        task,
        step: step.map_or(0, |step| step + 1),
        plugin: plugin.to_owned(),
        act,
    })
}
