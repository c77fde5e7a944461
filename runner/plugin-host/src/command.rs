//! A component as a step: a `wasi:cli/command` run on directories.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use wasmtime_wasi::p2::bindings::CommandIndices;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use crate::call::{Live, apart};
use crate::component::Component;
use crate::failure::{Ending, Failure};
use crate::limits::{CallLimits, Usage};
use crate::messages::Messages;
use crate::pipe::Pipe;
use crate::state::Caller;
use crate::surroundings::Surroundings;

/// The name of the call, for errors.
const RUN: &str = "run";

/// 128 + SIGABRT, which a shell reports of a crash.
const CRASHED: i32 = 134;
/// 128 + SIGKILL, as of a process that the kernel kills for lack of memory.
const KILLED: i32 = 137;
/// 128 + SIGXCPU.
const OUT_OF_CPU: i32 = 152;

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
    /// Current directory, an absolute path in the guest, in one of `directories`: relative paths begin there, and cannot lead up
    /// from there.
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
    /// Whether it did, or tried, anything that could change the directories that it is shown.
    pub has_written: bool,
    /// What it used.
    pub usage: Usage,
}

impl Component {
    /// Runs the component as a command until it ends. A slow receiver of output slows it down; a dropped one discards output.
    /// Dropping the future ends the command.
    ///
    /// # Errors
    ///
    /// If it is no command, a directory cannot be opened, or it takes longer than its limits have it. A crash and every limit but time is
    /// an [`Exit`].
    pub async fn run(
        self: &Arc<Self>,
        command: Command,
        output: mpsc::Sender<Chunk>,
    ) -> Result<Exit, Failure> {
        let caller = Caller::step(&command.name);
        let failed = |ending| Failure::at_start(self, &caller, RUN, ending);
        if !self.inspection().command {
            return Err(failed(Ending::Link {
                reason: format!(
                    "it does not export `wasi:cli/run`, so it is no command; it exports {}",
                    match self.inspection().exports.as_slice() {
                        [] => "nothing".to_owned(),
                        exports => exports.join(", "),
                    }
                ),
            }));
        }
        let component = Arc::clone(self);
        apart(component.run_here(command, caller.clone(), output))
            .await
            .map_err(failed)?
    }

    async fn run_here(
        self: Arc<Self>,
        command: Command,
        caller: Caller,
        output: mpsc::Sender<Chunk>,
    ) -> Result<Exit, Failure> {
        let limits = command.limits;
        let stdout = Pipe::new(Stream::Stdout, output.clone());
        let stderr = Pipe::new(Stream::Stderr, output);
        let surroundings = Surroundings {
            environment: command.environment,
            directories: command.directories,
            current: command.current,
            network: command.network,
            may_block: true,
            ..Surroundings::default()
        };
        let world = surroundings
            .with(&limits, |wasi| {
                wasi.args(&command.arguments)
                    .stdin(MemoryInputPipe::new(command.input))
                    .stdout(stdout.clone())
                    .stderr(stderr.clone());
            })
            .map_err(|ending| Failure::at_start(&self, &caller, RUN, ending))?;
        let messages = Messages::new(caller.plugin.clone(), None, None, limits.messages);
        let mut live = Live::with(Arc::clone(&self), caller, messages, world, limits, RUN);
        let result = live
            .call(RUN, async |store, instance| {
                let command = CommandIndices::new(self.pre())?.load(&mut *store, instance)?;
                let result = command.wasi_cli_run().call_run(&mut *store).await?;
                Ok(Ok(i32::from(result.is_err())))
            })
            .await;
        stdout.drain().await;
        stderr.drain().await;
        let mut exit = match result {
            Ok(code) => Exit::new(code, None),
            Err(failure) => Exit::of(failure)?,
        };
        exit.usage = live.usage();
        exit.has_written = live.has_written();
        if exit.note.is_none() {
            exit.note = live.exceeded().map(|ending| ending.to_string());
        }
        Ok(exit)
    }
}

impl Exit {
    fn new(code: i32, note: Option<String>) -> Self {
        Self {
            code,
            out_of_memory: false,
            note,
            has_written: true,
            usage: Usage::default(),
        }
    }

    /// What a shell would say of it.
    fn of(failure: Failure) -> Result<Self, Failure> {
        let code = match &failure.ending {
            Ending::Exit { code } => return Ok(Self::new(*code, None)),
            Ending::Trap { .. } | Ending::TooMuch { .. } | Ending::Contract { .. } => CRASHED,
            Ending::OutOfMemory { .. } => KILLED,
            Ending::OutOfCpu { .. } => OUT_OF_CPU,
            Ending::Error { .. }
            | Ending::OutOfTime { .. }
            | Ending::Link { .. }
            | Ending::Host { .. } => return Err(failure),
        };
        Ok(Self {
            out_of_memory: code == KILLED,
            ..Self::new(code, Some(failure.ending.to_string()))
        })
    }
}

#[cfg(test)]
mod tests;
