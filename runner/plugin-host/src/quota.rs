//! How much a call may write to files.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fs, io};

use bytes::Bytes;
use std::sync::Arc;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::failure::Ending;
use crate::limits::CallLimits;

/// Bytes and files of one call. What was written is not given back when it is deleted.
#[derive(Debug)]
pub(crate) struct Quota {
    bytes: Counter,
    files: Counter,
}

/// There is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded;

#[derive(Debug)]
struct Counter {
    limit: u64,
    used: AtomicU64,
    exceeded: AtomicBool,
}

impl Quota {
    /// As the limits of a call have it.
    pub(crate) fn of(limits: &CallLimits) -> Self {
        Self {
            bytes: Counter::new(limits.written),
            files: Counter::new(limits.files),
        }
    }

    /// One more file, directory or symbolic link.
    pub(crate) fn take_file(&self) -> Result<(), Exceeded> {
        self.files.take(1)
    }

    /// A write of `length` bytes at `offset`. A gap between the end of the file and the offset counts as well: whoever reads the file reads
    /// its zeros.
    pub(crate) fn take_write(
        &self,
        file: &fs::File,
        offset: u64,
        length: u64,
    ) -> Result<(), Exceeded> {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        self.bytes
            .take(length.saturating_add(offset.saturating_sub(size)))
    }

    /// A change of a file's size; smaller costs nothing.
    pub(crate) fn take_resize(&self, file: &fs::File, size: u64) -> Result<(), Exceeded> {
        self.take_write(file, size, 0)
    }

    /// What was exceeded, if anything.
    pub(crate) fn exceeded(&self) -> Option<Ending> {
        let of = |counter: &Counter, what| {
            counter
                .exceeded
                .load(Ordering::Relaxed)
                .then_some(Ending::TooMuch {
                    what,
                    limit: counter.limit,
                })
        };
        of(&self.bytes, "wrote too many bytes to files")
            .or_else(|| of(&self.files, "made too many files"))
    }
}

impl Counter {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
        }
    }

    fn take(&self, count: u64) -> Result<(), Exceeded> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(count).filter(|&sum| sum <= self.limit)
            })
            .map(|_| ())
            .map_err(|_| {
                self.exceeded.store(true, Ordering::Relaxed);
                Exceeded
            })
    }
}

/// A stream into a file, counted.
pub(crate) struct Metered {
    stream: DynOutputStream,
    file: Arc<fs::File>,
    /// Where the next write goes; `None`: to the end.
    offset: Option<u64>,
    quota: Arc<Quota>,
}

impl Metered {
    /// Counts what is written through `stream`, which writes to `file`, from `offset` on or at its end.
    pub(crate) fn new(
        stream: DynOutputStream,
        file: Arc<fs::File>,
        offset: Option<u64>,
        quota: Arc<Quota>,
    ) -> Self {
        Self {
            stream,
            file,
            offset,
            quota,
        }
    }

    fn take(&mut self, length: usize) -> StreamResult<()> {
        let length = length as u64;
        self.quota
            .take_write(&self.file, self.offset.unwrap_or(0), length)
            .map_err(|Exceeded| {
                let full = rustix::io::Errno::NOSPC.raw_os_error();
                StreamError::LastOperationFailed(io::Error::from_raw_os_error(full).into())
            })?;
        if let Some(offset) = &mut self.offset {
            *offset = offset.saturating_add(length);
        }
        Ok(())
    }
}

#[async_trait]
impl Pollable for Metered {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[async_trait]
impl OutputStream for Metered {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes.len())?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.stream.check_write()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes.len())?;
        self.stream.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}
