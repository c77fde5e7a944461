//! How a pod is brought to its end: because somebody wants it gone, or because the node cannot have it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::pod::Worker;
use super::status::Failure;

impl Worker {
    /// Tells all containers to stop, and kills those that do not.
    pub(super) async fn stop(&mut self, pod: &Value) {
        let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
        let grace = Duration::from_secs(grace.unwrap_or(0));
        match self.kill_at {
            None => {
                self.kill_at = Some(Instant::now() + grace);
                self.signal("TERM").await;
                for container in self.containers.iter().filter(|one| one.is_running()) {
                    let message = format!("Stopping container {}", container.name());
                    self.tell(pod, "Killing", &message);
                }
            }
            Some(at) => {
                // It may have been shortened.
                self.kill_at = Some(at.min(Instant::now() + grace));
                if at <= Instant::now() {
                    self.signal("KILL").await;
                }
            }
        }
    }

    async fn signal(&self, signal: &str) {
        let running = self.running();
        if running.is_empty() {
            return;
        }
        let mut arguments = ["kill", "--signal", signal].map(str::to_owned).to_vec();
        arguments.extend(running);
        // Some may have ended meanwhile.
        let _ = self.shared.docker().run(&arguments).await;
    }

    /// Drives it out.
    pub(super) async fn evict(&mut self, pod: &Value, message: String) {
        self.tell(pod, "Evicted", &message);
        self.signal("KILL").await;
        self.failure = Some(Failure {
            reason: "Evicted".to_owned(),
            message,
        });
    }
}
