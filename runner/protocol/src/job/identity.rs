//! Which job it is.

use std::fmt;

/// A job's number in its queue, the queue's name, and the token that opens its calls.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Number in the queue.
    pub id: i64,
    /// Name of the queue; empty where the path of the dequeue call names it.
    pub queue: String,
    /// Token for job-level calls; empty with old servers.
    pub token: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.queue)
    }
}

impl Identity {
    /// Without its token.
    pub fn key(&self) -> JobKey {
        JobKey {
            queue: self.queue.clone(),
            id: self.id,
        }
    }
}

/// A job among those of all queues: ids of different queues collide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// Name of the queue.
    pub queue: String,
    /// Number in the queue.
    pub id: i64,
}

impl JobKey {
    /// As heartbeats of a single queue (`42`) or of several (`42-batches`) answer it.
    pub fn text(&self, multi: bool) -> String {
        match multi {
            true => format!("{}-{}", self.id, self.queue),
            false => self.id.to_string(),
        }
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.queue)
    }
}
