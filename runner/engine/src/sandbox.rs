//! The contract every engine keeps: a container made before it is needed and opened by a gate.
//!
//! 1. [`Sandbox::prepare`] creates and starts a step's container with its process blocked on the
//!    gate. It does not touch the workspace yet, so it may be called while earlier steps run.
//! 2. [`Gated::open`] passes the gate: script, late environment and files are in place, the process
//!    runs, its output streams as it is written, and the result is its [`Exit`]. When `open` returns, no
//!    process of the step is alive any more, so the workspace may be diffed.
//! 3. [`Gated::discard`] throws the container away: unopened, running or finished. It is safe after any
//!    failure and leaves nothing behind.
//!
//! A user's failing command is a normal [`Exit`]; `Err` means the infrastructure failed. To cancel
//! or time out a step, drop the future of `open` and call `discard`.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::fault::Fault;

/// Where a step's script lies in its container. Shells put this path in front of their messages.
pub const SCRIPT: &str = "/.capstan/script";

/// Where containers see the workspace, unless something else is said.
pub const WORK: &str = "/work";

/// An image that is present on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The name that was asked for, for people.
    pub name: String,
    /// Content digest (`sha256:...`); containers are made from this, never from a tag.
    pub id: String,
    /// `User` of the image's configuration; empty means root.
    pub user: String,
}

impl Image {
    /// One that the containers of a pod have: nothing is known but its name.
    pub(crate) fn in_pod(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: name.to_owned(),
            // It counts as one that is not root.
            user: "?".to_owned(),
        }
    }
}

/// Who a step's process runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum User {
    /// The image's own user.
    Image,
    /// `0:0`.
    Root,
}

/// A host path shown inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute path on the host; exists.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// What containers see as the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// A directory of the host.
    Directory(PathBuf),
    /// What the engine makes of layers.
    Overlay(Arc<Overlay>),
}

impl Files {
    /// The directory of the host; `None` where there is none that has all files.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Overlay(_) => None,
        }
    }
}

/// An overlay that the engine mounts, once for all containers of a task. All paths are absolute and have no character that has a meaning in the options
/// of a mount.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlay {
    /// What it is called in the engine: unlike any other.
    pub name: String,
    /// The tree below, which is only read.
    pub lower: PathBuf,
    /// What is changed.
    pub upper: PathBuf,
    /// The kernel's own.
    pub work: PathBuf,
}

/// What a container may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Processors, for example 1.5; `None`: no limit.
    pub cpus: Option<f64>,
    /// Memory in bytes, swap included; `None`: no limit.
    pub memory: Option<u64>,
    /// Processes and threads; `None`: no limit.
    pub pids: Option<u32>,
}

/// A network that containers join. It lasts until its last clone is dropped.
///
/// Whoever shares it sees the others' ports, so only containers of which one runs after the other may join.
#[derive(Debug, Clone)]
pub struct SharedNetwork {
    /// The network mode that joins it, as Docker's `--network` takes it.
    pub mode: String,
    /// Tells when it is up, and may close before if that fails: containers can be created earlier, and only started then.
    pub up: watch::Receiver<Option<NetworkFiles>>,
    /// What keeps it up.
    pub holder: Arc<dyn Any + Send + Sync>,
}

/// By what names are resolved in a network: absolute path (`/etc/hosts`) to content. Every container gets a copy of its own, as a step
/// may write to it.
pub type NetworkFiles = BTreeMap<String, String>;

/// What a [`SharedNetwork`] is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkOrder {
    /// An image whose shell can wait while the network is needed.
    pub image: Image,
    /// See [`Preparation::hosts`].
    pub hosts: Vec<String>,
    /// See [`Preparation::platform`].
    pub platform: Option<String>,
}

/// All that must be known when a step's container is made.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// What the container is for, for people and labels: `<repository>[:<path>] step <n>`.
    pub purpose: String,
    /// The image.
    pub image: Image,
    /// The user.
    pub user: User,
    /// What becomes [`Preparation::place`].
    pub workspace: Files,
    /// Where the container sees the workspace: an absolute path, usually [`WORK`]. Components always see it at [`WORK`].
    pub place: String,
    /// Directory under the place in which the step starts; no leading `/`, empty for the place itself. It may not
    /// exist yet while the container waits at the gate.
    pub directory: String,
    /// Environment variables whose values are already final.
    pub env: BTreeMap<String, String>,
    /// Absolute target paths of the step's `files`; their content comes with [`Inputs`].
    pub files: Vec<String>,
    /// Further mounts, in order.
    pub mounts: Vec<BindMount>,
    /// Limits.
    pub limits: Limits,
    /// Network mode, as Docker's `--network` takes it; `None` for the engine's default.
    pub network: Option<String>,
    /// The network to join instead. It knows its hosts, so `hosts` is without meaning then.
    pub shared: Option<SharedNetwork>,
    /// Further names of hosts, as Docker's `--add-host` takes them: `name:address`.
    pub hosts: Vec<String>,
    /// Platform (`linux/arm64`) the user insists on; `None` for the engine's own.
    pub platform: Option<String>,
    /// Whether its task waits for it, or for no other before it: it is started ahead of those that are due later.
    pub is_next: bool,
}

