//! One container from its gate to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::query_parameters::{KillContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::creation::directory;
use super::ending::Watch;
use super::failure::{explain, fault, is_missing, lost, refusal, within};
use super::gate::{OPEN, environment_file};
use super::marker::{Cut, Cutter, Token};
use super::removal::Removal;
use super::sandbox::{Made, Role, Shared};
use crate::fault::Fault;
use crate::sandbox::{Chunk, Exit, Gated, Inputs, Preparation, Stream};

/// How long the engine may take to notice that a container has ended.
const NOTICE: Duration = Duration::from_secs(30);

/// How long the output of a dead container may pause before its stream counts as broken.
const DRAIN: Duration = Duration::from_secs(30);

/// Most that is kept of what a container says before it is ready: what went wrong, or the files of a network.
const PREAMBLE: usize = 64 << 10;

/// Exit code of a process killed by SIGKILL, which is what running out of memory looks like.
const KILLED: i32 = 137;

type Output = Pin<Box<dyn futures_util::Stream<Item = Result<LogOutput, Error>> + Send>>;

/// The connection to a container whose process runs.
pub(super) struct Running {
    output: Output,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    stdout: Cutter,
    stderr: Cutter,
    /// The environment the engine gave it: the image's.
    pub(super) environment: Vec<String>,
    /// Where the container's first process can be seen.
    pub(super) watch: Option<Watch>,
}

/// What became of a container that was started.
pub(super) enum Arrival {
    /// What it said first.
    Ready(Vec<u8>),
    /// It ended before it was ready; what it said.
    Ended(String),
    /// The connection broke.
    Lost(String),
}

/// How the output of a step ended.
enum Finish {
    /// With the gate's word on both streams.
    Word(String),
    /// Without: the gate was killed, or the engine went away. The reason, if any.
    Cut(Option<String>),
}

impl Running {
    pub(super) fn new(attached: AttachContainerResults, token: &Token) -> Self {
        Self {
            output: attached.output,
            input: attached.input,
            stdout: Cutter::new(token),
            stderr: Cutter::new(token),
            environment: Vec::new(),
            watch: None,
        }
    }

    /// Waits until the gate is about to block.
    pub(super) async fn until_ready(&mut self) -> Arrival {
        let mut said = Vec::new();
        let (mut out, mut err) = (false, false);
        while !(out && err) {
            match self.output.next().await {
                Some(Ok(log)) => {
                    let (stream, cut) = self.cut(&log);
                    if cut.word.is_some() {
                        match stream {
                            Stream::Stdout => out = true,
                            Stream::Stderr => err = true,
                        }
                    }
                    let room = PREAMBLE - said.len();
                    said.extend(cut.before.into_iter().take(room));
                }
                Some(Err(error)) => return Arrival::Lost(explain(&error)),
                None => return Arrival::Ended(String::from_utf8_lossy(&said).into_owned()),
            }
        }
        Arrival::Ready(said)
    }

    fn cut(&mut self, log: &LogOutput) -> (Stream, Cut) {
        match log {
            LogOutput::StdErr { message } => (Stream::Stderr, self.stderr.push(message)),
            // Without a terminal there is no other kind.
            LogOutput::StdOut { message }
            | LogOutput::StdIn { message }
            | LogOutput::Console { message } => (Stream::Stdout, self.stdout.push(message)),
        }
    }

