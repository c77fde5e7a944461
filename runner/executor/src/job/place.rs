//! The directory of a job below the executor's work directory.
//!
//! ```text
//! workspace-<id>-<random>/   mode 0700
//!   data/                    the files of the payload; what plain steps see as /data
//!   tasks/                   workspaces of the engine
//!   scratch/                 what the engine lays out for components
//!   logs/                    the engine's own logs; the server has all of it
//! ```
//!
//! When the job begins anew it gets another `data-1/`, and so on: what is in the first may belong to root.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use capstan_engine::fault::Fault;
use capstan_engine::sandbox::{Engine, Files, Image};
use capstan_engine::workspace::{Tidied, remove_directory};
use capstan_protocol::Job;

use crate::log::ExecutionLog;

/// The directory of the payload's files.
pub(super) const DATA: &str = "data";

/// Where a job works.
pub(super) struct Place {
    root: PathBuf,
    /// How often the job has begun anew.
    beginnings: usize,
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
            beginnings: 0,
            image: Mutex::default(),
        };
        place.make_directories()?;
        Ok(place)
    }

    /// The volume of a pod, where somebody else may have begun to work. It goes with the pod.
    pub(super) fn on_volume(root: &Path) -> io::Result<Self> {
        let place = Self {
            root: root.to_owned(),
            beginnings: 0,
            image: Mutex::default(),
        };
        place.make_directories()?;
        Ok(place)
    }

    /// From now on everything is elsewhere, and empty. What was there is put away with the rest.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.beginnings += 1;
        self.make_directories()
    }

    fn make_directories(&self) -> io::Result<()> {
        for directory in [self.data(), self.tasks(), self.scratch()] {
            fs_err::create_dir_all(directory)?;
        }
        let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs_err::set_permissions(self.data(), open_to_all)
    }

    fn directory(&self, name: &str, beginning: usize) -> PathBuf {
        match beginning {
            0 => self.root.join(name),
            n => self.root.join(format!("{name}-{n}")),
        }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory(DATA, self.beginnings)
    }

    pub(super) fn tasks(&self) -> PathBuf {
        self.directory("tasks", self.beginnings)
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// For what the engine lays out for components.
    pub(super) fn scratch(&self) -> PathBuf {
        self.directory("scratch", self.beginnings)
    }

    /// Where the container engine sees the data.
    pub(super) fn seen_by_engine(&self, host_mount_path: Option<&Path>) -> String {
        let data = self.data();
        let below = data.strip_prefix(&self.root).unwrap_or(&data);
        let seen = match (host_mount_path, self.root.file_name()) {
            (Some(host), Some(name)) => host.join(name).join(below),
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
            for beginning in 0..=self.beginnings {
                let data = self.directory(DATA, beginning);
                if data.exists() {
                    engine.reclaim(image, &Files::Directory(data)).await?;
                }
            }
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
