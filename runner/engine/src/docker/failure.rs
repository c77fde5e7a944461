//! The engine's errors as faults.

use std::error::Error as _;
use std::time::Duration;

use bollard::errors::Error;

use crate::fault::Fault;

const ENGINE_HINT: &str = "check that the engine runs and answers (`docker version`), then run again; `capstan doctor` tells more";

/// What the engine said when it refused a request: HTTP status and text.
pub(super) fn refusal(error: &Error) -> Option<(u16, &str)> {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => Some((*status_code, message.trim())),
        _ => None,
    }
}

/// Whether the engine says that the object does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    refusal(error).is_some_and(|(status, _)| status == 404)
}

/// Whether the text of an error says that a disk is full.
pub(super) fn is_disk_full(text: &str) -> bool {
    text.contains("no space left on device") || text.contains("disk quota exceeded")
}

/// The error with its causes, which bollard and hyper leave out of their own texts.
pub(super) fn explain(error: &Error) -> String {
    if let Some((_, message)) = refusal(error) {
        return message.to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

/// The fault of a failed request. `doing` completes "while ...", for example `starting a container`.
///
/// What the engine refuses concerns the request, so one workspace; what keeps it from answering concerns all.
pub(super) fn fault(doing: &str, error: &Error) -> Fault {
    match refusal(error) {
        Some((_, message)) if is_disk_full(message) => {
            Fault::environment(format!("{doing}: {message}"))
                .hint("free disk space where the engine keeps its data (`docker system df`)")
        }
        Some((_, message)) => Fault::workspace(format!("{doing}: {message}")),
        None => lost(doing, &explain(error)),
    }
}

/// The fault of an engine that has gone away.
pub(super) fn lost(doing: &str, reason: &str) -> Fault {
    Fault::environment(format!(
        "lost the connection to the Docker engine while {doing}: {reason}"
    ))
    .hint(ENGINE_HINT)
}

/// Runs a request with a limit, so that a frozen engine is an error and not a hang.
pub(super) async fn within<T>(
    limit: Duration,
    doing: &str,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| fault(doing, &error)),
        Err(_) => Err(lost(
            doing,
            &format!("no answer within {} s", limit.as_secs()),
        )),
    }
}