    /// Passes the output on until the gate says on both streams that the script has ended, or there is no more.
    async fn relay(&mut self, output: mpsc::Sender<Chunk>) -> Finish {
        let mut words: [Option<String>; 2] = [None, None];
        let mut dead = false;
        let mut why = None;
        loop {
            let next = tokio::select! {
                biased;
                next = self.output.next() => next,
                () = ended(self.watch.as_ref()), if !dead => {
                    dead = true;
                    continue;
                }
                () = tokio::time::sleep(DRAIN), if dead => {
                    why = Some("the output of an ended container does not end".to_owned());
                    break;
                }
            };
            let log = match next {
                Some(Ok(log)) => log,
                Some(Err(error)) => {
                    why = Some(explain(&error));
                    break;
                }
                None => break,
            };
            let (stream, cut) = self.cut(&log);
            let word = &mut words[usize::from(stream == Stream::Stderr)];
            // What comes after the word is from processes that outlive the script by a moment.
            if word.is_none() && !cut.before.is_empty() {
                send(&output, stream, cut.before).await;
            }
            if word.is_none() {
                *word = cut.word;
            }
            if let [Some(word), Some(_)] = &mut words {
                return Finish::Word(std::mem::take(word));
            }
        }
        for (stream, rest) in [
            (Stream::Stdout, self.stdout.finish()),
            (Stream::Stderr, self.stderr.finish()),
        ] {
            if !rest.is_empty() && words[usize::from(stream == Stream::Stderr)].is_none() {
                send(&output, stream, rest).await;
            }
        }
        Finish::Cut(why)
    }
}

/// A receiver that is gone means that nobody wants the output any more.
async fn send(output: &mpsc::Sender<Chunk>, stream: Stream, bytes: Vec<u8>) {
    let _ = output.send(Chunk { stream, bytes }).await;
}

/// Never ends without a watch.
async fn ended(watch: Option<&Watch>) {
    let seen = match watch {
        Some(watch) => watch.ended().await.is_ok(),
        None => false,
    };
    if !seen {
        std::future::pending::<()>().await;
    }
}

impl Shared {
    /// Waits until the engine has noticed the container's end, and asks for its exit code.
    pub(super) async fn exit_code(&self, id: &str, doing: &str) -> Result<i32, Fault> {
        let options = WaitContainerOptions {
            condition: "not-running".to_owned(),
        };
        let mut answers = self.docker.api.wait_container(id, Some(options));
        let answer = tokio::time::timeout(NOTICE, answers.next()).await;
        let code = match answer {
            Ok(Some(Ok(answer))) => answer.status_code,
            Ok(Some(Err(Error::DockerContainerWaitError { code, .. }))) => code,
            Ok(Some(Err(error))) if is_missing(&error) => {
                return Err(Fault::workspace(format!(
                    "the container was removed by someone else while {doing}"
                )));
            }
            Ok(Some(Err(error))) => return Err(fault(doing, &error)),
            Ok(None) => return Err(lost(doing, "the engine closed the connection")),
            Err(_) => {
                let reason =
                    "the container's output stopped, but the engine says that it still runs";
                return Err(lost(doing, reason));
            }
        };
        Ok(i32::try_from(code).unwrap_or(i32::MAX))
    }

    /// The end of a container as the engine saw it.
    async fn exit(&self, id: &str, doing: &str) -> Result<Exit, Fault> {
        let code = self.exit_code(id, doing).await?;
        let api = &self.docker.api;
        let details = within(NOTICE, doing, api.inspect_container(id, None)).await?;
        let state = details.state.unwrap_or_default();
        Ok(Exit {
            code,
            out_of_memory: state.oom_killed.unwrap_or(false),
        })
    }
}

/// A container between preparation and removal. Dropping it removes it in the background, too.
pub struct Container {
    shared: Arc<Shared>,
    preparation: Arc<Preparation>,
    /// `None` for one that is only made when its gate opens, as its start would change the workspace.
    made: Option<Made>,
    opened: bool,
    /// Whether none of its processes is alive.
    over: bool,
}

impl Container {
    pub(super) fn new(
        shared: Arc<Shared>,
        preparation: Arc<Preparation>,
        made: Option<Made>,
    ) -> Self {
        Self {
            shared,
            preparation,
            made,
            opened: false,
            over: false,
        }
    }

