//! Marks that have not been delivered yet, kept as files: a job must not be done again because nobody heard that it was done.
//!
//! A mark is written down before it is sent, and removed once the server has it or does not want it. What is left belongs to an executor
//! that was killed, or that could not reach the server; the next one delivers it with its own secret, as tokens are not kept.

use std::io;
use std::path::{Path, PathBuf};

use capstan_protocol::{JobKey, Mark, Outcome};
use serde::{Deserialize, Serialize};

/// Largest file that is read.
const LIMIT: u64 = 1 << 20;

/// The directory of marks.
pub struct MarkStore {
    directory: PathBuf,
    /// Names this process; files of others that live are not touched.
    owner: String,
    is_dead: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

impl std::fmt::Debug for MarkStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MarkStore").field(&self.directory).finish()
    }
}

/// A mark of an executor that is gone.
#[derive(Debug)]
pub(super) struct Left {
    path: PathBuf,
    pub(super) queue: String,
    pub(super) mark: Mark,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    queue: String,
    executor_name: String,
    job_id: i64,
    call: String,
    #[serde(default)]
    error_message: String,
}

impl MarkStore {
    /// Marks in this directory, which is made when it is needed. `owner` names this process (no `.` in it), `is_dead` tells of others whether they are gone.
    pub fn new(
        directory: PathBuf,
        owner: String,
        is_dead: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            directory,
            owner,
            is_dead: Box::new(is_dead),
        }
    }

    fn path(&self, key: &JobKey) -> PathBuf {
        // The queue's name came from the server.
        let queue: String = key
            .queue
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let name = format!("{}.{queue}.{}.json", self.owner, key.id);
        self.directory.join(name)
    }

    /// Writes a mark down, as a whole or not at all.
    pub(super) fn keep(&self, key: &JobKey, mark: &Mark) -> io::Result<()> {
        let (call, error_message) = (
            mark.outcome.call().to_owned(),
            match &mark.outcome {
                Outcome::Complete => String::new(),
                Outcome::Errored(message) | Outcome::Failed(message) => message.clone(),
            },
        );
        let written = Written {
            queue: key.queue.clone(),
            executor_name: mark.executor_name.clone(),
            job_id: mark.job_id,
            call,
            error_message,
        };
        fs_err::create_dir_all(&self.directory)?;
        // Private by default.
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.directory)?;
        serde_json::to_writer(&mut file, &written)?;
        file.persist(self.path(key)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Forgets a mark that is delivered, or that nobody wants.
    pub(super) fn forget(&self, key: &JobKey) {
        remove(&self.path(key));
    }

    /// The marks that executors have left that are gone. A file that cannot be read is removed.
    pub(super) fn left(&self) -> Vec<Left> {
        let Ok(entries) = fs_err::read_dir(&self.directory) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort_unstable();
        paths
            .into_iter()
            .filter_map(|path| self.read(path))
            .collect()
    }

    fn read(&self, path: PathBuf) -> Option<Left> {
        let name = path.file_name()?.to_str()?;
        let owner = name.strip_suffix(".json")?.split('.').next()?;
        if owner.is_empty() || owner == self.owner || !(self.is_dead)(owner) {
            return None;
        }
        let left = read_file(&path);
        if left.is_none() {
            tracing::warn!(file = %path.display(), "this is no mark; it is removed");
            remove(&path);
        }
        let (queue, mark) = left?;
        Some(Left { path, queue, mark })
    }
}

impl Left {
    pub(super) fn forget(&self) {
        remove(&self.path);
    }
}

fn read_file(path: &Path) -> Option<(String, Mark)> {
    if fs_err::metadata(path).ok()?.len() > LIMIT {
        return None;
    }
    let written: Written = serde_json::from_slice(&fs_err::read(path).ok()?).ok()?;
    let outcome = match written.call.as_str() {
        "markComplete" => Outcome::Complete,
        "markErrored" => Outcome::Errored(written.error_message),
        "markFailed" => Outcome::Failed(written.error_message),
        _ => return None,
    };
    let mark = Mark {
        executor_name: written.executor_name,
        job_id: written.job_id,
        outcome,
    };
    Some((written.queue, mark))
}

fn remove(path: &Path) {
    match fs_err::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "a mark that is done with could not be removed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(outcome: Outcome) -> Mark {
        Mark {
            executor_name: "host-1".into(),
            job_id: 42,
            outcome,
        }
    }

    fn key() -> JobKey {
        JobKey {
            queue: "batches".into(),
            id: 42,
        }
    }

    #[test]
    fn the_next_process_finds_what_a_dead_one_left() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("marks");
        let first = MarkStore::new(place.clone(), "one".into(), |_| true);
        first
            .keep(&key(), &mark(Outcome::Errored("no".into())))
            .unwrap();
        assert!(first.left().is_empty(), "its own are delivered by itself");

        let while_it_lives = MarkStore::new(place.clone(), "two".into(), |_| false);
        assert!(while_it_lives.left().is_empty());

        let next = MarkStore::new(place.clone(), "two".into(), |owner| owner == "one");
        let left = next.left();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].queue, "batches");
        assert_eq!(left[0].mark, mark(Outcome::Errored("no".into())));
        left[0].forget();
        assert!(next.left().is_empty());
        assert_eq!(fs_err::read_dir(&place).unwrap().count(), 0);
    }

    #[test]
    fn what_is_delivered_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let store = MarkStore::new(directory.path().into(), "one".into(), |_| true);
        store.keep(&key(), &mark(Outcome::Complete)).unwrap();
        store.forget(&key());
        store.forget(&key());
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_that_are_no_marks_do_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| fs_err::write(directory.path().join(name), text).unwrap();
        write("one.batches.1.json", "{\"queue\":");
        write(
            "one.batches.2.json",
            "{\"queue\":\"a\",\"executorName\":\"b\",\"jobId\":1,\"call\":\"dequeue\"}",
        );
        write("README", "hi");
        let store = MarkStore::new(directory.path().into(), "two".into(), |_| true);
        assert!(store.left().is_empty());
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_secret_is_in_the_file_and_others_cannot_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let store = MarkStore::new(directory.path().into(), "one".into(), |_| true);
        store
            .keep(&key(), &mark(Outcome::Failed("x".into())))
            .unwrap();
        let file = directory.path().join("one.batches.42.json");
        assert_eq!(
            fs_err::read_to_string(&file).unwrap(),
            r#"{"queue":"batches","executorName":"host-1","jobId":42,"call":"markFailed","errorMessage":"x"}"#
        );
        assert_eq!(
            fs_err::metadata(&file).unwrap().permissions().mode() & 0o077,
            0
        );
    }
}
