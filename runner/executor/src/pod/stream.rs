//! What the runner of a pod tells, a line of JSON for each thing.
//!
//! Lines are numbered from 0, so that whoever reads them again, or lost some, knows. Entries of the log are numbered from 0 in the order in which
//! they begin. Of what a command says only what is new is told, in pieces.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstan_protocol::LogEntry;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::client::{Cause, ClientError};
use crate::job::Ending;
use crate::log::{Entry, ExecutionLog, Sink};

/// How the keys of steps begin in containers of Docker, and how in those of a pod.
const KEYS: (&str, &str) = ("step.docker.", "step.kubernetes.");

/// Most bytes of text in a line.
const PIECE: usize = 8 << 10;

/// Longest line. Runtimes of containers cut longer ones at 16 KiB, and what others say may come between the parts.
const LONGEST: usize = 15 << 10;

/// The key of an entry whose beginning was lost.
const UNKNOWN: &str = "step.kubernetes.unknown";

/// Most entries that are taken for lost at once.
const MOST_LOST: usize = 1000;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Its number.
    line: u64,
    #[serde(flatten)]
    told: Told,
}

/// Something that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Told {
    /// An entry begins.
    Begin {
        /// Its number.
        entry: usize,
        /// What it is about.
        key: String,
        /// Its command, if it is one.
        command: Option<Vec<String>>,
    },
    /// There is more of an entry.
    More {
        /// Its number.
        entry: usize,
        /// What is added to what it said.
        text: String,
    },
    /// An entry has ended.
    End {
        /// Its number.
        entry: usize,
        /// How.
        exit_code: i32,
    },
    /// The job has ended. Nothing comes after it.
    Ending(Ending),
}

/// Tells what goes to an [`ExecutionLog`].
pub struct Narrator<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    /// How many lines were written.
    lines: u64,
    /// How many bytes of each entry were told.
    told: Vec<usize>,
}

impl<W: Write + Send + 'static> Narrator<W> {
    /// Tells it to `out`.
    pub fn new(out: W) -> Arc<Self> {
        let state = State {
            out,
            lines: 0,
            told: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    /// Tells how the job has ended.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&self, ending: Ending) -> io::Result<()> {
        self.lock().write(Told::Ending(ending))
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> State<W> {
    fn write(&mut self, told: Told) -> io::Result<()> {
        let line = self.lines;
        let mut text = serde_json::to_vec(&Line { line, told })?;
        text.push(b'\n');
        if text.len() > LONGEST
            && let Some((first, second)) = halves(&text)
        {
            self.write(first)?;
            return second.map_or(Ok(()), |second| self.write(second));
        }
        self.out.write_all(&text)?;
        self.lines += 1;
        self.out.flush()
    }

    fn begin(&mut self, entry: &LogEntry) -> io::Result<usize> {
        let (key, command) = (entry.key.clone(), entry.command.clone());
        let entry = self.told.len();
        self.write(Told::Begin {
            entry,
            key,
            command,
        })?;
        self.told.push(0);
        Ok(entry)
    }

    /// Tells what is new of an entry. Its text only ever grows.
    fn go_on(&mut self, number: usize, entry: &LogEntry) -> io::Result<()> {
        let mut told = self.told.get(number).copied().unwrap_or_default();
        while told < entry.out.len() {
            let end = entry.out.floor_char_boundary(told + PIECE);
            let text = entry.out.get(told..end).unwrap_or_default().to_owned();
            let entry = number;
            self.write(Told::More { entry, text })?;
            told = end;
            if let Some(before) = self.told.get_mut(number) {
                *before = told;
            }
        }
        match entry.exit_code {
            Some(exit_code) => self.write(Told::End {
                entry: number,
                exit_code,
            }),
            None => Ok(()),
        }
    }
}

/// What is told by a line that is too long, in two parts or without what makes it long; `None` if it has to be so long.
fn halves(line: &[u8]) -> Option<(Told, Option<Told>)> {
    match serde_json::from_slice::<Line>(line).ok()?.told {
        Told::More { entry, text } => {
            let middle = text.floor_char_boundary(text.len() / 2);
            let (first, second) = text.split_at(middle);
            let more = |text: &str| Told::More {
                entry,
                text: text.to_owned(),
            };
            (!first.is_empty()).then(|| (more(first), Some(more(second))))
        }
        Told::Begin {
            entry,
            key,
            command: Some(_),
        } => {
            let begin = Told::Begin {
                entry,
                key,
                command: None,
            };
            Some((begin, None))
        }
        _ => None,
    }
}

fn failed(error: &io::Error) -> ClientError {
    ClientError {
        message: format!("telling what a job says: {error}"),
        cause: Cause::NoAnswer,
    }
}

impl<W: Write + Send + 'static> Sink for Narrator<W> {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let mut state = self.lock();
        let told = state.begin(entry).and_then(|number| {
            state.go_on(number, entry)?;
            i64::try_from(number).map_err(io::Error::other)
        });
        Box::pin(std::future::ready(told.map_err(|error| failed(&error))))
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let number = usize::try_from(number).map_err(io::Error::other);
        let told = number.and_then(|number| self.lock().go_on(number, entry));
        Box::pin(std::future::ready(told.map_err(|error| failed(&error))))
    }
}

