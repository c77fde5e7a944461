//! The calls, one by one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use capstan_protocol::{
    AddLogEntry, CanceledJobsRequest, DequeueRequest, HeartbeatRequest, HeartbeatResponse,
    Identity, Job, JobIds, JobKey, LogEntry, Mark, Outcome, Telemetry, Undecodable, UpdateLogEntry,
    decode_entry_id, decode_ids, route,
};
use reqwest::Method;

use super::failure::{Cause, ClientError};
use super::retry::Tries;
use super::transport::{body, failed};
use super::{Call, Caller, Client, Queues, VERSION};

/// How long one attempt of an ordinary call may take.
const ORDINARY: Duration = Duration::from_secs(60);

/// How long a heartbeat may take, all attempts together: the next is due soon, and a server gives a job away after 25 s.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long getting a file may take.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// Most bytes of a job: diffs and files are in it.
const JOB_LIMIT: usize = 512 << 20;

/// Most bytes of other answers.
const ANSWER_LIMIT: usize = 4 << 20;

/// What a server says about the jobs it was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Those that are not this executor's.
    pub unknown: Vec<JobKey>,
    /// Those that are to be cancelled.
    pub cancelled: Vec<JobKey>,
}

/// A dequeue that gave no job to run.
#[derive(Debug, thiserror::Error)]
pub enum DequeueError {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// A job came that cannot be read.
    #[error(transparent)]
    Job(#[from] Undecodable),
}

impl Client {
    /// Asks for a job. Made once: an answer that got lost may have been a job, and asking again would take a second one.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that is no job.
    pub async fn dequeue(&self) -> Result<Option<Job>, DequeueError> {
        let queues = &self.settings.queues;
        let request = DequeueRequest {
            queues: match queues {
                Queues::Single(_) => Vec::new(),
                Queues::Multi(names) => names.clone(),
            },
            executor_name: self.settings.executor_name.clone(),
            version: VERSION.to_owned(),
            num_cpus: self.settings.cpus,
            memory: self.settings.memory.clone(),
            disk_space: self.settings.disk.clone(),
        };
        let path = route::queue_call(queues.in_path(), "dequeue");
        let call = self.measured("Dequeue", async {
            let response = self
                .call(Call {
                    tries: Tries::Once,
                    ..post(&path, Caller::Executor, request.to_json())
                })
                .await?;
            match response.status().as_u16() {
                204 => Ok(None),
                _ => body(response, JOB_LIMIT).await.map(Some),
            }
        });
        let Some(body) = call.await? else {
            return Ok(None);
        };
        // Some proxies make 200 of 204.
        if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" {
            return Ok(None);
        }
        let place = |identity: &mut Identity| {
            if let Queues::Single(queue) = queues {
                identity.queue.clone_from(queue);
            }
        };
        match Job::decode(&body) {
            Ok(mut job) => {
                place(&mut job.identity);
                Ok(Some(job))
            }
            Err(mut error) => {
                if let Some(identity) = &mut error.identity {
                    place(identity);
                }
                Err(error.into())
            }
        }
    }

    /// Tells the server that this executor exists, before anything else.
    ///
    /// # Errors
    ///
    /// If there is no answer, or not one of success.
    pub async fn ping(&self) -> Result<(), ClientError> {
        let request = self.heartbeat_request(&[], None, String::new());
        let path = route::queue_call(self.settings.queues.in_path(), "heartbeat");
        let call = Call {
            tries: Tries::Once,
            timeout: HEARTBEAT,
            ..post(&path, Caller::Executor, request.to_json())
        };
        self.measured("Ping", self.call(call)).await?;
        Ok(())
    }

    /// Tells the server what this executor works on. An error says nothing about the jobs.
    ///
    /// # Errors
    ///
    /// If there is no answer in time, or none that can be understood.
    pub async fn heartbeat(
        &self,
        running: &[JobKey],
        telemetry: &Telemetry,
        metrics: String,
    ) -> Result<Beat, ClientError> {
        let request = self.heartbeat_request(running, Some(telemetry.clone()), metrics);
        let beat = self.measured("Heartbeat", self.beat(running, &request));
        match tokio::time::timeout(HEARTBEAT, beat).await {
            Ok(beat) => beat,
            Err(_) => Err(ClientError {
                message: format!("no answer to a heartbeat in {} s", HEARTBEAT.as_secs()),
                cause: Cause::NoAnswer,
            }),
        }
    }

