//! What the pod of a workspace tells, as a run of this machine would report it.
//!
//! The runner tells the events of `src batch exec` (facts/batch-spec.md 7), one a line, in one entry of the job's log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstan_core::result::StepResult;
use capstan_core::task::Task;
use capstan_engine::run::{Cause, Failure, Reported};
use capstan_engine::sandbox::Stream;
use capstan_executor::client::ClientError;
use capstan_executor::log::Sink;
use capstan_protocol::LogEntry;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::report::Reporter;
use crate::text;

/// The entry with the events.
const EVENTS: &str = "step.src.batch-exec";

/// The entry with what a pod waits for.
const SETUP: &str = "setup.kubernetes.job";

/// The log of one job, listened to.
pub(super) struct Hearing {
    index: usize,
    task: Arc<Task>,
    reporter: Arc<dyn Reporter>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many bytes were heard of each entry that is listened to, by its number.
    heard: BTreeMap<i64, usize>,
    entries: i64,
    results: Vec<Arc<StepResult>>,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
struct Event<'e> {
    operation: String,
    #[serde(default)]
    status: String,
    #[serde(borrow, default)]
    metadata: Option<&'e RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct About {
    /// From 1, but from 0 of a result.
    step: usize,
    out: String,
    error: String,
    exit_code: i32,
    env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Cached<'c> {
    #[serde(borrow)]
    value: &'c RawValue,
}

impl Hearing {
    pub(super) fn new(index: usize, task: Arc<Task>, reporter: Arc<dyn Reporter>) -> Self {
        Self {
            index,
            task,
            reporter,
            state: Mutex::default(),
        }
    }

    /// The results of the steps that ran.
    pub(super) fn take_results(&self) -> Vec<Arc<StepResult>> {
        std::mem::take(&mut self.state().results)
    }

    /// The step that failed, if one has.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what is new of an entry, up to its last whole line.
    fn hear(&self, number: i64, entry: &LogEntry) {
        let mut state = self.state();
        let Some(heard) = state.heard.get_mut(&number) else {
            return;
        };
        let new = entry.out.get(*heard..).unwrap_or_default();
        let Some(end) = new.rfind('\n') else {
            return;
        };
        *heard += end + 1;
        for line in new[..end].lines() {
            if entry.key == SETUP {
                self.setup(line);
            } else if let Some(event) = line.strip_prefix("stdout: ")
                && let Ok(event) = serde_json::from_str::<Event<'_>>(event)
            {
                self.event(&mut state, &event);
            }
        }
    }

    /// What a pod waits for; that it was made and that it runs is nothing to tell.
    fn setup(&self, line: &str) {
        if line.starts_with("pod ") || line.starts_with("job ") || line.contains("tried again") {
            let name = text::name(&self.task.name());
            self.reporter.note(&format!("[{name}] {line}"));
        }
    }

    fn event(&self, state: &mut State, event: &Event<'_>) {
        let metadata = event.metadata.map_or("{}", RawValue::get);
        if event.operation == "CACHE_AFTER_STEP_RESULT" {
            let cached = serde_json::from_str::<Cached<'_>>(metadata);
            let result = cached.map(|cached| StepResult::from_json(cached.value.get().as_bytes()));
            if let Ok(Ok(result)) = result {
                let result = Arc::new(result);
                self.reporter
                    .report(self.index, Reported::StepDone { result: &result });
                state.results.push(result);
            }
            return;
        }
        let about: About = serde_json::from_str(metadata).unwrap_or_default();
        let step = about.step.saturating_sub(1);
        let told = match (event.operation.as_str(), event.status.as_str()) {
            ("TASK_PREPARING_STEP", "STARTED") => Reported::Preparing { step },
            ("TASK_PREPARING_STEP", "SUCCESS") => Reported::Prepared { step },
            ("TASK_PREPARING_STEP", "FAILURE") => Reported::PreparingFailed {
                step,
                error: &about.error,
            },
            ("TASK_STEP_SKIPPED", _) => Reported::StepSkipped { step },
            ("TASK_STEP", "STARTED") => Reported::StepStarted {
                step,
                script: self.task.steps.get(step).map_or("", |step| &step.run),
                env: &about.env,
            },
            ("TASK_STEP", "PROGRESS") => return self.output(step, &about.out),
            ("TASK_STEP", "FAILURE") => {
                let failure = failure(step, &about);
                let failure = state.failure.insert(failure);
                Reported::StepFailed { step, failure }
            }
            _ => return,
        };
        self.reporter.report(self.index, told);
    }

    /// Whole lines, each with the stream it is of.
    fn output(&self, step: usize, out: &str) {
        for line in out.split_inclusive('\n') {
            let (stream, line) = match line.strip_prefix("stderr: ") {
                Some(line) => (Stream::Stderr, line),
                None => (
                    Stream::Stdout,
                    line.strip_prefix("stdout: ").unwrap_or(line),
                ),
            };
            let told = Reported::Output {
                step,
                stream,
                bytes: line.as_bytes(),
            };
            self.reporter.report(self.index, told);
        }
    }
}

fn failure(step: usize, about: &About) -> Failure {
    let code = about.exit_code;
    Failure {
        cause: match code {
            0 => Cause::Workspace,
            code => Cause::Script {
                code,
                out_of_memory: false,
            },
        },
        step: Some(step),
        summary: about.error.lines().next().unwrap_or_default().to_owned(),
        message: about.error.clone(),
        hint: None,
    }
}

impl Sink for Hearing {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let number = {
            let mut state = self.state();
            state.entries += 1;
            let number = state.entries;
            if matches!(entry.key.as_str(), EVENTS | SETUP) {
                state.heard.insert(number, 0);
            }
            number
        };
        self.hear(number, entry);
        Box::pin(std::future::ready(Ok(number)))
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        self.hear(number, entry);
        Box::pin(std::future::ready(Ok(())))
    }
}
