//! Tells a native job as the original would: three entries a step, with the events that servers look for in them
//! (facts/executor-protocol.md 7.5 to 7.8).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstan_core::diff::Encoding;
use capstan_core::event::{Event, TaskId};
use capstan_core::redact::MASK;
use capstan_core::result::StepResult;
use capstan_engine::docker::PullProgress;
use capstan_engine::run::{Cause, Failure, Outcome, Report, Reported};
use capstan_engine::sandbox::Stream;

use super::super::again::Retold;
use super::super::lines::Lines;
use super::super::pulls::{PullEntries, PullTeller};
use super::super::setup::Setup;
use super::super::{Ending, Variables, ending};
use crate::log::{Entry, ExecutionLog};

/// With what Docker ends when a container could not be started.
const NOT_STARTED: i32 = 125;

/// What a process that was killed ends with.
const KILLED: i32 = -1;

/// Key and command of each of a step's three entries.
pub(super) type Commands = BTreeMap<usize, [(String, Vec<String>); 3]>;

/// Which of the three entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Pre,
    Run,
    Post,
}

pub(super) struct Narrator {
    log: Arc<ExecutionLog>,
    setup: Arc<Setup>,
    commands: Commands,
    /// What the server's secrets are.
    secrets: Arc<Variables>,
    job: i64,
    pulls: PullEntries,
    /// Whether the job is run again when the machine is to blame for a failure.
    goes_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<(usize, Part, Entry)>,
    /// The entry that was last begun.
    last_key: Option<String>,
    lines: Lines,
    /// A result whose key is not known yet.
    unkeyed: Option<StepResult>,
    /// The last result that was told.
    last: Option<Arc<StepResult>>,
}

