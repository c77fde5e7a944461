//! Takes containers away in the background, so that no step waits for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{RemoveContainerOptions, RemoveVolumeOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::control::ControlDirectory;
use super::failure::{explain, is_missing, refusal};
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
    pub(super) removal: Removal,
}

/// What it takes until a container counts as removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Removal {
    /// The engine says so.
    Confirmed,
    /// The engine, which listens at this socket, has been told to: nothing runs in the container any more, so the rest is the engine's affair.
    Requested(PathBuf),
    /// Nothing: it ends when it is let go of, and the engine then removes it.
    Itself,
}

impl Drop for Remains {
    fn drop(&mut self) {
        let api = self.api.clone();
        let id = std::mem::take(&mut self.id);
        let control = self.control.take();
        let slots = Arc::clone(&self.removals.slots);
        let removal = std::mem::replace(&mut self.removal, Removal::Itself);
        let task = async move {
            let _slot = slots.acquire().await;
            let removed = match removal {
                Removal::Itself => Ok(()),
                Removal::Confirmed => remove(&api, &id).await,
                Removal::Requested(socket) => match request(&socket, &id).await {
                    Ok(answer) => {
                        tokio::spawn(see_to(api, id.clone(), answer));
                        Ok(())
                    }
                    Err(_) => remove(&api, &id).await,
                },
            };
            warn_of(removed, &id);
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

/// Tells the engine at `socket` to remove a container, and returns when it has been told; the answer is still to come. It goes on whether somebody
/// waits for that or not.
async fn request(socket: &Path, id: &str) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    let request = format!(
        "DELETE /containers/{id}?force=true&v=true HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Tries again, as long as this process is there, what the engine would not do at once.
async fn see_to(api: bollard::Docker, id: String, mut answer: UnixStream) {
    const DONE: &[u8] = b"HTTP/1.1 204";
    let mut status = [0; DONE.len()];
    let read = answer.read_exact(&mut status).await;
    if read.is_err() || status != DONE {
        warn_of(remove(&api, &id).await, &id);
    }
}

fn warn_of(removed: Result<(), String>, id: &str) {
    if let Err(reason) = removed {
        tracing::warn!(container = %id, "removing a container: {reason}; the next start sweeps it");
    }
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
