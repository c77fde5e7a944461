//! Telling how a job ended.

use serde::Serialize;

use crate::fields::{DecodeError, Fields};

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Complete,
    /// A step, or the work around it, failed.
    Errored(String),
    /// It was cancelled, or must not be tried again.
    Failed(String),
}

impl Outcome {
    /// The last part of the path of the call.
    pub fn call(&self) -> &'static str {
        match self {
            Self::Complete => "markComplete",
            Self::Errored(_) => "markErrored",
            Self::Failed(_) => "markFailed",
        }
    }

    fn message(&self) -> Option<&str> {
        match self {
            Self::Complete => None,
            Self::Errored(message) | Self::Failed(message) => Some(message),
        }
    }
}

/// Body of `markComplete`, `markErrored` and `markFailed`. There is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Name of the executor.
    pub executor_name: String,
    /// The job.
    pub job_id: i64,
    /// How it ended.
    pub outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    executor_name: &'a str,
    job_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

impl Mark {
    /// As the original writes it.
    pub fn to_json(&self) -> Vec<u8> {
        let wire = Wire {
            executor_name: &self.executor_name,
            job_id: self.job_id,
            error_message: self.outcome.message(),
        };
        serde_json::to_vec(&wire).expect("texts and numbers can be JSON")
    }

    /// Reads what an executor sent to the path that ends in `call`; `None` if that is no mark.
    ///
    /// # Errors
    ///
    /// If it is no JSON, a field is of another kind, or there is no job id.
    pub fn decode(call: &str, body: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut fields = Fields::parse(body)?;
        let message = fields.text("errorMessage")?;
        let outcome = match call {
            "markComplete" => Outcome::Complete,
            "markErrored" => Outcome::Errored(message),
            "markFailed" => Outcome::Failed(message),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            executor_name: fields.text("executorName")?,
            job_id: fields
                .integer("jobId")?
                .ok_or_else(|| DecodeError::kind("jobId", "a whole number"))?,
            outcome,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_to_the_letter_and_read_again() {
        for (outcome, call, json) in [
            (
                Outcome::Complete,
                "markComplete",
                r#"{"executorName":"host-1","jobId":42}"#,
            ),
            (
                Outcome::Errored("no \"such\" image".into()),
                "markErrored",
                r#"{"executorName":"host-1","jobId":42,"errorMessage":"no \"such\" image"}"#,
            ),
            (
                Outcome::Failed("canceled".into()),
                "markFailed",
                r#"{"executorName":"host-1","jobId":42,"errorMessage":"canceled"}"#,
            ),
        ] {
            let mark = Mark {
                executor_name: "host-1".into(),
                job_id: 42,
                outcome,
            };
            assert_eq!(mark.outcome.call(), call);
            assert_eq!(str::from_utf8(&mark.to_json()).unwrap(), json);
            assert_eq!(Mark::decode(call, &mark.to_json()).unwrap(), Some(mark));
        }
        assert_eq!(Mark::decode("dequeue", b"{}").unwrap(), None);
    }
}
