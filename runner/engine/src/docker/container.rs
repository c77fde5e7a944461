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

use super::ending::Watch;
use super::failure::{explain, fault, is_missing, lost, refusal, within};
use super::removal::Removal;
use super::sandbox::{Made, Role, Shared};
use crate::fault::Fault;
use crate::gate::{Finish, OPEN, Output, Token, environment_file, refused};
use crate::sandbox::{Chunk, Exit, Gated, Inputs, Preparation, Stream};

/// How long the engine may take to notice that a container has ended.
const NOTICE: Duration = Duration::from_secs(30);

/// How often the engine is asked whether a limit was the reason of a kill.
const ASKS: u32 = 6;

/// The wait before it is asked again.
const LATER: Duration = Duration::from_millis(50);

/// Exit code of a process killed by SIGKILL, which is what running out of memory looks like.
const KILLED: i32 = 137;

/// The connection to a container whose process runs.
pub(super) struct Running {
    pub(super) output: Output,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    /// The environment the engine gave it: the image's.
    pub(super) environment: Vec<String>,
    /// Where the container's first process can be seen.
    pub(super) watch: Option<Watch>,
}

impl Running {
    pub(super) fn new(attached: AttachContainerResults, token: &Token) -> Self {
        let chunks = attached
            .output
            .map(|log| log.map(chunk).map_err(|error| explain(&error)));
        Self {
            output: Output::new(chunks, token),
            input: attached.input,
            environment: Vec::new(),
            watch: None,
        }
    }
}

fn chunk(log: LogOutput) -> Chunk {
    let (stream, bytes) = match log {
        LogOutput::StdErr { message } => (Stream::Stderr, message),
        // Without a terminal there is no other kind.
        LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => (Stream::Stdout, message),
    };
    Chunk {
        stream,
        bytes: bytes.into(),
    }
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

    /// Whether something in a container that has ended was killed for lack of memory. The engine hears of that apart from the end, under load a
    /// moment later, so it may be asked several times.
    async fn ran_out(&self, id: &str, doing: &str, asks: u32) -> bool {
        for ask in 0..asks {
            if ask > 0 {
                tokio::time::sleep(LATER).await;
            }
            match self.exit(id, doing).await {
                Ok(exit) if exit.out_of_memory => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
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
            Ok(()) => {
                let death = ended(made.running.watch.as_ref());
                made.running.output.relay(output, death).await
            }
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
                    let is_limited = self.preparation.limits.memory.is_some();
                    let asks = match (code, is_limited) {
                        (0, _) => 0,
                        (KILLED, true) => ASKS,
                        (KILLED, false) | (_, true) => 1,
                        (_, false) => 0,
                    };
                    let out_of_memory = self.shared.ran_out(&id, &doing, asks).await;
                    Exit {
                        code,
                        out_of_memory,
                    }
                }
                Err(_) => return Err(refused(&word, &self.preparation, &doing)),
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
