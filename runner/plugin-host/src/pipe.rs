//! The standard streams of a command, as they are printed: a receiver that does not keep up slows the command down.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::PollSender;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::command::{Chunk, Stream};

/// Most bytes of a chunk, and most that are held back.
const CHUNK: usize = 64 * 1024;

/// A stream into a channel. Cheap to clone; all clones are the same stream.
#[derive(Clone)]
pub(crate) struct Pipe {
    stream: Stream,
    sender: Sender<Chunk>,
    /// What waits for room in the channel.
    waiting: Arc<Mutex<Vec<u8>>>,
}

impl Pipe {
    /// Sends what is printed to `sender`, as chunks of `stream`.
    pub(crate) fn new(stream: Stream, sender: Sender<Chunk>) -> Self {
        Self {
            stream,
            sender,
            waiting: Arc::default(),
        }
    }

    /// Waits until everything is in the channel. Without a receiver it is thrown away.
    pub(crate) async fn drain(&self) {
        if self.waiting().is_empty() {
            return;
        }
        let permit = self.sender.reserve().await;
        let bytes = std::mem::take(&mut *self.waiting());
        if let Ok(permit) = permit {
            permit.send(Chunk {
                stream: self.stream,
                bytes,
            });
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what there is room for and says how much that was.
    fn take(&self, bytes: &[u8]) -> usize {
        let mut waiting = self.waiting();
        let taken = bytes.len().min(CHUNK - waiting.len());
        waiting.extend_from_slice(&bytes[..taken]);
        if waiting.is_empty() {
            return taken;
        }
        let chunk = Chunk {
            stream: self.stream,
            bytes: std::mem::take(&mut *waiting),
        };
        match self.sender.try_send(chunk) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(chunk)) => *waiting = chunk.bytes,
        }
        taken
    }

    fn room(&self) -> usize {
        CHUNK - self.waiting().len()
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer {
            pipe: self.clone(),
            sender: PollSender::new(self.sender.clone()),
        })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.room())
    }
}

#[async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {
        self.drain().await;
    }
}

/// The same for guests of the asynchronous kind.
struct Writer {
    pipe: Pipe,
    sender: PollSender<Chunk>,
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(context))?;
        Poll::Ready(Ok(self.pipe.take(bytes)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pipe.waiting().is_empty() {
            return Poll::Ready(Ok(()));
        }
        // Without a receiver there is nothing to wait for.
        let reserved = ready!(self.sender.poll_reserve(context)).is_ok();
        let bytes = std::mem::take(&mut *self.pipe.waiting());
        if reserved {
            let stream = self.pipe.stream;
            let _ = self.sender.send_item(Chunk { stream, bytes });
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
