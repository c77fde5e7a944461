//! What an executor remembers beyond its own end, so that its next start takes up the jobs that run on in the cluster: its name, under which the server has
//! given it the jobs, and the numbers of the entries that their logs have at the server. No secrets: those are in the cluster.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use capstan_protocol::{JobKey, LogEntry};
use futures_util::future::BoxFuture;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::client::ClientError;
use crate::log::Sink;

/// Most executors that share a directory.
const MOST: usize = 64;

/// Largest file that is read.
const LIMIT: u64 = 1 << 20;

/// The memory of one executor. Nobody else has it as long as this lives.
#[derive(Debug)]
pub struct Memory {
    directory: PathBuf,
    name: String,
    _lock: File,
}

impl Memory {
    /// The first below `directory` that nobody has. `new_name` makes a name for an executor that has none.
    ///
    /// # Errors
    /// The file system's, or `new_name`'s.
    pub fn open(
        directory: &Path,
        new_name: impl FnOnce() -> io::Result<String>,
    ) -> io::Result<Self> {
        for number in 0..MOST {
            let directory = directory.join(number.to_string());
            fs_err::create_dir_all(directory.join("jobs"))?;
            let lock = File::create(directory.join("lock"))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let file = directory.join("name");
            let name = match fs_err::read_to_string(&file) {
                Ok(name) if !name.is_empty() => name,
                _ => {
                    let name = new_name()?;
                    write(&file, name.as_bytes())?;
                    name
                }
            };
            return Ok(Self {
                directory,
                name,
                _lock: lock,
            });
        }
        Err(io::Error::other(format!(
            "{MOST} executors use {} already",
            directory.display()
        )))
    }

    /// The executor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins to remember a job, as which it is in the cluster under `name`.
    pub(super) fn job(&self, name: String, key: JobKey) -> Arc<Remembered> {
        let job = Remembered::new(self.file(&name), Written::new(name, key), false);
        job.write(&job.lock());
        Arc::new(job)
    }

    /// The jobs that an earlier process had.
    pub(super) fn left(&self) -> Vec<Arc<Remembered>> {
        let Ok(entries) = fs_err::read_dir(self.directory.join("jobs")) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort_unstable();
        let read = |file: PathBuf| {
            // One that was not finished.
            if file.extension().is_none_or(|extension| extension != "json") {
                let _ = fs_err::remove_file(&file);
                return None;
            }
            if fs_err::metadata(&file).ok()?.len() > LIMIT {
                return None;
            }
            let written = serde_json::from_slice(&fs_err::read(&file).ok()?).ok()?;
            Some(Arc::new(Remembered::new(file, written, true)))
        };
        files.into_iter().filter_map(read).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join("jobs").join(format!("{name}.json"))
    }
}

/// A job that is remembered.
#[derive(Debug)]
pub(super) struct Remembered {
    file: PathBuf,
    /// How many entries there were when this process began with it.
    before: usize,
    /// Whether the cluster has it.
    is_made: AtomicBool,
    /// Whether there is nothing to remember any more.
    is_over: AtomicBool,
    written: Mutex<Written>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    name: String,
    queue: String,
    id: i64,
    /// Those that the server has, in the order in which they began.
    entries: Vec<Number>,
}

/// An entry at the server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Number {
    number: i64,
    /// Whether the server has all of it.
    is_whole: bool,
}

impl Written {
    fn new(name: String, key: JobKey) -> Self {
        Self {
            name,
            queue: key.queue,
            id: key.id,
            entries: Vec::new(),
        }
    }
}

impl Remembered {
    fn new(file: PathBuf, written: Written, is_made: bool) -> Self {
        Self {
            file,
            is_made: is_made.into(),
            is_over: AtomicBool::new(false),
            before: written.entries.len(),
            written: Mutex::new(written),
        }
    }

    /// Its name in the cluster.
    pub(super) fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// The job.
    pub(super) fn key(&self) -> JobKey {
        let written = self.lock();
        JobKey {
            queue: written.queue.clone(),
            id: written.id,
        }
    }

    /// Whether the cluster has it.
    pub(super) fn is_made(&self) -> bool {
        self.is_made.load(Ordering::Relaxed)
    }

    /// The cluster has it now.
    pub(super) fn made(&self) {
        self.is_made.store(true, Ordering::Relaxed);
    }

    /// It has ended, or is nobody's any more.
    pub(super) fn forget(&self) {
        // The end of its log is still on its way.
        let _written = self.lock();
        self.is_over.store(true, Ordering::Relaxed);
        match fs_err::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a job that has ended is remembered");
            }
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes it down. What cannot be remembered costs the job only if this process ends.
    fn write(&self, written: &Written) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let text = serde_json::to_vec(written).map_err(io::Error::other);
        if let Err(error) = text.and_then(|text| write(&self.file, &text)) {
            tracing::warn!(%error, "the numbers of a log's entries could not be written down");
        }
    }

    fn added(&self, number: i64, is_whole: bool) {
        let mut written = self.lock();
        written.entries.push(Number { number, is_whole });
        self.write(&written);
    }

    fn is_whole(&self, number: i64) {
        let mut written = self.lock();
        let mut entries = written.entries.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.number == number && !entry.is_whole) {
            entry.is_whole = true;
            self.write(&written);
        }
    }
}

/// Writes a file, as a whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    // A machine that stops must not leave an empty one.
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The log of a job, whose entries are remembered. Those that the server had before are not added again: their numbers are used in the same order.
pub(super) struct Continued {
    job: Arc<Remembered>,
    server: Arc<dyn Sink>,
    /// How many were added by this process.
    next: Mutex<usize>,
}

impl Continued {
    pub(super) fn new(job: Arc<Remembered>, server: Arc<dyn Sink>) -> Self {
        let next = Mutex::default();
        Self { job, server, next }
    }

    /// The next entry, if the server has had it before.
    fn known(&self) -> Option<Number> {
        let index = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        (index < self.job.before).then(|| self.job.lock().entries.get(index).copied())?
    }

    /// The next entry is with the server.
    fn advance(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }
}

impl Sink for Continued {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let is_whole = entry.exit_code.is_some();
        // Whoever adds does so one after the other, and again what has failed.
        match self.known() {
            Some(known) => {
                let updated = self.update(known.number, entry);
                Box::pin(async move {
                    updated.await?;
                    self.advance();
                    Ok(known.number)
                })
            }
            None => {
                let added = self.server.add(entry);
                Box::pin(async move {
                    let number = added.await?;
                    self.job.added(number, is_whole);
                    self.advance();
                    Ok(number)
                })
            }
        }
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let has_all = {
            let written = self.job.lock();
            let mut entries = written.entries.iter();
            entries.any(|entry| entry.number == number && entry.is_whole)
        };
        // What is read of it now may be less: logs of pods do not go back for ever.
        if has_all {
            return Box::pin(std::future::ready(Ok(())));
        }
        let is_whole = entry.exit_code.is_some();
        let updated = self.server.update(number, entry);
        Box::pin(async move {
            updated.await?;
            if is_whole {
                self.job.is_whole(number);
            }
            Ok(())
        })
    }
}
