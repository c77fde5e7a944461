//! Paths and headers.

/// Queue calls.
pub const QUEUE: &str = "/.executors/queue";
/// Files of batch specs.
pub const FILES: &str = "/.executors/files";
/// Git over HTTP.
pub const GIT: &str = "/.executors/git";
/// Whether the executor's secret is accepted.
pub const TEST_AUTH: &str = "/.executors/test/auth";
/// Upload of code-intel indexes, as it is called by now.
pub const SCIP_UPLOAD: &str = "/.executors/scip/upload";
/// Upload of code-intel indexes, as it was called.
pub const LSIF_UPLOAD: &str = "/.executors/lsif/upload";

/// Job-level calls: the decimal id of the job.
pub const JOB_ID_HEADER: &str = "X-Sourcegraph-Job-ID";
/// Job-level calls: the executor's name.
pub const EXECUTOR_NAME_HEADER: &str = "X-Sourcegraph-Executor-Name";
/// Git calls: who acts, always [`INTERNAL_ACTOR`].
pub const ACTOR_HEADER: &str = "X-Sourcegraph-Actor-UID";
/// Value of [`ACTOR_HEADER`].
pub const INTERNAL_ACTOR: &str = "internal";

/// Scheme of `Authorization` with the executor's secret.
pub const EXECUTOR_SCHEME: &str = "token-executor";
/// Scheme of `Authorization` with a job's token.
pub const JOB_SCHEME: &str = "Bearer";

/// The names that queues may have.
pub const QUEUES: [&str; 2] = ["batches", "codeintel"];

/// Path of a call to one queue, or to all of them if `queue` is `None`.
pub fn queue_call(queue: Option<&str>, call: &str) -> String {
    match queue {
        Some(queue) => format!("{QUEUE}/{queue}/{call}"),
        None => format!("{QUEUE}/{call}"),
    }
}

#[cfg(test)]
mod tests {
    use super::queue_call;

    #[test]
    fn calls_of_one_queue_and_of_all() {
        assert_eq!(
            queue_call(Some("batches"), "dequeue"),
            "/.executors/queue/batches/dequeue"
        );
        assert_eq!(queue_call(None, "heartbeat"), "/.executors/queue/heartbeat");
    }
}
