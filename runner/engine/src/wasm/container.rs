//! One run of a component.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use capstan_core::wasm_step::Invocation;
use capstan_plugin_host::{self as host, CallLimits, Command};
use tokio::sync::mpsc;

use super::components::Loaded;
use super::stage::Stage;
use crate::fault::Fault;
use crate::sandbox::{Chunk, Exit, Gated, Inputs, Preparation, Stream, WORK};
use crate::workspace::visible_git_environment;

/// How long a run that was cut short may go on: until the clock's next tick, or the end of what the disk is doing for it.
const NOTICE: Duration = Duration::from_secs(30);

/// The network by which an operator says that steps may use this machine's own.
const HOST_NETWORK: &str = "host";

/// A component that is to run, or has run. Before its gate opens it costs nothing.
pub struct WasmContainer {
    loaded: Loaded,
    preparation: Preparation,
    scratch: PathBuf,
    /// What was laid out for it.
    stage: Option<Stage>,
    /// Its output; closed when it is over.
    output: Option<mpsc::Receiver<host::Chunk>>,
    opened: bool,
    /// Whether it has ended without having written anything.
    has_left_all: bool,
}

impl WasmContainer {
    pub(super) fn new(loaded: Loaded, preparation: Preparation, scratch: PathBuf) -> Self {
        Self {
            loaded,
            preparation,
            scratch,
            stage: None,
            output: None,
            opened: false,
            has_left_all: false,
        }
    }

    /// What the component is started with.
    fn command(&self, inputs: &Inputs, stage: &Stage) -> Result<Command, Fault> {
        let Preparation {
            purpose,
            image,
            directory,
            limits,
            network,
            ..
        } = &self.preparation;
        let invocation = Invocation::parse(&inputs.script).map_err(|error| {
            Fault::workspace(format!("running {purpose}: {error}"))
                .hint("see docs/wasm-steps.md; for a shell script, use an image with a shell")
        })?;
        let mut arguments = vec![self.loaded.program.clone()];
        arguments.extend(invocation.arguments);
        let mut environment = self.preparation.env.clone();
        environment.extend(inputs.env.clone());
        // Git's own files are not shown, so there is nothing for git to accept.
        let ours = visible_git_environment(&self.preparation.place);
        let is_ours =
            |(name, value): &(&str, &str)| environment.get(*name).is_some_and(|has| has == value);
        if ours.iter().all(is_ours) {
            environment.retain(|name, _| !ours.iter().any(|(ours, _)| ours == name));
        }
        let default = CallLimits::step();
        Ok(Command {
            name: image.name.clone(),
            arguments,
            input: invocation.input.into_bytes(),
            environment: environment.into_iter().collect(),
            directories: stage.directories.clone(),
            current: match directory.as_str() {
                "" => WORK.to_owned(),
                below => format!("{WORK}/{below}"),
            },
            network: network.as_deref() == Some(HOST_NETWORK),
            limits: CallLimits {
                memory: limits.memory.unwrap_or(default.memory),
                ..default
            },
        })
    }

    /// Lays out the directories.
    async fn stage(&self, files: BTreeMap<String, String>) -> Result<Stage, Fault> {
        let (scratch, preparation) = (self.scratch.clone(), self.preparation.clone());
        let made = tokio::task::spawn_blocking(move || {
            Stage::make(&scratch, &preparation, &files).map_err(|error| {
                Fault::workspace(format!("running {}: {error}", preparation.purpose))
            })
        });
        made.await
            .unwrap_or_else(|error| Err(Fault::workspace(error.to_string())))
    }

    async fn run(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        let doing = format!("running {}", self.preparation.purpose);
        if std::mem::replace(&mut self.opened, true) {
            return Err(Fault::workspace(format!(
                "{doing}: the gate has been opened before"
            )));
        }
        let stage = self.stage(inputs.files.clone()).await?;
        let command = self.command(&inputs, &stage)?;
        self.stage = Some(stage);
        let (sender, receiver) = mpsc::channel::<host::Chunk>(1);
        let receiver = self.output.insert(receiver);
        let relay = async {
            while let Some(host::Chunk { stream, bytes }) = receiver.recv().await {
                let stream = match stream {
                    host::Stream::Stdout => Stream::Stdout,
                    host::Stream::Stderr => Stream::Stderr,
                };
                // A receiver that is gone means that nobody wants the output any more.
                let _ = output.send(Chunk { stream, bytes }).await;
            }
        };
        let (exit, ()) = tokio::join!(self.loaded.component.run(command, sender), relay);
        let exit = exit.map_err(|failure| Fault::workspace(format!("{doing}: {failure}")))?;
        self.has_left_all = !exit.has_written;
        if let Some(note) = exit.note {
            let bytes = format!("{}\n", note.trim_end()).into_bytes();
            let stream = Stream::Stderr;
            let _ = output.send(Chunk { stream, bytes }).await;
        }
        Ok(Exit {
            code: exit.code,
            out_of_memory: exit.out_of_memory,
        })
    }
}

impl Gated for WasmContainer {
    async fn open(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        self.run(inputs, output).await
    }

    /// It has none that a container could join.
    fn has_left_all(&self) -> bool {
        self.has_left_all
    }

    async fn discard(mut self) {
        // A step that was cut short must not write to the workspace any more when this returns.
        if let Some(output) = &mut self.output {
            let over = async { while output.recv().await.is_some() {} };
            if tokio::time::timeout(NOTICE, over).await.is_err() {
                tracing::warn!(step = self.preparation.purpose, "a component does not end");
            }
        }
        // Removing files waits for the disk.
        let _ = tokio::task::spawn_blocking(move || drop(self.stage)).await;
    }
}
