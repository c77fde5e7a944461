//! How an executor is doing, for those who look at it from outside.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// A server gives jobs away after so long without a heartbeat.
const STALE: Duration = Duration::from_secs(25);

/// Where an executor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not registered yet.
    Starting,
    /// Takes jobs.
    Listening,
    /// Takes no more jobs; those that run are finished.
    Draining,
    /// Jobs that run are being stopped.
    Stopping,
}

/// How an executor is doing.
#[derive(Debug)]
pub struct Status(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    phase: Phase,
    last_heartbeat: Option<Instant>,
    taken: u64,
}

impl Default for Status {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            phase: Phase::Starting,
            last_heartbeat: None,
            taken: 0,
        }))
    }
}

impl Status {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    pub(super) fn heard(&self) {
        self.lock().last_heartbeat = Some(Instant::now());
    }

    pub(super) fn took(&self) {
        self.lock().taken += 1;
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Jobs taken so far.
    pub fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// Time since the server has answered a heartbeat.
    pub fn since_heartbeat(&self) -> Option<Duration> {
        self.lock().last_heartbeat.map(|at| at.elapsed())
    }

    /// Why it would take no job now; `None`: it would.
    pub fn unready(&self) -> Option<String> {
        match self.phase() {
            Phase::Starting => return Some("not registered with the server yet".to_owned()),
            Phase::Draining => return Some("draining".to_owned()),
            Phase::Stopping => return Some("stopping".to_owned()),
            Phase::Listening => {}
        }
        match self.since_heartbeat() {
            Some(age) if age <= STALE => None,
            Some(age) => Some(format!("no heartbeat was answered for {} s", age.as_secs())),
            None => Some("no heartbeat was answered yet".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ready_is_who_is_heard_and_takes_jobs() {
        let status = Status::default();
        assert_eq!(
            status.unready().unwrap(),
            "not registered with the server yet"
        );
        status.enter(Phase::Listening);
        assert_eq!(status.unready().unwrap(), "no heartbeat was answered yet");
        status.heard();
        assert_eq!(status.unready(), None);
        tokio::time::sleep(Duration::from_secs(26)).await;
        assert_eq!(
            status.unready().unwrap(),
            "no heartbeat was answered for 26 s"
        );
        status.heard();
        status.enter(Phase::Draining);
        assert_eq!(status.unready().unwrap(), "draining");
    }
}
