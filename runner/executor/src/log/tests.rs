use std::collections::BTreeMap;
use std::time::Duration;

use capstan_protocol::LogEntry;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::client::{Cause, ClientError};

/// A server that keeps what it is sent, and checks what a real one cannot.
#[derive(Default)]
struct Server {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: Vec<LogEntry>,
    /// `add KEY` and `update KEY LENGTH`, in order.
    calls: Vec<String>,
    /// What comes of the next calls.
    troubles: Vec<Cause>,
    /// What comes of all calls.
    trouble: Option<Cause>,
}

impl Server {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().calls)
    }
}

impl Kept {
    fn trouble(&mut self) -> Result<(), ClientError> {
        let cause = match self.troubles.is_empty() {
            true => self.trouble,
            false => Some(self.troubles.remove(0)),
        };
        match cause {
            None => Ok(()),
            Some(cause) => Err(ClientError {
                message: format!("{cause:?}"),
                cause,
            }),
        }
    }
}

impl Sink for Server {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let entry = entry.clone();
        async move {
            let mut kept = self.lock();
            kept.calls.push(format!("add {}", entry.key));
            kept.trouble()?;
            kept.entries.push(entry);
            Ok(i64::try_from(kept.entries.len()).unwrap())
        }
        .boxed()
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let entry = entry.clone();
        async move {
            let mut kept = self.lock();
            kept.calls
                .push(format!("update {} {}", entry.key, entry.out.len()));
            kept.trouble()?;
            let old = &mut kept.entries[usize::try_from(number).unwrap() - 1];
            assert!(entry.out.starts_with(&old.out), "the text only grows");
            assert_eq!(old.key, entry.key);
            *old = entry;
            Ok(())
        }
        .boxed()
    }
}

fn log() -> (Arc<Server>, ExecutionLog) {
    log_with(&[])
}

