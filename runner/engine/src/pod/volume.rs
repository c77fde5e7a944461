//! The volume that the containers of a pod share: one directory for each gate.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe;

use crate::gate::{self, Directory, MOUNT, POD_GATE_SCRIPT, Token, quote};
use crate::sandbox::{BindMount, Preparation, User};

/// What a step's container runs. It needs nothing of its image but a shell.
pub const COMMAND: [&str; 2] = ["/bin/sh", gate::GATE];

/// What a gate is told to do.
pub(super) const IN: &str = "in";
/// A gate's standard output, and its step's.
pub(super) const OUT: &str = "out";
/// A gate's standard error, and its step's.
pub(super) const ERR: &str = "err";
/// Whatever is written here stops the step.
pub(super) const STOP: &str = "stop";

/// How long gates that are dismissed have to go through their pipes.
const LEAVING: Duration = Duration::from_millis(300);

/// A container that a pod has for a step: all that it sees. Paths of the runner are below the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Name of its image.
    pub image: String,
    /// Who it runs as.
    pub user: User,
    /// The runner's path of the workspace.
    pub workspace: PathBuf,
    /// Where the container sees it. See [`Preparation::place`].
    pub place: String,
    /// The step's directory: an absolute path in the container.
    pub directory: String,
    /// Target paths of the step's files. See [`Preparation::files`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What else it has mounted. See [`Preparation::mounts`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<BindMount>,
}

impl Slot {
    /// For a step that is prepared so.
    pub(crate) fn of(preparation: &Preparation) -> Self {
        let workspace = preparation.workspace.directory();
        Self {
            image: preparation.image.name.clone(),
            user: preparation.user,
            workspace: workspace.unwrap_or(Path::new("")).to_owned(),
            place: preparation.place.clone(),
            directory: preparation.step_directory(),
            files: preparation.files.clone(),
            mounts: preparation.mounts.clone(),
        }
    }
}

/// The directories of all gates.
#[derive(Debug, Clone)]
pub struct Volume {
    root: PathBuf,
    slots: Vec<Slot>,
}

impl Volume {
    /// The one below `root`, with a directory for each of the `slots`.
    pub fn new(root: &Path, slots: Vec<Slot>) -> Self {
        Self {
            root: root.to_owned(),
            slots,
        }
    }

    /// The containers that the pod has.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Lays out all directories. Must be over before the first container starts. Doing it again does no harm before a gate has opened.
    ///
    /// # Errors
    /// The file system's.
    pub fn lay_out(&self) -> io::Result<()> {
        for (index, slot) in self.slots.iter().enumerate() {
            let token = Token::random();
            let (first, second) = (quote(&token.first), quote(&token.second));
            let directory = quote(&slot.directory);
            let script = format!("set -- {first} {second} {directory}\n{POD_GATE_SCRIPT}");
            let root = self.gate(index);
            let gate = Directory::lay_out(&root, &script, &slot.files)?;
            for name in [IN, OUT, ERR, STOP] {
                make_pipe(&gate.control().join(name))?;
            }
            fs_err::write(
                root.join("token"),
                format!("{}\n{}", token.first, token.second),
            )?;
            gate::set_mode(&root.join("token"), 0o600)?;
        }
        Ok(())
    }

    /// What the container of a slot must have mounted.
    pub fn mounts(&self, index: usize) -> Vec<BindMount> {
        let Some(slot) = self.slots.get(index) else {
            return Vec::new();
        };
        let gate = Directory::at(&self.gate(index), &slot.files);
        let mount = |target: &str, source, read_only| BindMount {
            source,
            target: target.to_owned(),
            read_only,
        };
        let files = gate
            .file_mounts()
            .map(|(target, path)| mount(target, path, true));
        [
            mount(&slot.place, slot.workspace.clone(), false),
            mount(MOUNT, gate.control(), true),
        ]
        .into_iter()
        .chain(files)
        .chain(slot.mounts.iter().cloned())
        .collect()
    }

    /// Lets the containers go that still wait at their gates, so that the pod can end. Those that have not started yet stay.
    pub async fn dismiss(&self) {
        let mut leaving = Vec::new();
        for index in 0..self.slots.len() {
            let control = self.directory(index).control();
            // Nobody reads from a gate's pipe that has been opened, or has not come so far.
            let Ok(input) = pipe::OpenOptions::new().open_sender(control.join(IN)) else {
                continue;
            };
            let output = |name| pipe::OpenOptions::new().open_receiver(control.join(name));
            leaving.push((output(OUT), output(ERR)));
            // The end of input without a word means that nobody will open this gate any more.
            drop(input);
        }
        if !leaving.is_empty() {
            tokio::time::sleep(LEAVING).await;
        }
    }

    /// What the gate of a slot and the runner share.
    pub(super) fn directory(&self, index: usize) -> Directory {
        let files = self.slots.get(index).map_or(&[][..], |slot| &slot.files);
        Directory::at(&self.gate(index), files)
    }

    /// What is around the words of a gate.
    pub(super) fn token(&self, index: usize) -> io::Result<Token> {
        let text = fs_err::read_to_string(self.gate(index).join("token"))?;
        let (first, second) = text
            .split_once('\n')
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no token of a gate"))?;
        Ok(Token {
            first: first.to_owned(),
            second: second.to_owned(),
        })
    }

    fn gate(&self, index: usize) -> PathBuf {
        self.root.join(index.to_string())
    }
}

/// Makes a named pipe that any user may write to: containers run as any.
fn make_pipe(path: &Path) -> io::Result<()> {
    match mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0) {
        Ok(()) | Err(Errno::EXIST) => gate::set_mode(path, 0o666),
        Err(error) => Err(error.into()),
    }
}
