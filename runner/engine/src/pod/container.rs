//! One container of a pod, from its gate to its end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::{TryStreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::volume::{ERR, IN, OUT, STOP, Volume};
use crate::fault::Fault;
use crate::gate::{Arrival, Directory, Finish, OPEN, Output, Token, environment_file, refused};
use crate::sandbox::{Chunk, Exit, Gated, Inputs, Preparation, Stream};

/// What a failure says if a container has ended and its gate has not told how. The pod's status may know.
pub const WITHOUT_A_WORD: &str = "the container ended without a word";

/// Longest wait for the end of a step that was told to stop.
const STOPPING: Duration = Duration::from_secs(10);

/// Bytes that are read from a pipe at a time: what it holds.
const CHUNK: usize = 64 << 10;

/// What the kubelet adds to the environment of every container. Steps elsewhere do not have it.
const OF_THE_CLUSTER: [&str; 8] = [
    "KUBERNETES_PORT",
    "KUBERNETES_PORT_443_TCP",
    "KUBERNETES_PORT_443_TCP_ADDR",
    "KUBERNETES_PORT_443_TCP_PORT",
    "KUBERNETES_PORT_443_TCP_PROTO",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBERNETES_SERVICE_PORT_HTTPS",
];

/// A container of the pod. Its gate ends when it is dropped unopened.
pub struct PodContainer {
    preparation: Preparation,
    directory: Directory,
    input: pipe::Sender,
    output: Output,
    opened: bool,
    /// Whether none of its processes but the gate is alive.
    over: bool,
}

impl PodContainer {
    /// Waits until the container has started and is at its gate. Whether it ever will is for the cluster to say, so there is no limit.
    pub(super) async fn at_gate(
        volume: &Volume,
        index: usize,
        preparation: Preparation,
    ) -> Result<Self, Fault> {
        let doing = format!("waiting for the container of {}", preparation.purpose);
        let failed = |error: io::Error| Fault::environment(format!("{doing}: {error}"));
        let directory = volume.directory(index);
        let token = volume.token(index).map_err(failed)?;
        let control = directory.control();
        // Both ends are ours as long as the gate does not have its own.
        let both = |name| {
            pipe::OpenOptions::new()
                .read_write(true)
                .open_receiver(control.join(name))
        };
        let input = pipe::OpenOptions::new()
            .read_write(true)
            .open_sender(control.join(IN))
            .map_err(failed)?;
        let pipes = both(OUT).and_then(|out| Ok((out, both(ERR)?)));
        let mut early = output(pipes.map_err(failed)?, &token);
        match early.until_ready().await {
            Arrival::Ready(_) => {}
            Arrival::Ended(text) | Arrival::Lost(text) => {
                return Err(Fault::environment(format!("{doing}: {text}")));
            }
        }
        // From now on the end of a pipe is the end of all who have it in the container.
        let theirs = |name| pipe::OpenOptions::new().open_receiver(control.join(name));
        let pipes = theirs(OUT).and_then(|out| Ok((out, theirs(ERR)?)));
        let output = output(pipes.map_err(failed)?, &token);
        drop(early);
        Ok(Self {
            preparation,
            directory,
            input,
            output,
            opened: false,
            over: false,
        })
    }
}

/// What comes out of both pipes.
fn output((out, err): (pipe::Receiver, pipe::Receiver), token: &Token) -> Output {
    let chunks = |receiver, stream| {
        let bytes = ReaderStream::with_capacity(receiver, CHUNK);
        bytes
            .map_ok(move |bytes| Chunk {
                stream,
                bytes: bytes.into(),
            })
            .map_err(|error| error.to_string())
    };
    let both = stream::select(chunks(out, Stream::Stdout), chunks(err, Stream::Stderr));
    Output::new(both, token)
}

/// The environment of a script, without what the cluster adds.
fn environment(env: &BTreeMap<String, String>) -> Result<String, Fault> {
    let file = environment_file(&[], env)?;
    Ok(format!("unset {}\n{file}", OF_THE_CLUSTER.join(" ")))
}

impl Gated for PodContainer {
    async fn open(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        let doing = format!("running {}", self.preparation.purpose);
        if std::mem::replace(&mut self.opened, true) {
            return Err(Fault::workspace(format!(
                "{doing}: the gate has been opened before"
            )));
        }
        let mut env = self.preparation.env.clone();
        env.extend(inputs.env.clone());
        let file = environment(&env)?;
        // The volume is of the pod's own machine, and it is little that is written.
        self.directory.fill(&inputs, &file).map_err(|error| {
            Fault::environment(format!("{doing}: writing the script: {error}"))
                .hint("check the space left on the pod's volume")
        })?;
        let finish = match self.input.write_all(OPEN).await {
            Ok(()) => self.output.relay(output, std::future::pending()).await,
            Err(error) => Finish::Cut(Some(error.to_string())),
        };
        let word = match finish {
            Finish::Word(word) => word,
            Finish::Cut(why) => {
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                return Err(Fault::workspace(format!(
                    "{doing}: {WITHOUT_A_WORD}{why}"
                ))
                .hint(
                    "it was killed from outside or for lack of memory; the pod's status says which",
                ));
            }
        };
        if word == "left" {
            return Err(Fault::workspace(format!(
                "{doing}: the script has left processes that cannot be killed"
            )));
        }
        let (code, more) = word.split_once(' ').unwrap_or((&word, ""));
        let Ok(code) = code.parse() else {
            return Err(refused(&word, &self.preparation, &doing));
        };
        self.over = true;
        Ok(Exit {
            code,
            out_of_memory: code != 0 && more == "memory",
        })
    }

    async fn discard(mut self) {
        if !self.opened || self.over {
            return;
        }
        // It must not write to the workspace any more when this returns.
        if stop(&self.directory.control().join(STOP)).await.is_err() {
            tracing::debug!(
                step = self.preparation.purpose,
                "nothing is left to be stopped"
            );
        }
        let (nobody, _) = mpsc::channel(1);
        let rest = self.output.relay(nobody, std::future::pending());
        if tokio::time::timeout(STOPPING, rest).await.is_err() {
            tracing::warn!(step = self.preparation.purpose, "a step does not stop");
        }
    }
}

/// Has a gate kill all that runs. There is an error if nobody listens any more.
async fn stop(path: &Path) -> io::Result<()> {
    let mut sender = pipe::OpenOptions::new().open_sender(path)?;
    sender.write_all(b"\n").await
}