impl Narrator {
    pub(super) fn new(
        log: &Arc<ExecutionLog>,
        setup: &Arc<Setup>,
        commands: Commands,
        secrets: Arc<Variables>,
        job: i64,
    ) -> Self {
        Self {
            log: Arc::clone(log),
            setup: Arc::clone(setup),
            commands,
            secrets,
            job,
            pulls: PullEntries::new(log),
            goes_on: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Whether the server has been told the result of a step.
    pub(super) fn has_told_a_result(&self) -> bool {
        self.last_result().is_some()
    }

    fn goes_on_after(&self, failure: &Failure) -> bool {
        self.goes_on.load(Ordering::Relaxed) && ending::may_pass(failure)
    }

    /// Tells a result for which no step ran.
    pub(super) fn tell_result(&self, result: Event) {
        let Event::CacheAfterStepResult { key, value } = result else {
            return;
        };
        self.setup.done();
        let step = value.step_index;
        let mut state = self.state();
        let (name, command) = match self.commands.get(&step) {
            Some([_, _, (name, command)]) => (name.clone(), Some(command.clone())),
            None => (format!("step.docker.step.{step}.post"), None),
        };
        state.open = Some((step, Part::Post, self.log.begin(&name, command)));
        self.tell_done(&mut state, &value);
        self.tell_cacheable(&mut state, Some(key));
    }

    /// How the job ended.
    pub(super) fn ending(&self, outcome: Option<Outcome>) -> Ending {
        match outcome {
            Some(Outcome::Done { .. }) => Ending::Complete,
            Some(Outcome::Failed(failure)) => {
                let key = self
                    .state()
                    .last_key
                    .take()
                    .filter(|_| failure.step.is_some());
                ending::of_failure(&failure, key.as_deref())
            }
            Some(Outcome::Cancelled) | None => ending::cancelled(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, state: &mut State, step: usize, part: Part) {
        // The step is run again.
        let is_there = |open: &(usize, Part, Entry)| open.0 == step && open.1 >= part;
        if state.open.as_ref().is_some_and(is_there) {
            return;
        }
        self.finish(state, KILLED);
        let Some(three) = self.commands.get(&step) else {
            return;
        };
        let (key, command) = &three[part as usize];
        let entry = self.log.begin(key, Some(command.clone()));
        state.last_key = Some(key.clone());
        state.open = Some((step, part, entry));
    }

    /// Ends the entry that is open, if there is one.
    fn finish(&self, state: &mut State, code: i32) {
        if state.unkeyed.is_some() {
            self.tell_cacheable(state, None);
            return;
        }
        if let Some((_, _, entry)) = state.open.take() {
            state.lines.end(&entry);
            entry.close(code);
        }
    }

    fn fail(&self, state: &mut State, message: &str, code: i32) {
        // What is not told any more is no result.
        state.unkeyed = None;
        if let Some((_, _, entry)) = &state.open {
            state.lines.end(entry);
            for line in message.lines() {
                entry.line(Stream::Stderr, line.as_bytes());
            }
        }
        self.finish(state, code);
    }

    fn event(state: &State, event: &Event) {
        if let Some((_, _, entry)) = &state.open {
            entry.event(&event.to_json_line(jiff::Timestamp::now(), Encoding::Base64));
        }
    }

    /// The environment as a server wants to see it: names and values; the log takes secrets out.
    fn tell_started(&self, state: &State, step: usize, env: &BTreeMap<String, String>) {
        let env = env.iter().map(|(name, value)| {
            let value = match value == MASK {
                true => self.secrets.get(name).cloned().unwrap_or_default(),
                false => value.clone(),
            };
            (name.clone(), value)
        });
        let started = Event::TaskStepStarted {
            task: TaskId(String::new()),
            step: step + 1,
            env: env.collect(),
        };
        Self::event(state, &started);
    }

    fn tell_done(&self, state: &mut State, result: &StepResult) {
        let done = Event::TaskStepResult {
            step: result.step_index,
            diff: result.diff.clone(),
            outputs: result.outputs.clone(),
        };
        Self::event(state, &done);
        state.unkeyed = Some(result.clone());
    }

    /// Tells the result that waits for its key, and ends its entry.
    fn tell_cacheable(&self, state: &mut State, key: Option<String>) {
        let Some(result) = state.unkeyed.take() else {
            return;
        };
        // The server wants a result whatever it may be kept under.
        let key = key.unwrap_or_else(|| super::not_kept(self.job, result.step_index));
        let cacheable = Event::CacheAfterStepResult {
            key,
            value: Box::new(result.clone()),
        };
        let result = Arc::new(result);
        Self::event(state, &cacheable);
        state.last = Some(result);
        self.finish(state, 0);
    }

    /// A step failed, in the entry that is open.
    fn step_failed(&self, state: &mut State, step: usize, failure: &Failure) {
        if self.goes_on_after(failure) {
            if let Some((_, _, entry)) = &state.open {
                state.lines.end(entry);
                for line in failure.message.lines().chain(["running the step again"]) {
                    entry.line(Stream::Stderr, line.as_bytes());
                }
            }
            return;
        }
        let part = state.open.as_ref().map(|(_, part, _)| *part);
        match (part, failure.cause) {
            // The original begins the step and then cannot start its container.
            (Some(Part::Pre), Cause::Workspace | Cause::Environment) => {
                self.tell_started(state, step, &BTreeMap::new());
                self.finish(state, 0);
                self.begin(state, step, Part::Run);
                self.fail(state, &failure.message, NOT_STARTED);
            }
            (Some(Part::Run), _) => self.fail(state, &failure.message, KILLED),
            (Some(_), _) => self.fail(state, &failure.message, 1),
            // Its script has ended with an error; that is told.
            (None, _) => {}
        }
    }
}

impl Retold for Narrator {
    /// The entry that is open stays so when there is one more.
    fn attempt(&self, _number: usize, may_go_on: bool) {
        self.goes_on.store(may_go_on, Ordering::Relaxed);
    }

    fn last_result(&self) -> Option<Arc<StepResult>> {
        self.state().last.clone()
    }
}

impl PullTeller for Narrator {
    fn pull(&self, progress: &PullProgress) {
        self.pulls.tell(progress);
    }
}

impl Report for Narrator {
    fn report(&self, _job: usize, what: Reported<'_>) {
        match what {
            Reported::Started | Reported::Workspace | Reported::Resumed { .. } => return,
            Reported::Failed { failure } if self.setup.failed(&failure.message) => {}
            Reported::Plugin { .. } | Reported::Failed { .. } | Reported::Cancelled => {}
            _ => self.setup.done(),
        }
        let mut state = self.state();
        let state = &mut *state;
        match what {
            Reported::StepSkipped { step } if self.commands.contains_key(&step) => {
                self.begin(state, step, Part::Pre);
                let task = TaskId(String::new());
                Self::event(
                    state,
                    &Event::TaskStepSkipped {
                        task,
                        step: step + 1,
                    },
                );
                self.finish(state, 0);
            }
            Reported::Preparing { step } => self.begin(state, step, Part::Pre),
            Reported::Prepared { .. } => self.pulls.end(0),
            Reported::StepStarted { .. } if !matches!(state.open, Some((_, Part::Pre, _))) => {}
            Reported::StepStarted { step, env, .. } => {
                self.tell_started(state, step, env);
                self.finish(state, 0);
                self.begin(state, step, Part::Run);
            }
            Reported::Output { stream, bytes, .. } => {
                if let Some((_, Part::Run, entry)) = &state.open {
                    state.lines.push(entry, stream, bytes);
                }
            }
            Reported::Ran { code: 0, .. } if matches!(state.open, Some((_, Part::Post, _))) => {}
            Reported::Ran { step, code } => {
                self.finish(state, code);
                if code == 0 {
                    self.begin(state, step, Part::Post);
                }
            }
            Reported::StepDone { result } => self.tell_done(state, result),
            Reported::Cacheable { key, .. } => self.tell_cacheable(state, Some(key.to_owned())),
            Reported::StepFailed { step, failure } => {
                self.pulls.end(1);
                self.step_failed(state, step, failure);
            }
            Reported::Failed { failure } if self.goes_on_after(failure) => self.pulls.end(1),
            Reported::Failed { failure } => {
                self.pulls.end(1);
                self.fail(state, &failure.message, 1);
            }
            Reported::Cancelled => {
                self.pulls.end(KILLED);
                self.fail(state, "the job was stopped", KILLED);
            }
            Reported::Done { .. } => self.finish(state, 0),
            Reported::Plugin { plugin, what, .. } => {
                if let (true, Some((_, _, entry))) = (what.changes_the_result(), &state.open) {
                    for line in what.to_string().lines() {
                        entry.line(
                            Stream::Stderr,
                            format!("plugin {plugin}: {line}").as_bytes(),
                        );
                    }
                }
            }
            _ => {}
        }
    }
}