    async fn beat(
        &self,
        running: &[JobKey],
        request: &HeartbeatRequest,
    ) -> Result<Beat, ClientError> {
        let path = route::queue_call(self.settings.queues.in_path(), "heartbeat");
        let answer = self
            .answer(&path, Caller::Executor, request.to_json())
            .await?;
        let answer = HeartbeatResponse::decode(&answer).map_err(|error| {
            ClientError::rubbish(format!("the answer to a heartbeat cannot be read: {error}"))
        })?;
        let cancelled = match answer.cancel_ids {
            Some(ids) => ids,
            None => self.cancelled_by_old_server(running).await?,
        };
        let multi = self.settings.queues.is_multi();
        let of = |keep: &dyn Fn(&String) -> bool| {
            let running = running.iter();
            running
                .filter(|key| keep(&key.text(multi)))
                .cloned()
                .collect()
        };
        Ok(Beat {
            unknown: of(&|id| !answer.known_ids.contains(id)),
            cancelled: of(&|id| cancelled.contains(id)),
        })
    }

    async fn cancelled_by_old_server(
        &self,
        running: &[JobKey],
    ) -> Result<Vec<String>, ClientError> {
        if running.is_empty() {
            return Ok(Vec::new());
        }
        let request = CanceledJobsRequest {
            executor_name: self.settings.executor_name.clone(),
            known_job_ids: running.iter().map(|key| key.id).collect(),
        };
        let path = route::queue_call(self.settings.queues.in_path(), "canceledJobs");
        let answer = self
            .answer(&path, Caller::Executor, request.to_json())
            .await?;
        decode_ids(&answer).map_err(|error| {
            ClientError::rubbish(format!(
                "the list of cancelled jobs cannot be read: {error}"
            ))
        })
    }

    fn heartbeat_request(
        &self,
        running: &[JobKey],
        telemetry: Option<Telemetry>,
        metrics: String,
    ) -> HeartbeatRequest {
        let jobs = match &self.settings.queues {
            Queues::Single(_) => JobIds::Single(running.iter().map(|key| key.id).collect()),
            Queues::Multi(names) => {
                let mut by_queue = std::collections::BTreeMap::<String, Vec<i64>>::new();
                for key in running {
                    by_queue.entry(key.queue.clone()).or_default().push(key.id);
                }
                JobIds::Multi {
                    queue_names: names.clone(),
                    by_queue,
                }
            }
        };
        HeartbeatRequest {
            executor_name: self.settings.executor_name.clone(),
            jobs,
            telemetry,
            metrics,
        }
    }