/// Writes what the runner of a pod has told to the log of its job. It may be read again from any line: what was heard before is passed over.
pub struct Replay {
    log: Arc<ExecutionLog>,
    /// The number of the next line that is new.
    next: u64,
    /// How many lines nobody will hear any more.
    lost: u64,
    /// Those that have not ended yet, and `None` for the others, by their numbers.
    entries: Vec<Option<Entry>>,
}

impl Replay {
    /// Nothing has been heard yet.
    pub fn new(log: Arc<ExecutionLog>) -> Self {
        Self {
            log,
            next: 0,
            lost: 0,
            entries: Vec::new(),
        }
    }

    /// Takes a line. The ending of the job, if that is what it tells. Lines that make no sense are passed over: a runner of another version may tell more,
    /// and what it has to say to its operator is among them.
    pub fn line(&mut self, line: &[u8]) -> Option<Ending> {
        let Line { line, told } = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(error) => {
                tracing::debug!(%error, line = %String::from_utf8_lossy(line), "a pod's runner says");
                return None;
            }
        };
        if line < self.next {
            return None;
        }
        let lost = line - self.next;
        if lost > 0 {
            self.lost += lost;
            let notice = format!("[{lost} lines of the pod's log are lost]\n");
            self.entries
                .iter()
                .flatten()
                .for_each(|entry| entry.told(&notice));
        }
        self.next = line.saturating_add(1);
        match told {
            Told::Begin {
                entry,
                key,
                command,
            } => self.begin(entry, &key, command),
            Told::More { entry, text } => {
                if let Some(Some(entry)) = self.entry(entry) {
                    entry.told(&text);
                }
            }
            Told::End { entry, exit_code } => {
                if let Some(entry) = self.entry(entry).and_then(Option::take) {
                    entry.close(exit_code);
                }
            }
            Told::Ending(ending) => return Some(self.ending(ending)),
        }
        None
    }

    /// The ending in our words. Results may be among what is lost, and a server that does not have the last one takes the one before.
    fn ending(&self, ending: Ending) -> Ending {
        let (docker, kubernetes) = KEYS;
        match ending {
            Ending::Complete if self.lost > 0 => Ending::Errored(format!(
                "the job is done, but {} lines of its pod's log are lost, and results may be among them",
                self.lost
            )),
            ending => ending.map(|text| text.replace(docker, kubernetes)),
        }
    }

    fn begin(&mut self, number: usize, key: &str, command: Option<Vec<String>>) {
        let (docker, kubernetes) = KEYS;
        let key = match key.strip_prefix(docker) {
            Some(rest) => format!("{kubernetes}{rest}"),
            None => key.to_owned(),
        };
        if number >= self.entries.len() {
            self.lose_until(number);
            self.entries.push(Some(self.log.begin(&key, command)));
        }
    }

    /// The entry of this number, whose beginning may have been lost.
    fn entry(&mut self, number: usize) -> Option<&mut Option<Entry>> {
        self.lose_until(number.checked_add(1)?);
        self.entries.get_mut(number)
    }

    /// Entries whose beginning nobody heard are there all the same: others are counted from them.
    fn lose_until(&mut self, number: usize) {
        let most = self.entries.len() + MOST_LOST;
        while self.entries.len() < number.min(most) {
            let entry = self.log.begin(UNKNOWN, None);
            entry.told("[the beginning is lost]\n");
            self.entries.push(Some(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::log::Redaction;
    use crate::metrics::Metrics;

    /// What was written.
    #[derive(Debug, Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn lines(&self) -> Vec<Vec<u8>> {
            let bytes = self.0.lock().unwrap();
            let lines = bytes.split(|&byte| byte == b'\n');
            lines
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        }
    }

    /// The entries that a server would have, by key.
    #[derive(Debug, Default)]
    struct Server(Mutex<Vec<LogEntry>>);

    impl Sink for Server {
        fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
            let mut entries = self.0.lock().unwrap();
            entries.push(entry.clone());
            let number = i64::try_from(entries.len() - 1).unwrap();
            Box::pin(std::future::ready(Ok(number)))
        }

        fn update<'a>(
            &'a self,
            number: i64,
            entry: &LogEntry,
        ) -> BoxFuture<'a, Result<(), ClientError>> {
            let number = usize::try_from(number).unwrap();
            self.0.lock().unwrap()[number] = entry.clone();
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn log(sink: Arc<dyn Sink>) -> Arc<ExecutionLog> {
        let metrics = Metrics::new(&["batches".to_owned()]);
        Arc::new(ExecutionLog::new(sink, Redaction::default(), metrics))
    }

    #[tokio::test]
    async fn what_a_job_says_in_a_pod_is_what_the_server_gets() {
        let written = Written::default();
        let narrator = Narrator::new(written.clone());
        let inside = log(Arc::clone(&narrator) as _);
        let command = Some(vec!["git".to_owned(), "fetch".to_owned()]);
        let fetch = inside.begin("setup.git.fetch", command.clone());
        let step = inside.begin("step.docker.step.0.run", None);
        fetch.line(capstan_engine::sandbox::Stream::Stderr, b"remote: 1\xff");
        fetch.close(0);
        step.event("{\"a\":\"\u{1f980}\\n\"}");
        // One that is left open.
        inside.begin("teardown.fs", None).text("Removing\n");
        inside.flush().await.unwrap();
        let ending = "running command \"step.docker.step.0.run\": exit code 1";
        narrator.end(Ending::Errored(ending.to_owned())).unwrap();

        let server = Arc::new(Server::default());
        let outside = log(Arc::clone(&server) as _);
        let mut replay = Replay::new(Arc::clone(&outside));
        let mut endings = Vec::new();
        for line in written.lines() {
            endings.extend(replay.line(&line));
            assert_eq!(replay.line(b"{\"later\":{}}"), None);
            // It is heard once, however often it is read.
            assert_eq!(replay.line(&line), None);
        }
        drop(replay);
        outside.flush().await.unwrap();
        let expected = "running command \"step.kubernetes.step.0.run\": exit code 1";
        assert_eq!(endings, [Ending::Errored(expected.to_owned())]);
        let entries = server.0.lock().unwrap();
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| (&*entry.key, entry.exit_code, &*entry.out))
            .collect();
        let expected = [
            ("setup.git.fetch", Some(0), "stderr: remote: 1\u{fffd}\n"),
            (
                "step.kubernetes.step.0.run",
                Some(-1),
                "stdout: {\"a\":\"\u{1f980}\\n\"}\n",
            ),
            ("teardown.fs", Some(-1), "Removing\n"),
        ];
        assert_eq!(shown, expected);
        assert_eq!(entries[0].command, command);
    }

    #[tokio::test]
    async fn what_is_lost_is_told() {
        let server = Arc::new(Server::default());
        let outside = log(Arc::clone(&server) as _);
        let mut replay = Replay::new(Arc::clone(&outside));
        for line in [
            r#"{"line":0,"begin":{"entry":0,"key":"setup.fs","command":null}}"#,
            r#"{"line":5,"more":{"entry":1,"text":"of a step\n"}}"#,
            r#"{"line":6,"begin":{"entry":2,"key":"step.docker.step.1.run","command":null}}"#,
            r#"{"line":7,"end":{"entry":2,"exitCode":4}}"#,
            r#"{"line":8,"more":{"entry":18446744073709551615,"text":"nonsense"}}"#,
        ] {
            assert_eq!(replay.line(line.as_bytes()), None);
        }
        drop(replay);
        outside.flush().await.unwrap();
        let entries = server.0.lock().unwrap();
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| (&*entry.key, entry.exit_code, &*entry.out))
            .collect();
        let expected = [
            (
                "setup.fs",
                Some(-1),
                "[4 lines of the pod's log are lost]\n",
            ),
            (
                "step.kubernetes.unknown",
                Some(-1),
                "[the beginning is lost]\nof a step\n",
            ),
            ("step.kubernetes.step.1.run", Some(4), ""),
        ];
        assert_eq!(shown, expected);
    }

    proptest! {
        #[test]
        fn each_byte_is_told_once(parts in proptest::collection::vec((0..3usize, "(.{0,20}|\u{1}{4000,9000})"), 0..40), long in 0..3 * PIECE) {
            let written = Written::default();
            let narrator = Narrator::new(written.clone());
            let mut entries: Vec<LogEntry> = (0..3)
                .map(|n| LogEntry {
                    key: n.to_string(),
                    command: None,
                    start_time: Timestamp::UNIX_EPOCH,
                    exit_code: None,
                    out: String::new(),
                    duration_ms: None,
                })
                .collect();
            let done = |future: BoxFuture<'_, Result<(), ClientError>>| {
                futures_util::FutureExt::now_or_never(future).unwrap().unwrap();
            };
            for entry in &entries {
                let added = futures_util::FutureExt::now_or_never(narrator.add(entry));
                prop_assert_eq!(added.unwrap().unwrap().to_string(), entry.key.clone());
            }
            for (number, text) in &parts {
                entries[*number].out.push_str(text);
                done(narrator.update(i64::try_from(*number).unwrap(), &entries[*number]));
            }
            entries[0].out.push_str(&"\u{e9}".repeat(long));
            done(narrator.update(0, &entries[0]));
            let mut heard: BTreeMap<usize, String> = BTreeMap::new();
            for line in written.lines() {
                prop_assert!(line.len() < LONGEST);
                let line: Line = serde_json::from_slice(&line).unwrap();
                if let Told::More { entry, text } = line.told {
                    heard.entry(entry).or_default().push_str(&text);
                }
            }
            for (number, entry) in entries.iter().enumerate() {
                prop_assert_eq!(heard.remove(&number).unwrap_or_default(), entry.out.clone());
            }
        }
    }
}
