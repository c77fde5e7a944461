//! What executors and Sourcegraph say to each other (facts/executor-protocol.md 1 and 2), in both directions.
//!
//! Everything is *written* exactly as the original writes it: names, order, what is left out. It is *read* with tolerance, as servers
//! and executors of many versions are out there: names in any case, `null` for nothing, numbers or texts as ids, fields that are
//! not known. [`Job`] is what a dequeue answers, [`DequeueRequest`], [`HeartbeatRequest`], [`AddLogEntry`], [`UpdateLogEntry`] and [`Mark`]
//! are what an executor sends, [`route`] is where to.
//!
//! No type shows a secret in its `Debug` form, and no error quotes the text it is about.

#![warn(missing_docs)]

mod dequeue;
mod fields;
mod heartbeat;
mod job;
mod log_entry;
mod mark;
pub mod route;

pub use self::dequeue::DequeueRequest;
pub use self::fields::DecodeError;
pub use self::heartbeat::{
    CanceledJobsRequest, HeartbeatRequest, HeartbeatResponse, JobIds, Telemetry, decode_ids,
};
pub use self::job::{
    CliStep, Content, DockerAuthConfig, DockerStep, File, Generation, Identity, Job, JobKey,
    RegistryAuth, Undecodable,
};
pub use self::log_entry::{AddLogEntry, LogEntry, UpdateLogEntry, decode_entry_id};
pub use self::mark::{Mark, Outcome};

/// The body of an answer that says what went wrong, as servers write it.
pub fn error_body(message: &str) -> Vec<u8> {
    serde_json::json!({ "error": message })
        .to_string()
        .into_bytes()
}

/// The message in the body of an answer that says what went wrong; `None` if there is none.
pub fn error_message(body: &[u8]) -> Option<String> {
    let mut fields = fields::Fields::parse(body).ok()?;
    let message = fields.text("error").ok()?;
    Some(message).filter(|message| !message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_as_they_are_written() {
        let body = error_body("unknown \"job\"");
        assert_eq!(body, br#"{"error":"unknown \"job\""}"#);
        assert_eq!(error_message(&body).unwrap(), "unknown \"job\"");
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "{\"error\":1}",
            "<html>",
            "{\"error\":\"\"}",
        ] {
            assert_eq!(error_message(body.as_bytes()), None, "{body}");
        }
    }
}
