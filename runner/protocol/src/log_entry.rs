//! Entries of a job's execution log.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::fields::{self, DecodeError, Fields};

/// One entry of an execution log: a command and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// What it is about, such as `step.docker.step.0.run`.
    pub key: String,
    /// The command with its arguments; `None` for what is no command.
    pub command: Option<Vec<String>>,
    /// When it began.
    #[serde(serialize_with = "time")]
    pub start_time: Timestamp,
    /// How it ended; `None` while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Everything it said until now. Lines of a process begin with `stdout: ` or `stderr: `.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub out: String,
    /// How long it ran, in milliseconds; `None` while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Body of `addExecutionLogEntry`. The answer is the number of the entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddLogEntry {
    /// Name of the executor.
    pub executor_name: String,
    /// The job.
    pub job_id: i64,
    /// The entry.
    pub entry: LogEntry,
}

/// Body of `updateExecutionLogEntry`, which takes the place of an entry. There is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateLogEntry {
    /// Name of the executor.
    pub executor_name: String,
    /// The job.
    pub job_id: i64,
    /// Number of the entry.
    pub entry_id: i64,
    /// The whole entry.
    pub entry: LogEntry,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    executor_name: &'a str,
    job_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<i64>,
    #[serde(flatten)]
    entry: &'a LogEntry,
}

impl Wire<'_> {
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be JSON")
    }
}

impl AddLogEntry {
    /// As the original writes it; without a value of its own, as entries are large.
    pub fn encode(executor_name: &str, job_id: i64, entry: &LogEntry) -> Vec<u8> {
        let wire = Wire {
            executor_name,
            job_id,
            entry_id: None,
            entry,
        };
        wire.to_json()
    }

    /// Reads what an executor sent.
    ///
    /// # Errors
    ///
    /// If it is no JSON, a field is of another kind, or there is no job id.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (executor_name, job_id, _, entry) = decode(body)?;
        Ok(Self {
            executor_name,
            job_id,
            entry,
        })
    }
}

impl UpdateLogEntry {
    /// As the original writes it; without a value of its own, as entries are large.
    pub fn encode(executor_name: &str, job_id: i64, entry_id: i64, entry: &LogEntry) -> Vec<u8> {
        let wire = Wire {
            executor_name,
            job_id,
            entry_id: Some(entry_id),
            entry,
        };
        wire.to_json()
    }

    /// Reads what an executor sent.
    ///
    /// # Errors
    ///
    /// If it is no JSON, a field is of another kind, or an id is missing.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (executor_name, job_id, entry_id, entry) = decode(body)?;
        Ok(Self {
            executor_name,
            job_id,
            entry_id: entry_id.ok_or_else(|| DecodeError::kind("entryId", "a whole number"))?,
            entry,
        })
    }
}

fn decode(body: &[u8]) -> Result<(String, i64, Option<i64>, LogEntry), DecodeError> {
    let mut fields = Fields::parse(body)?;
    let job_id = fields
        .integer("jobId")?
        .ok_or_else(|| DecodeError::kind("jobId", "a whole number"))?;
    let small = |number: Option<i64>| number.and_then(|number| number.try_into().ok());
    let command = match fields.has("command") {
        true => Some(fields.texts("command")?).filter(|command| !command.is_empty()),
        false => None,
    };
    let entry = LogEntry {
        key: fields.text("key")?,
        command,
        start_time: fields.time("startTime")?.unwrap_or_default(),
        exit_code: small(fields.integer("exitCode")?),
        out: fields.text("out")?,
        duration_ms: fields
            .integer("durationMs")?
            .and_then(|number| number.try_into().ok()),
    };
    Ok((
        fields.text("executorName")?,
        job_id,
        fields.integer("entryId")?,
        entry,
    ))
}

/// Reads the answer to [`AddLogEntry`]: a bare number.
///
/// # Errors
///
/// If it is none.
pub fn decode_entry_id(body: &[u8]) -> Result<i64, DecodeError> {
    fields::integer(&fields::parse(body)?).ok_or_else(|| DecodeError::kind("", "a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> LogEntry {
        LogEntry {
            key: "setup.fs.extras".into(),
            command: None,
            start_time: "2026-03-01T10:00:00.25Z".parse().unwrap(),
            exit_code: None,
            out: String::new(),
            duration_ms: None,
        }
    }

    fn finished() -> LogEntry {
        LogEntry {
            key: "step.docker.step.0.run".into(),
            command: Some(vec!["docker".into(), "run".into()]),
            exit_code: Some(0),
            out: "stdout: hi\n".into(),
            duration_ms: Some(1500),
            ..running()
        }
    }

    #[test]
    fn adding_is_written_to_the_letter_and_read_again() {
        let body = AddLogEntry::encode("host-1", 42, &running());
        assert_eq!(
            str::from_utf8(&body).unwrap(),
            r#"{"executorName":"host-1","jobId":42,"key":"setup.fs.extras","command":null,"startTime":"2026-03-01T10:00:00.25Z"}"#
        );
        let read = AddLogEntry::decode(&body).unwrap();
        assert_eq!((read.job_id, read.entry), (42, running()));
    }

    #[test]
    fn updating_is_written_to_the_letter_and_read_again() {
        let body = UpdateLogEntry::encode("host-1", 42, 3, &finished());
        assert_eq!(
            str::from_utf8(&body).unwrap(),
            r#"{"executorName":"host-1","jobId":42,"entryId":3,"key":"step.docker.step.0.run","command":["docker","run"],"startTime":"2026-03-01T10:00:00.25Z","exitCode":0,"out":"stdout: hi\n","durationMs":1500}"#
        );
        let read = UpdateLogEntry::decode(&body).unwrap();
        assert_eq!((read.entry_id, read.entry), (3, finished()));
    }

    #[test]
    fn ids_are_needed() {
        let error = AddLogEntry::decode(b"{}").unwrap_err();
        assert_eq!(error.to_string(), "jobId: expected a whole number");
        let error = UpdateLogEntry::decode(b"{\"jobId\":1}").unwrap_err();
        assert_eq!(error.to_string(), "entryId: expected a whole number");
        assert_eq!(decode_entry_id(b"7\n").unwrap(), 7);
        assert!(decode_entry_id(b"{}").is_err());
    }
}