fn log_with(secrets: &[(&str, &str)]) -> (Arc<Server>, ExecutionLog) {
    let server = Arc::<Server>::default();
    let values: BTreeMap<String, String> = secrets
        .iter()
        .map(|(secret, replacement)| ((*secret).to_owned(), (*replacement).to_owned()))
        .collect();
    let redaction = Redaction::new(&values, []).unwrap();
    let log = ExecutionLog::new(
        Arc::clone(&server) as Arc<dyn Sink>,
        redaction,
        Metrics::new(&[]),
    );
    (server, log)
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn entries_are_added_in_the_order_in_which_they_were_begun() {
    let (server, log) = log();
    let entries: Vec<Entry> = (0..5)
        .map(|n| log.begin(&format!("step.{n}"), None))
        .collect();
    for entry in entries.into_iter().rev() {
        entry.close(0);
    }
    log.flush().await.unwrap();
    let kept = server.lock();
    let keys: Vec<&str> = kept.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["step.0", "step.1", "step.2", "step.3", "step.4"]);
    assert!(kept.entries.iter().all(|entry| entry.exit_code == Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_running_entry_is_sent_every_second_if_it_has_grown() {
    let (server, log) = log();
    let entry = log.begin("step", Some(vec!["docker".into(), "run".into()]));
    seconds(3).await;
    assert_eq!(server.calls(), ["add step"], "nothing to tell");
    entry.line(Stream::Stdout, b"one");
    entry.line(Stream::Stderr, b"two");
    seconds(3).await;
    assert_eq!(server.calls(), ["update step 24"]);
    entry.line(Stream::Stdout, b"three");
    entry.close(7);
    log.flush().await.unwrap();
    assert_eq!(server.calls(), ["update step 38"]);
    let kept = server.lock();
    let entry = &kept.entries[0];
    assert_eq!(entry.out, "stdout: one\nstderr: two\nstdout: three\n");
    assert_eq!((entry.exit_code, entry.duration_ms), (Some(7), Some(6000)));
    assert_eq!(entry.command.as_deref().unwrap(), ["docker", "run"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_ends_at_once_is_one_call() {
    let (server, log) = log();
    let entry = log.begin("teardown.fs", None);
    entry.text("Removing the workspace\n");
    entry.close(0);
    log.flush().await.unwrap();
    assert_eq!(server.calls(), ["add teardown.fs"]);
    assert_eq!(server.lock().entries[0].out, "Removing the workspace\n");
}

#[tokio::test(start_paused = true)]
async fn an_entry_waits_for_its_end_but_not_for_long() {
    let (server, log) = log();
    let millis = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let brief = log.begin("brief", None);
    millis(50).await;
    brief.close(0);
    millis(1).await;
    assert_eq!(server.calls(), ["add brief"]);
    let long = log.begin("long", None);
    log.begin("after it", None).close(0);
    millis(50).await;
    assert_eq!(server.calls(), Vec::<String>::new());
    millis(100).await;
    assert_eq!(server.calls(), ["add long", "add after it"]);
    long.close(0);
    log.flush().await.unwrap();
    assert_eq!(server.calls(), ["update long 0"]);
}

#[tokio::test(start_paused = true)]
async fn large_entries_are_sent_less_often() {
    let (server, log) = log();
    let entry = log.begin("step", None);
    let line = vec![b'x'; 1 << 20];
    for _ in 0..60 {
        entry.line(Stream::Stdout, &line);
        seconds(1).await;
    }
    entry.close(0);
    log.flush().await.unwrap();
    let updates = server.calls().len() - 1;
    assert!((4..20).contains(&updates), "{updates} updates in a minute");
}

#[tokio::test(start_paused = true)]
async fn the_longer_an_entry_is_written_the_less_often_it_is_sent() {
    let (server, log) = log();
    let entry = log.begin("step", None);
    let mut updates = Vec::new();
    for _ in 0..3 {
        for _ in 0..600 {
            entry.line(Stream::Stdout, b"still at it");
            seconds(1).await;
        }
        updates.push(server.calls().len());
    }
    entry.close(0);
    log.flush().await.unwrap();
    assert!((100..200).contains(&updates[0]), "{updates:?}");
    assert!(
        updates[1..].iter().all(|n| (55..=61).contains(n)),
        "{updates:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn entries_left_open_are_closed_as_killed() {
    let (server, log) = log();
    let held = log.begin("held", None);
    drop(log.begin("dropped", None));
    log.flush().await.unwrap();
    held.line(Stream::Stdout, b"too late");
    drop(held);
    let kept = server.lock();
    let ends: Vec<_> = kept
        .entries
        .iter()
        .map(|e| (&*e.key, e.exit_code, &*e.out))
        .collect();
    assert_eq!(ends, [("held", Some(-1), ""), ("dropped", Some(-1), "")]);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_taken_out_of_commands_lines_texts_and_events() {
    let (server, log) = log_with(&[("s3cret", "${{ secrets.T }}"), ("", "everywhere")]);
    let entry = log.begin("step", Some(vec!["-e".into(), "T=s3cret".into()]));
    entry.line(Stream::Stdout, b"it is s3cret\xff\0");
    entry.text("s3cret\n");
    entry.event(r#"{"operation":"TASK_STEP","metadata":{"env":{"T":"s3cret"}}}"#);
    entry.event(r#"{"operation":"CACHE_AFTER_STEP_RESULT","metadata":{"key":"s3cret","value":{"diff":"s3cret"}}}"#);
    entry.close(0);
    log.flush().await.unwrap();
    assert_eq!(log.redact("no s3cret here"), "no ${{ secrets.T }} here");
    let kept = server.lock();
    assert_eq!(
        kept.entries[0].out,
        concat!(
            "stdout: it is ${{ secrets.T }}\u{fffd}\u{fffd}\n",
            "${{ secrets.T }}\n",
            "stdout: {\"operation\":\"TASK_STEP\",\"metadata\":{\"env\":{\"T\":\"${{ secrets.T }}\"}}}\n",
            "stdout: {\"operation\":\"CACHE_AFTER_STEP_RESULT\",\"metadata\":{\"key\":\"s3cret\",\"value\":{\"diff\":\"s3cret\"}}}\n",
        )
    );
    let command = kept.entries[0].command.as_deref().unwrap();
    assert_eq!(command, ["-e", "T=${{ secrets.T }}"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_a_minute_loses_nothing() {
    let (server, log) = log();
    server.lock().trouble = Some(Cause::NoAnswer);
    for n in 0..3 {
        let entry = log.begin(&format!("step.{n}"), None);
        entry.line(Stream::Stdout, b"hi");
        entry.close(0);
        seconds(1).await;
    }
    let flushed = tokio::spawn(async move { log.flush().await });
    seconds(60).await;
    assert!(!flushed.is_finished());
    server.lock().trouble = None;
    flushed.await.unwrap().unwrap();
    let kept = server.lock();
    let keys: Vec<&str> = kept.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["step.0", "step.1", "step.2"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_given_up() {
    let (server, log) = log();
    server.lock().trouble = Some(Cause::Status(503));
    log.begin("step.0", None).close(0);
    let error = log.flush().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "log entry step.0: the server could not be reached"
    );
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_refused_is_an_error_and_the_others_go_on() {
    let (server, log) = log();
    server.lock().troubles = vec![Cause::Status(413)];
    log.begin("step.0", None).close(0);
    log.begin("step.1", None).close(0);
    let error = log.flush().await.unwrap_err();
    assert_eq!(error.to_string(), "adding log entry step.0: Status(413)");
    assert_eq!(server.lock().entries[0].key, "step.1");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_is_made_up_for_by_the_next() {
    let (server, log) = log();
    let entry = log.begin("step", None);
    seconds(1).await;
    server.lock().troubles = vec![Cause::Status(500), Cause::Refused];
    entry.line(Stream::Stdout, b"hi");
    seconds(5).await;
    entry.close(0);
    log.flush().await.unwrap();
    assert_eq!(server.lock().entries[0].out, "stdout: hi\n");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_refused_is_an_error() {
    let (server, log) = log();
    let entry = log.begin("step", None);
    seconds(1).await;
    server.lock().trouble = Some(Cause::Refused);
    entry.close(0);
    let error = log.flush().await.unwrap_err();
    assert_eq!(error.to_string(), "updating log entry step: Refused");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_a_job_that_is_lost() {
    let (server, log) = log();
    server.lock().trouble = Some(Cause::Lost);
    log.begin("step.0", None).close(0);
    log.begin("step.1", None).close(0);
    log.flush().await.unwrap_err();
    assert_eq!(server.calls(), ["add step.0"]);

    let (server, log) = self::log();
    log.abandon();
    log.begin("step.0", None).close(0);
    log.flush().await.unwrap();
    assert_eq!(server.calls(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_the_server_has_is_let_go() {
    let (_server, log) = log();
    let line = vec![b'x'; 1 << 20];
    for n in 0..20 {
        let entry = log.begin(&format!("step.{n}"), None);
        for _ in 0..20 {
            entry.line(Stream::Stdout, &line);
        }
        entry.close(0);
        seconds(2).await;
        assert_eq!(log.common.held.load(Ordering::Relaxed), 0);
    }
    log.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_job_holds_is_bounded_while_the_server_is_away() {
    let (server, log) = log();
    server.lock().trouble = Some(Cause::NoAnswer);
    let line = vec![b'x'; 1 << 20];
    for n in 0..10 {
        let entry = log.begin(&format!("step.{n}"), None);
        for _ in 0..30 {
            entry.line(Stream::Stdout, &line);
        }
        entry.close(0);
    }
    let held = log.common.held.load(Ordering::Relaxed);
    assert!(held < JOB_LIMIT + (8 << 20), "{held} bytes are held");
}
