//! A component as a step: a `wasi:cli/command` run on directories.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::component::Component;
use crate::failure::Failure;
use crate::limits::{CallLimits, Usage};

/// A run of a command.
#[derive(Debug, Clone)]
pub struct Command {
    /// Name of the component, for errors.
    pub name: String,
    /// Arguments, the program's name first.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: Vec<u8>,
    /// Environment: these variables and no other.
    pub environment: Vec<(String, String)>,
    /// Directories it sees. The guest's current directory is `current`.
    pub directories: Vec<Directory>,
    /// Current directory, an absolute path in the guest.
    pub current: String,
    /// Whether it may open connections.
    pub network: bool,
    /// Limits.
    pub limits: CallLimits,
}

/// A directory of the host, shown to a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Path on the host.
    pub host: PathBuf,
    /// Absolute path in the guest.
    pub guest: String,
    /// Whether the guest may only read it.
    pub read_only: bool,
}

/// Which stream a chunk of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The stream.
    pub stream: Stream,
    /// The bytes; at most 64 KiB.
    pub bytes: Vec<u8>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code. 134 for a crash, 137 when it was stopped for lack of memory.
    pub code: i32,
    /// Whether it wanted more memory than it may have.
    pub out_of_memory: bool,
    /// For people, where it did not end by itself: what a shell would print.
    pub note: Option<String>,
    /// What it used.
    pub usage: Usage,
}

impl Component {
    /// Runs the component as a command until it ends. A slow receiver of output slows it down; a dropped one discards output.
    /// Dropping the future ends the command.
    ///
    /// # Errors
    ///
    /// If it is no command, or a directory cannot be opened. A crash and every limit but time is an [`Exit`].
    pub async fn run(
        &self,
        command: Command,
        output: mpsc::Sender<Chunk>,
    ) -> Result<Exit, Failure> {
        todo!("{command:?} {output:?}")
    }
}
