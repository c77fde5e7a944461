//! What the server knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::uploads::Uploads;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Waiting.
    Queued,
    /// Taken by an executor of this name.
    Processing(String),
    /// Done.
    Completed,
    /// A step failed, with this message.
    Errored(String),
    /// Never to be tried again, with this message.
    Failed(String),
    /// Cancelled.
    Canceled,
}

impl JobState {
    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Queued | Self::Processing(_))
    }
}

/// An entry of a job's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it is about.
    pub key: String,
    /// The command.
    pub command: Option<Vec<String>>,
    /// How it ended.
    pub exit_code: Option<i64>,
    /// What it said.
    pub out: String,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) jobs: BTreeMap<i64, Job>,
    pub(super) queue: VecDeque<i64>,
    pub(super) cancelled: BTreeSet<i64>,
    pub(super) repositories: BTreeMap<String, PathBuf>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) failures: Vec<(String, u16, usize)>,
    pub(super) dequeue_answers: VecDeque<String>,
    pub(super) executors: BTreeSet<String>,
    pub(super) held: BTreeSet<String>,
    pub(super) uploads: Uploads,
    pub(super) requests: Vec<String>,
    /// `METHOD path` and headers.
    pub(super) headers: Vec<(String, Vec<String>)>,
    pub(super) bodies: Vec<String>,
    pub(super) violations: Vec<String>,
    tokens: u64,
}

pub(super) struct Job {
    payload: Value,
    pub(super) queue: String,
    pub(super) state: JobState,
    /// Dead once the job is marked or given to another.
    pub(super) token: Option<String>,
    pub(super) log: Vec<Entry>,
}

impl State {
    pub(super) fn enqueue(&mut self, payload: Value) -> i64 {
        let id = i64::try_from(self.jobs.len()).expect("few jobs") + 1;
        let queue = payload["queue"].as_str().unwrap_or("batches").to_owned();
        self.jobs.insert(
            id,
            Job {
                payload,
                queue,
                state: JobState::Queued,
                token: None,
                log: Vec::new(),
            },
        );
        self.queue.push_back(id);
        id
    }

    pub(super) fn take_away(&mut self, id: i64) {
        let job = self.jobs.get_mut(&id).expect("there is such a job");
        job.state = JobState::Queued;
        job.token = None;
        self.queue.push_back(id);
    }

    pub(super) fn job(&self, id: i64) -> JobState {
        self.jobs[&id].state.clone()
    }

    pub(super) fn log(&self, id: i64) -> Vec<Entry> {
        self.jobs[&id].log.clone()
    }

    /// The status that is to be answered to this path instead of anything sensible.
    pub(super) fn failure(&mut self, path: &str) -> Option<u16> {
        let found = self
            .failures
            .iter_mut()
            .find(|(part, _, left)| *left > 0 && path.contains(&**part));
        let (_, status, left) = found?;
        *left -= 1;
        Some(*status)
    }

    pub(super) fn dequeue(
        &mut self,
        queues: &[String],
        executor: &str,
        multi: bool,
    ) -> Option<Value> {
        let at = self
            .queue
            .iter()
            .position(|id| queues.contains(&self.jobs[id].queue))?;
        let id = self.queue.remove(at)?;
        self.tokens += 1;
        let token = format!("{:040x}", self.tokens + 0xfeed);
        let job = self.jobs.get_mut(&id)?;
        job.state = JobState::Processing(executor.to_owned());
        job.token = Some(token.clone());
        job.log.clear();
        let mut payload = job.payload.clone();
        payload["id"] = json!(id);
        payload["token"] = json!(token);
        if multi {
            payload["queue"] = json!(job.queue);
        }
        Some(payload)
    }

    /// Which of the jobs belong to the executor, and which of those are to be cancelled.
    pub(super) fn heartbeat(&mut self, executor: &str, ids: &[i64]) -> (Vec<i64>, Vec<i64>) {
        self.executors.insert(executor.to_owned());
        let is_known = |id: &&i64| {
            let job = self.jobs.get(id);
            job.is_some_and(|job| job.state == JobState::Processing(executor.to_owned()))
        };
        let known: Vec<i64> = ids.iter().filter(is_known).copied().collect();
        let cancelled = known.iter().filter(|id| self.cancelled.contains(id));
        let cancelled = cancelled.copied().collect();
        (known, cancelled)
    }

    /// Ends a job; `false` if it does not run at this executor.
    pub(super) fn mark(&mut self, executor: &str, id: i64, call: &str, message: String) -> bool {
        let is_cancelled = self.cancelled.contains(&id);
        let Some(job) = self.jobs.get_mut(&id) else {
            return false;
        };
        if job.state != JobState::Processing(executor.to_owned()) {
            return false;
        }
        job.token = None;
        job.state = match call {
            "markComplete" if job.queue == "batches" && !has_results(&job.log) => {
                JobState::Failed("found no step results".to_owned())
            }
            "markComplete" => JobState::Completed,
            _ if is_cancelled => JobState::Canceled,
            "markErrored" => JobState::Errored(message),
            _ => JobState::Failed(message),
        };
        true
    }
}

/// Whether a server would find a result in this log (facts/executor-protocol.md 7.8).
fn has_results(log: &[Entry]) -> bool {
    let is_read = |entry: &&Entry| {
        entry.key.ends_with(".post") || ["step.src.batch-exec", "step.src.0"].contains(&&*entry.key)
    };
    let lines = log
        .iter()
        .filter(is_read)
        .flat_map(|entry| entry.out.lines());
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("stdout: ")?).ok())
        .any(|event| event["operation"] == "CACHE_AFTER_STEP_RESULT")
}