    async fn run(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        let doing = format!("running {}", self.preparation.purpose);
        if std::mem::replace(&mut self.opened, true) {
            return Err(Fault::workspace(format!(
                "{doing}: the gate has been opened before"
            )));
        }
        if self.made.is_none() {
            self.made = Some(
                self.shared
                    .make(Preparation::clone(&self.preparation), Role::Step)
                    .await?,
            );
        }
        let Some(made) = &mut self.made else {
            return Err(Fault::workspace(format!("{doing}: there is no container")));
        };
        let mut environment = self.preparation.env.clone();
        environment.extend(inputs.env.clone());
        let file = environment_file(&made.running.environment, &environment)?;
        let control = Arc::clone(&made.control);
        tokio::task::spawn_blocking(move || control.fill(&inputs, &file))
            .await
            .map_err(std::io::Error::other)
            .and_then(|filled| filled)
            .map_err(|error| {
                Fault::environment(format!("{doing}: writing the script: {error}"))
                    .hint("check the space left in the scratch directory")
            })?;

        let id = made.remains.id.clone();
        let opening = async {
            made.running.input.write_all(OPEN).await?;
            made.running.input.flush().await
        };
        let finish = match opening.await {
            Ok(()) => made.running.relay(output).await,
            Err(error) => Finish::Cut(Some(error.to_string())),
        };
        let exit = match finish {
            Finish::Word(word) => match word.parse::<i32>() {
                Ok(code) => {
                    let seen = match &made.running.watch {
                        Some(watch) => watch.ended().await.is_ok(),
                        None => false,
                    };
                    match self.shared.docker.socket() {
                        Some(socket) if seen && !self.shared.info.podman => {
                            made.remains.removal = Removal::Requested(socket.to_owned());
                        }
                        _ if seen => {}
                        _ => {
                            self.shared.exit_code(&id, &doing).await?;
                        }
                    }
                    let may_be_memory =
                        code == KILLED || (code != 0 && self.preparation.limits.memory.is_some());
                    let out_of_memory = may_be_memory
                        && self
                            .shared
                            .exit(&id, &doing)
                            .await
                            .is_ok_and(|exit| exit.out_of_memory);
                    Exit {
                        code,
                        out_of_memory,
                    }
                }
                Err(_) => return Err(self.refused(&word, &doing)),
            },
            Finish::Cut(why) => {
                let exit = self.shared.exit(&id, &doing).await;
                exit.map_err(|mut fault| {
                    if let Some(why) = why {
                        fault.message = format!("{} ({why})", fault.message);
                    }
                    fault
                })?
            }
        };
        self.over = true;
        Ok(exit)
    }

    /// The gate would not run the script, and said why.
    fn refused(&self, word: &str, doing: &str) -> Fault {
        match word {
            "directory" => Fault::workspace(format!(
                "{doing}: entering {} failed: it is no directory, or the image's user may not enter it",
                directory(&self.preparation)
            )),
            "env" => Fault::workspace(format!(
                "{doing}: image {} has no `env` utility, which some variables of this step need",
                self.preparation.image.name
            ))
            .hint("variables with unusual names, or special to shells, need /usr/bin/env in the image"),
            other => Fault::workspace(format!("{doing}: the gate said {other:?}")),
        }
    }
}

impl Gated for Container {
    async fn open(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        self.run(inputs, output).await
    }

    async fn discard(mut self) {
        let Some(made) = &mut self.made else {
            return;
        };
        // A step that was cut short must not write to the workspace any more when this returns.
        if self.opened && !self.over {
            let options = Some(KillContainerOptions::default());
            let kill = self
                .shared
                .docker
                .api
                .kill_container(&made.remains.id, options);
            let reached = match tokio::time::timeout(NOTICE, kill).await {
                Ok(Ok(())) => true,
                // Refused, because it has ended by itself.
                Ok(Err(error)) => refusal(&error).is_some(),
                Err(_) => false,
            };
            match &made.running.watch {
                Some(watch) if reached => {
                    let _ = tokio::time::timeout(NOTICE, watch.ended()).await;
                }
                None if reached => {
                    let id = &made.remains.id;
                    let _ = self.shared.exit_code(id, "stopping a step").await;
                }
                _ => {}
            }
        }
    }
}