impl Preparation {
    /// With nothing but what every container has: the image's own user, the engine's network, no limits.
    pub fn bare(purpose: String, image: Image, workspace: Files) -> Self {
        Self {
            purpose,
            image,
            user: User::Image,
            workspace,
            place: WORK.to_owned(),
            directory: String::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
            mounts: Vec::new(),
            limits: Limits::default(),
            network: None,
            shared: None,
            hosts: Vec::new(),
            platform: None,
            is_next: false,
        }
    }

    /// The step's directory inside the container.
    pub fn step_directory(&self) -> String {
        match self.directory.as_str() {
            "" => self.place.clone(),
            below => format!("{}/{below}", self.place),
        }
    }
}

/// What is handed through the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The rendered script.
    pub script: String,
    /// Further environment variables. Each name passes [`can_be_set_late`].
    pub env: BTreeMap<String, String>,
    /// Target path to rendered content; the keys are those of [`Preparation::files`].
    pub files: BTreeMap<String, String>,
}

/// Whether the shell at the gate can set a variable of this name. Others must be known at preparation.
pub fn can_be_set_late(name: &str) -> bool {
    const READ_ONLY_IN_BASH: [&str; 8] = [
        "BASHOPTS",
        "BASH_VERSINFO",
        "EUID",
        "FUNCNAME",
        "GROUPS",
        "PPID",
        "SHELLOPTS",
        "UID",
    ];
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
        && !READ_ONLY_IN_BASH.contains(&name)
}

/// Which stream a chunk of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output, in the order and size the engine delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The stream.
    pub stream: Stream,
    /// The bytes; any encoding, cut anywhere.
    pub bytes: Vec<u8>,
}

/// How a step's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 + n for a process killed by signal n.
    pub code: i32,
    /// Whether the kernel killed for lack of memory.
    pub out_of_memory: bool,
}

/// An engine that can run steps.
pub trait Sandbox: Send + Sync + 'static {
    /// A container waiting at its gate.
    type Container: Gated;

    /// Creates and starts the container; returns when its process is about to block on the gate or already does.
    fn prepare(
        &self,
        preparation: Preparation,
    ) -> impl Future<Output = Result<Self::Container, Fault>> + Send;
}

/// A sandbox together with what the step loop asks of the engine besides.
pub trait Engine: Sandbox {
    /// The image of this name, pulled if it is not there.
    fn image(
        &self,
        name: &str,
        platform: Option<&str>,
    ) -> impl Future<Output = Result<Image, Fault>> + Send;

    /// The digest of what `name` stands for, where a cached result must not outlive it; `None` where the name alone
    /// counts, as for images: the keys of their results are those of `src`.
    fn digest(&self, name: &str) -> impl Future<Output = Result<Option<String>, Fault>> + Send;

    /// Tells that a workspace is not needed any more: all containers that saw it were discarded.
    fn forget(&self, workspace: &Files) -> impl Future<Output = ()> + Send {
        let _ = workspace;
        std::future::ready(())
    }

    /// With root rights in a container of `image`: gives all files of a directory to the user that Capstan runs as; opens those of an overlay to
    /// everybody.
    fn reclaim(
        &self,
        image: &Image,
        files: &Files,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Makes a network for containers to join. An engine need not be able to: containers get networks of their own then.
    fn share_network(
        &self,
        _order: NetworkOrder,
    ) -> impl Future<Output = Result<SharedNetwork, Fault>> + Send {
        async { Err(Fault::workspace("containers cannot share a network")) }
    }

    /// Bytes of memory that its containers have together; `None` if it does not tell, or if they need none.
    fn memory(&self) -> Option<u64> {
        None
    }
}

/// A container between preparation and removal.
pub trait Gated: Send + 'static {
    /// Passes the gate and waits for the end of every process of the step. All output has been sent
    /// when it returns. A slow receiver slows the step down; a dropped one discards output.
    /// May be called once.
    fn open(
        &mut self,
        inputs: Inputs,
        output: mpsc::Sender<Chunk>,
    ) -> impl Future<Output = Result<Exit, Fault>> + Send;

    /// Whether it is certain that what ran, to its end, has changed nothing in the workspace.
    fn has_left_all(&self) -> bool {
        false
    }

    /// Kills what runs and removes the container with all that was made for it.
    fn discard(self) -> impl Future<Output = ()> + Send;
}
