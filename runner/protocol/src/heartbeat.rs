//! Telling that one lives and what one works on.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::fields::{self, DecodeError, Fields};

/// What is known about the executor's machine. Empty texts for what does not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// Operating system in Go's spelling, `linux`.
    pub os: String,
    /// Architecture in Go's spelling, `amd64`.
    pub architecture: String,
    /// Version of the container engine.
    pub docker_version: String,
    /// Version of the executor.
    pub executor_version: String,
    /// Version of git.
    pub git_version: String,
    /// Version of ignite, which Capstan has no use for.
    pub ignite_version: String,
    /// Version of `src`.
    pub src_cli_version: String,
}

/// The jobs that an executor works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobIds {
    /// Of the queue that the path names.
    Single(Vec<i64>),
    /// Of several queues.
    Multi {
        /// All queues that the executor takes from.
        queue_names: Vec<String>,
        /// Running jobs by queue. A queue without any is left out.
        by_queue: BTreeMap<String, Vec<i64>>,
    },
}

/// Body of a heartbeat. The answer is a [`HeartbeatResponse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// Name of the executor.
    pub executor_name: String,
    /// What it works on.
    pub jobs: JobIds,
    /// Its machine; `None` for the ping at the start.
    pub telemetry: Option<Telemetry>,
    /// Metrics in Prometheus' text format.
    pub metrics: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    executor_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_ids: Option<Option<&'a [i64]>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    job_ids_by_queue: Vec<QueueIds<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_names: Option<&'a [String]>,
    #[serde(flatten)]
    telemetry: Option<&'a Telemetry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus_metrics: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueIds<'a> {
    queue_name: &'a str,
    job_ids: Vec<String>,
}

impl HeartbeatRequest {
    /// As the original writes it.
    pub fn to_json(&self) -> Vec<u8> {
        let is_ping = self.telemetry.is_none();
        let mut wire = Wire {
            version: None,
            executor_name: &self.executor_name,
            job_ids: None,
            job_ids_by_queue: Vec::new(),
            queue_names: None,
            telemetry: self.telemetry.as_ref(),
            prometheus_metrics: (!is_ping).then_some(self.metrics.as_str()),
        };
        match &self.jobs {
            JobIds::Single(_) if is_ping => {}
            JobIds::Single(ids) => {
                wire.version = Some("V2");
                wire.job_ids = Some(Some(ids.as_slice()).filter(|ids| !ids.is_empty()));
            }
            JobIds::Multi {
                queue_names,
                by_queue,
            } => {
                wire.queue_names = Some(queue_names);
                if !is_ping {
                    wire.version = Some("");
                    wire.job_ids_by_queue = by_queue
                        .iter()
                        .filter(|(_, ids)| !ids.is_empty())
                        .map(|(queue, ids)| QueueIds {
                            queue_name: queue,
                            job_ids: ids.iter().map(i64::to_string).collect(),
                        })
                        .collect();
                }
            }
        }
        serde_json::to_vec(&wire).expect("texts and numbers can be JSON")
    }

    /// Reads what an executor sent, to the path of one queue or, if `multi`, of all.
    ///
    /// # Errors
    ///
    /// If it is no JSON, or a field is of another kind.
    pub fn decode(body: &[u8], multi: bool) -> Result<Self, DecodeError> {
        let mut fields = Fields::parse(body)?;
        let jobs = if multi {
            let mut by_queue: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for (queue, ids) in fields.list("jobIdsByQueue", queue_ids)? {
                by_queue.entry(queue).or_default().extend(ids);
            }
            JobIds::Multi {
                queue_names: fields.texts("queueNames")?,
                by_queue,
            }
        } else {
            JobIds::Single(fields.list("jobIds", id)?)
        };
        let telemetry = Telemetry {
            os: fields.text("os")?,
            architecture: fields.text("architecture")?,
            docker_version: fields.text("dockerVersion")?,
            executor_version: fields.text("executorVersion")?,
            git_version: fields.text("gitVersion")?,
            ignite_version: fields.text("igniteVersion")?,
            src_cli_version: fields.text("srcCliVersion")?,
        };
        Ok(Self {
            executor_name: fields.text("executorName")?,
            jobs,
            telemetry: Some(telemetry).filter(|telemetry| *telemetry != Telemetry::default()),
            metrics: fields.text("prometheusMetrics")?,
        })
    }
}

fn queue_ids(value: Value) -> Result<(String, Vec<i64>), DecodeError> {
    let mut fields = Fields::of(value)?;
    Ok((fields.text("queueName")?, fields.list("jobIds", id)?))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "as readers of elements are called"
)]
fn id(value: Value) -> Result<i64, DecodeError> {
    fields::integer(&value).ok_or_else(|| DecodeError::kind("", "a whole number"))
}

/// Answer to a heartbeat. Ids are written `42` to the path of one queue and `42-batches` to the path of all, see
/// [`JobKey`](crate::JobKey).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatResponse {
    /// Which of the jobs that were sent belong to the executor.
    pub known_ids: Vec<String>,
    /// Which of those are to be cancelled; `None` if a server is so old that it has to be asked with a [`CanceledJobsRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_ids: Option<Vec<String>>,
}

impl HeartbeatResponse {
    /// As the original writes it.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts can be JSON")
    }

    /// Reads what a server answered: an object, or the bare list of known ids of servers up to 4.4.
    ///
    /// # Errors
    ///
    /// If it is no JSON, or says nothing about known ids: nothing must be concluded from such an answer.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let value = fields::parse(body)?;
        if let Value::Array(ids) = value {
            return Ok(Self {
                known_ids: key_list(ids)?,
                cancel_ids: None,
            });
        }
        let mut fields = Fields::of(value)?;
        if !fields.has("knownIds") {
            return Err(DecodeError::kind("knownIds", "a list"));
        }
        Ok(Self {
            known_ids: fields.list("knownIds", key)?,
            cancel_ids: Some(fields.list("cancelIds", key)?),
        })
    }
}

/// Reads a bare list of ids, numbers or texts: the answer to a [`CanceledJobsRequest`].
///
/// # Errors
///
/// If it is no such list. `null` is an empty one.
pub fn decode_ids(body: &[u8]) -> Result<Vec<String>, DecodeError> {
    match fields::parse(body)? {
        Value::Array(ids) => key_list(ids),
        Value::Null => Ok(Vec::new()),
        _ => Err(DecodeError::kind("", "a list")),
    }
}

fn key_list(ids: Vec<Value>) -> Result<Vec<String>, DecodeError> {
    ids.into_iter().map(key).collect()
}

fn key(value: Value) -> Result<String, DecodeError> {
    if let Some(number) = fields::integer(&value) {
        return Ok(number.to_string());
    }
    match value {
        Value::String(key) => Ok(key),
        _ => Err(DecodeError::kind("", "an id")),
    }
}

/// Asks a server up to 4.4 which jobs are cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanceledJobsRequest {
    /// Name of the executor.
    pub executor_name: String,
    /// The jobs that it works on.
    pub known_job_ids: Vec<i64>,
}

impl CanceledJobsRequest {
    /// As the original writes it.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be JSON")
    }
}

#[cfg(test)]
mod tests;
