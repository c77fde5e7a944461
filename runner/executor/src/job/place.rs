//! The directory of a job below the executor's work directory.
//!
//! ```text
//! workspace-<id>-<random>/   mode 0700
//!   data/                    the files of the payload; what plain steps see as /data
//!   tasks/                   workspaces of the engine
//!   logs/                    the engine's own logs; the server has all of it
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use capstan_engine::fault::Fault;
use capstan_engine::sandbox::{Engine, Image};
use capstan_engine::workspace::{Tidied, remove_directory};
use capstan_protocol::Job;

use crate::log::ExecutionLog;

/// Where a job works.
pub(super) struct Place {
    root: PathBuf,
    /// The last image that ran: files it left behind may need its root to be put away.
    image: Mutex<Option<Image>>,
}

impl Place {
    /// Makes it below `parent`, which is made as well.
    pub(super) fn make(parent: &Path, job: &Job) -> io::Result<Self> {
        fs_err::create_dir_all(parent)?;
        let root = tempfile::Builder::new()
            .prefix(&format!("workspace-{}-", job.id()))
            .tempdir_in(parent)?
            .keep();
        let place = Self {
            root,
            image: Mutex::default(),
        };
        for directory in [place.data(), place.tasks(), place.scratch()] {
            fs_err::create_dir(directory)?;
        }
        let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs_err::set_permissions(place.data(), open_to_all)?;
        Ok(place)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// For what the engine lays out for components.
    pub(super) fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Where the container engine sees the data.
    pub(super) fn seen_by_engine(&self, host_mount_path: Option<&Path>) -> String {
        let data = self.data();
        let seen = match (host_mount_path, self.root.file_name()) {
            (Some(host), Some(name)) => host.join(name).join("data"),
            _ => data,
        };
        seen.display().to_string()
    }

    /// A container of this image may have written to the data.
    pub(super) fn used(&self, image: Image) {
        *self
            .image
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(image);
    }

    /// Removes it, or keeps it where that is wanted, and tells so.
    pub(super) async fn put_away<E: Engine>(
        self,
        engine: Option<&E>,
        keep: bool,
        log: &ExecutionLog,
    ) {
        let entry = log.begin("teardown.fs", None);
        let root = self.root.display();
        // They may hold secrets as they are.
        let _ = fs_err::remove_dir_all(self.logs());
        if keep {
            entry.text(&format!("Preserving workspace {root} as configured\n"));
        } else {
            entry.text(&format!("Removing workspace {root}\n"));
            if let Err(fault) = self.remove(engine).await {
                tracing::warn!(%fault, "a workspace could not be removed");
                entry.text(&format!("{fault}\n"));
            }
        }
        entry.close(0);
    }

    async fn remove<E: Engine>(&self, engine: Option<&E>) -> Result<(), Fault> {
        let image = self
            .image
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let remove = async || {
            let root = self.root.clone();
            let removed = tokio::task::spawn_blocking(move || remove_directory(&root)).await;
            removed.unwrap_or_else(|error| Err(Fault::environment(error.to_string())))
        };
        if remove().await? == Tidied::Done {
            return Ok(());
        }
        if let (Some(engine), Some(image)) = (engine, &image) {
            engine.reclaim(image, &self.data()).await?;
        }
        match remove().await? {
            Tidied::Done => Ok(()),
            Tidied::NeedsReclaim { example, .. } => Err(Fault::workspace(format!(
                "files of another user, such as {}, are left in {}",
                example.display(),
                self.root.display()
            ))),
        }
    }
}
