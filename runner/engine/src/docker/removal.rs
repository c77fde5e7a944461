//! Takes containers away in the background, so that no step waits for it.

use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{RemoveContainerOptions, RemoveVolumeOptions};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::failure::{explain, is_missing, refusal};
use super::gate::ControlDirectory;
use super::sandbox::DockerSandbox;

/// Removals at a time: more would only slow down the containers that are being made.
const AT_A_TIME: usize = 4;

/// Longest wait for one answer; removing kills, unmounts and deletes.
const LIMIT: Duration = Duration::from_secs(60);

/// Tasks that must be over before the process ends.
#[derive(Debug, Clone)]
pub(super) struct Removals {
    pub(super) tasks: TaskTracker,
    pub(super) runtime: Handle,
    slots: Arc<Semaphore>,
}

impl Removals {
    /// Must be called within a runtime; tasks run on that one.
    pub(super) fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            slots: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

/// A container and what was made for it on the host. Dropping it removes both in the background.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) api: bollard::Docker,
    pub(super) id: String,
    pub(super) control: Option<Arc<ControlDirectory>>,
    pub(super) removals: Removals,
    /// Whether the container ends when it is let go of, and the engine then removes it.
    pub(super) removes_itself: bool,
}

impl Drop for Remains {
    fn drop(&mut self) {
        let api = self.api.clone();
        let id = std::mem::take(&mut self.id);
        let control = self.control.take();
        let slots = Arc::clone(&self.removals.slots);
        let removes_itself = self.removes_itself;
        let task = async move {
            let _slot = slots.acquire().await;
            if !removes_itself && let Err(reason) = remove(&api, &id).await {
                tracing::warn!(container = %id, "removing a container: {reason}; the next start sweeps it");
            }
            // Deleting is file system work; the directory's own clean-up does it.
            let _ = tokio::task::spawn_blocking(move || drop(control)).await;
        };
        self.removals.tasks.spawn_on(task, &self.removals.runtime);
    }
}

impl DockerSandbox {
    /// Removes a volume in the background, as soon as the containers that have it are gone.
    pub(super) fn remove_volume(&self, name: String) {
        let api = self.shared.docker.api.clone();
        let removals = &self.shared.removals;
        let task = async move {
            if let Err(reason) = remove_volume(&api, &name).await {
                tracing::warn!(volume = %name, "removing a volume: {reason}; the next start sweeps it");
            }
        };
        removals.tasks.spawn_on(task, &removals.runtime);
    }
}

/// Removes a volume; waits while containers have it. One that is gone is fine.
pub(super) async fn remove_volume(api: &bollard::Docker, name: &str) -> Result<(), String> {
    const PAUSE: Duration = Duration::from_millis(50);
    let removed = async {
        loop {
            match api.remove_volume(name, None::<RemoveVolumeOptions>).await {
                Ok(()) => return Ok(()),
                Err(error) if is_missing(&error) => return Ok(()),
                Err(error) if refusal(&error).is_some_and(|(status, _)| status == 409) => {}
                Err(error) => return Err(explain(&error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LIMIT, removed)
        .await
        .unwrap_or_else(|_| Err(format!("it is still in use after {} s", LIMIT.as_secs())))
}

/// Kills what runs and removes the container with its anonymous volumes. One that is gone is fine.
pub(super) async fn remove(api: &bollard::Docker, id: &str) -> Result<(), String> {
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        ..RemoveContainerOptions::default()
    };
    let mut reason = String::new();
    for attempt in 0..3u64 {
        tokio::time::sleep(Duration::from_millis(200 * attempt)).await;
        match tokio::time::timeout(LIMIT, api.remove_container(id, Some(options.clone()))).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if is_missing(&error) || is_under_way(&error) => return Ok(()),
            Ok(Err(error)) => {
                reason = explain(&error);
                if refusal(&error).is_none() {
                    break;
                }
            }
            Err(_) => return Err(format!("no answer within {} s", LIMIT.as_secs())),
        }
    }
    Err(reason)
}

fn is_under_way(error: &Error) -> bool {
    refusal(error)
        .is_some_and(|(status, text)| status == 409 && text.contains("already in progress"))
}
