//! What a container says, up to the gate's words.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use super::marker::{Cut, Cutter, Token};
use crate::sandbox::{self, Chunk};

/// Most that is kept of what a container says before it is ready: what went wrong, or the files of a network.
const PREAMBLE: usize = 64 << 10;

/// How long the output of a dead container may pause before its stream counts as broken.
const DRAIN: Duration = Duration::from_secs(30);

/// Chunks of both streams; an error says why there will be no more.
type Chunks = Pin<Box<dyn Stream<Item = Result<Chunk, String>> + Send>>;

/// The output of a container with a gate.
pub(crate) struct Output {
    chunks: Chunks,
    stdout: Cutter,
    stderr: Cutter,
}

/// What became of a container that was started.
pub(crate) enum Arrival {
    /// What it said first.
    Ready(Vec<u8>),
    /// It ended before it was ready; what it said.
    Ended(String),
    /// The connection broke.
    Lost(String),
}

/// How the output of a step ended.
pub(crate) enum Finish {
    /// With the gate's word on both streams.
    Word(String),
    /// Without: the gate was killed, or the connection broke. The reason, if any.
    Cut(Option<String>),
}

impl Output {
    /// `chunks` come from a container whose gate has this token.
    pub(crate) fn new(
        chunks: impl Stream<Item = Result<Chunk, String>> + Send + 'static,
        token: &Token,
    ) -> Self {
        Self {
            chunks: Box::pin(chunks),
            stdout: Cutter::new(token),
            stderr: Cutter::new(token),
        }
    }

    /// Waits until the gate is about to block.
    pub(crate) async fn until_ready(&mut self) -> Arrival {
        let mut said = Vec::new();
        let (mut out, mut err) = (false, false);
        while !(out && err) {
            match self.chunks.next().await {
                Some(Ok(chunk)) => {
                    let cut = self.cut(&chunk);
                    if cut.word.is_some() {
                        match chunk.stream {
                            sandbox::Stream::Stdout => out = true,
                            sandbox::Stream::Stderr => err = true,
                        }
                    }
                    let room = PREAMBLE - said.len();
                    said.extend(cut.before.into_iter().take(room));
                }
                Some(Err(reason)) => return Arrival::Lost(reason),
                None => return Arrival::Ended(String::from_utf8_lossy(&said).into_owned()),
            }
        }
        Arrival::Ready(said)
    }

    fn cut(&mut self, chunk: &Chunk) -> Cut {
        match chunk.stream {
            sandbox::Stream::Stdout => self.stdout.push(&chunk.bytes),
            sandbox::Stream::Stderr => self.stderr.push(&chunk.bytes),
        }
    }

    /// Passes the output on until the gate says on both streams that the script has ended, or there is no more. After `death`, which ends when nothing
    /// runs in the container any more, only what is on its way is waited for.
    pub(crate) async fn relay(
        &mut self,
        output: mpsc::Sender<Chunk>,
        death: impl Future<Output = ()>,
    ) -> Finish {
        let mut death = std::pin::pin!(death);
        let mut dead = false;
        let mut words: [Option<String>; 2] = [None, None];
        let mut why = None;
        loop {
            let next = tokio::select! {
                biased;
                next = self.chunks.next() => next,
                () = &mut death, if !dead => {
                    dead = true;
                    continue;
                }
                () = tokio::time::sleep(DRAIN), if dead => {
                    Some(Err("the output of an ended container does not end".to_owned()))
                }
            };
            let chunk = match next {
                Some(Ok(chunk)) => chunk,
                Some(Err(reason)) => {
                    why = Some(reason);
                    break;
                }
                None => break,
            };
            let cut = self.cut(&chunk);
            let word = &mut words[index(chunk.stream)];
            // What comes after the word is from processes that outlive the script by a moment.
            if word.is_none() && !cut.before.is_empty() {
                send(&output, chunk.stream, cut.before).await;
            }
            if word.is_none() {
                *word = cut.word;
            }
            if let [Some(word), Some(_)] = &mut words {
                return Finish::Word(std::mem::take(word));
            }
        }
        for (stream, rest) in [
            (sandbox::Stream::Stdout, self.stdout.finish()),
            (sandbox::Stream::Stderr, self.stderr.finish()),
        ] {
            if !rest.is_empty() && words[index(stream)].is_none() {
                send(&output, stream, rest).await;
            }
        }
        Finish::Cut(why)
    }
}

fn index(stream: sandbox::Stream) -> usize {
    match stream {
        sandbox::Stream::Stdout => 0,
        sandbox::Stream::Stderr => 1,
    }
}

/// A receiver that is gone means that nobody wants the output any more.
async fn send(output: &mpsc::Sender<Chunk>, stream: sandbox::Stream, bytes: Vec<u8>) {
    let _ = output.send(Chunk { stream, bytes }).await;
}
