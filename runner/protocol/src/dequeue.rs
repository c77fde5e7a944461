//! Asking for a job.

use serde::Serialize;

use crate::fields::{DecodeError, Fields};

/// Body of a dequeue call. The answer is a [`Job`](crate::Job), or no content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DequeueRequest {
    /// Queues to take from; empty if the path names the queue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Name of the executor.
    pub executor_name: String,
    /// Version of the executor, by which the server decides about the form of the job.
    pub version: String,
    /// Processors; 0 is unknown.
    #[serde(rename = "numCPUs", skip_serializing_if = "is_zero")]
    pub num_cpus: u32,
    /// Memory such as `12G`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub memory: String,
    /// Disk such as `20G`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub disk_space: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl DequeueRequest {
    /// As the original writes it.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be JSON")
    }

    /// Reads what an executor sent.
    ///
    /// # Errors
    ///
    /// If it is no JSON, or a field is of another kind.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::parse(body)?;
        Ok(Self {
            queues: fields.texts("queues")?,
            executor_name: fields.text("executorName")?,
            version: fields.text("version")?,
            num_cpus: fields
                .integer("numCPUs")?
                .and_then(|number| number.try_into().ok())
                .unwrap_or(0),
            memory: fields.text("memory")?,
            disk_space: fields.text("diskSpace")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_to_the_letter_and_read_again() {
        let whole = DequeueRequest {
            queues: vec!["batches".into(), "codeintel".into()],
            executor_name: "host-1".into(),
            version: "0.0.0+dev".into(),
            num_cpus: 4,
            memory: "12G".into(),
            disk_space: "20G".into(),
        };
        let json = whole.to_json();
        assert_eq!(
            str::from_utf8(&json).unwrap(),
            r#"{"queues":["batches","codeintel"],"executorName":"host-1","version":"0.0.0+dev","numCPUs":4,"memory":"12G","diskSpace":"20G"}"#
        );
        assert_eq!(DequeueRequest::decode(&json).unwrap(), whole);

        let least = DequeueRequest {
            executor_name: "host-1".into(),
            ..DequeueRequest::default()
        };
        let json = least.to_json();
        assert_eq!(
            str::from_utf8(&json).unwrap(),
            r#"{"executorName":"host-1","version":""}"#
        );
        assert_eq!(DequeueRequest::decode(&json).unwrap(), least);
    }

    #[test]
    fn read_with_tolerance() {
        let request = DequeueRequest::decode(
            br#"{"EXECUTORNAME":"a","queues":null,"numcpus":"8","new":[1]}"#,
        );
        let request = request.unwrap();
        assert_eq!((request.executor_name.as_str(), request.num_cpus), ("a", 8));
    }
}