    /// Adds an entry to a job's log; its number is the answer. The entry is written down before this returns.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub fn add_log_entry<'a>(
        &'a self,
        job: &'a Identity,
        entry: &LogEntry,
    ) -> impl Future<Output = Result<i64, ClientError>> + Send + use<'a> {
        let body = AddLogEntry::encode(&self.settings.executor_name, job.id, entry);
        async move {
            let path = route::queue_call(Some(&job.queue), "addExecutionLogEntry");
            let call = self.answer(&path, Caller::Job(job), body);
            let answer = self.measured("AddExecutionLogEntry", call).await?;
            decode_entry_id(&answer).map_err(|error| {
                ClientError::rubbish(format!("the number of a log entry cannot be read: {error}"))
            })
        }
    }

    /// Puts an entry in place of the one of this number. The entry is written down before this returns.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub fn update_log_entry<'a>(
        &'a self,
        job: &'a Identity,
        number: i64,
        entry: &LogEntry,
    ) -> impl Future<Output = Result<(), ClientError>> + Send + use<'a> {
        let body = UpdateLogEntry::encode(&self.settings.executor_name, job.id, number, entry);
        // The next one makes up for it, unless it is the last.
        let tries = match entry.exit_code {
            Some(_) => self.settings.tries,
            None => 1,
        };
        async move {
            let path = route::queue_call(Some(&job.queue), "updateExecutionLogEntry");
            let call = self.answer_within(tries, &path, Caller::Job(job), body);
            self.measured("UpdateExecutionLogEntry", call).await?;
            Ok(())
        }
    }

    /// Tells how a job ended.
    ///
    /// # Errors
    ///
    /// If the server does not take it; [`Cause::Lost`] if the job is not this executor's.
    pub async fn mark(&self, job: &Identity, outcome: Outcome) -> Result<(), ClientError> {
        let mark = Mark {
            executor_name: self.settings.executor_name.clone(),
            job_id: job.id,
            outcome,
        };
        self.send_mark(&job.queue, &mark, Caller::Job(job)).await
    }

    /// Tells how a job of an earlier executor ended, with the executor's secret: tokens are not kept.
    ///
    /// # Errors
    ///
    /// As of [`Client::mark`].
    pub async fn mark_of_former(&self, queue: &str, mark: &Mark) -> Result<(), ClientError> {
        let caller = Caller::Former {
            name: &mark.executor_name,
            id: mark.job_id,
        };
        self.send_mark(queue, mark, caller).await
    }

    async fn send_mark(
        &self,
        queue: &str,
        mark: &Mark,
        caller: Caller<'_>,
    ) -> Result<(), ClientError> {
        let path = route::queue_call(Some(queue), mark.outcome.call());
        let operation = match mark.outcome {
            Outcome::Complete => "MarkComplete",
            Outcome::Errored(_) => "MarkErrored",
            Outcome::Failed(_) => "MarkFailed",
        };
        self.measured(operation, self.answer(&path, caller, mark.to_json()))
            .await?;
        Ok(())
    }

    /// Gets a file of the server's file store. The bytes go to `each` as they come.
    ///
    /// # Errors
    ///
    /// If it is not there, the server does not answer, or `each` fails.
    pub async fn file(
        &self,
        job: &Identity,
        bucket: &str,
        key: &str,
        each: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
    ) -> Result<(), ClientError> {
        let path = format!("{}/{bucket}/{key}", route::FILES);
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(ClientError::rubbish(format!(
                "there can be no file {bucket}/{key}"
            )));
        }
        let begun = Instant::now();
        let got = async {
            let mut response = self
                .call(Call {
                    method: Method::GET,
                    timeout: DOWNLOAD,
                    tries: Tries::UpTo(self.settings.tries),
                    names_a_job: false,
                    ..post(&path, Caller::Job(job), Vec::new())
                })
                .await?;
            let url = response.url().clone();
            while let Some(chunk) = response
                .chunk()
                .await
                .map_err(|error| failed(&url, &error))?
            {
                each(&chunk).map_err(|error| ClientError {
                    message: error.to_string(),
                    cause: Cause::NoAnswer,
                })?;
            }
            Ok(())
        }
        .await;
        self.metrics.files("Get", begun.elapsed(), got.is_err());
        got
    }

    /// Whether the server accepts the executor's secret.
    ///
    /// # Errors
    ///
    /// If it does not, or does not answer.
    pub async fn test_auth(&self) -> Result<(), ClientError> {
        let call = Call {
            method: Method::GET,
            tries: Tries::UpTo(2),
            ..post(route::TEST_AUTH, Caller::Executor, Vec::new())
        };
        self.call(call).await.map(drop)
    }

    /// Posts, as often as it takes, and returns the answer's body.
    async fn answer(
        &self,
        path: &str,
        caller: Caller<'_>,
        text: Vec<u8>,
    ) -> Result<Vec<u8>, ClientError> {
        let tries = self.settings.tries;
        self.answer_within(tries, path, caller, text).await
    }

    /// The same, with so many tries at most.
    async fn answer_within(
        &self,
        tries: u32,
        path: &str,
        caller: Caller<'_>,
        text: Vec<u8>,
    ) -> Result<Vec<u8>, ClientError> {
        let call = Call {
            tries: Tries::UpTo(tries),
            ..post(path, caller, text)
        };
        body(self.call(call).await?, ANSWER_LIMIT).await
    }

    async fn measured<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let begun = Instant::now();
        let ended = call.await;
        self.metrics
            .queue_call(operation, begun.elapsed(), ended.is_err());
        ended
    }
}

fn post<'a>(path: &'a str, caller: Caller<'a>, body: Vec<u8>) -> Call<'a> {
    Call {
        method: Method::POST,
        path,
        caller,
        body: Bytes::from(body),
        timeout: ORDINARY,
        tries: Tries::Once,
        names_a_job: !matches!(caller, Caller::Executor),
    }
}
