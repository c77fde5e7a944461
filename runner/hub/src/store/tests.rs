use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use capstan_protocol::LogEntry;
use proptest::prelude::*;
use rusqlite::{Connection, OptionalExtension as _};

use super::*;

const QUEUE: &str = "batches";

fn memory() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection
        .pragma_update(None, "foreign_keys", true)
        .unwrap();
    schema::migrate(&mut connection, Path::new("memory")).unwrap();
    connection
}

fn draft(name: &str) -> Draft {
    Draft {
        key: format!("key{name}"),
        name: name.to_owned(),
        description: String::new(),
        spec: format!("name: {name}\n"),
        steps: "[]".to_owned(),
        arguments: Vec::new(),
        use_cache: true,
    }
}

fn new_job(repository: i64) -> NewJob {
    NewJob {
        repository,
        repository_name: "widgets".to_owned(),
        branch: "main".to_owned(),
        rev: "d34db33f".to_owned(),
        path: String::new(),
        only_fetch_workspace: false,
    }
}

/// An execution with this many jobs. Returns its id and theirs.
fn with_jobs(store: &Transaction<'_>, name: &str, count: usize) -> (i64, Vec<i64>) {
    let repository = known_or_new(store, "widgets", "/srv/widgets", 1).unwrap();
    let execution = insert_execution(store, &draft(name), 1).unwrap();
    assert!(begin(store, execution).unwrap());
    assert!(set_running(store, execution, &[]).unwrap());
    let jobs =
        (0..count).map(|_| insert_job(store, execution, QUEUE, &new_job(repository), 1).unwrap());
    (execution, jobs.collect())
}

fn state_of(store: &Connection, id: i64) -> &'static str {
    execution(store, id).unwrap().unwrap().state.name()
}

fn take(store: &Transaction<'_>, worker: &str, token: u8, now: i64) -> Option<i64> {
    let job = claim(store, QUEUE, worker, &[token; 32], now).unwrap();
    job.map(|job| job.id)
}

#[test]
fn jobs_are_leased_in_the_order_in_which_they_came() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (_, first) = with_jobs(&store, "a", 2);
    let (_, second) = with_jobs(&store, "b", 1);
    assert_eq!(take(&store, "x", 1, 10), Some(first[0]));
    assert_eq!(take(&store, "y", 2, 10), Some(first[1]));
    assert_eq!(take(&store, "x", 3, 10), Some(second[0]));
    assert_eq!(take(&store, "x", 4, 10), None);
    let codeintel = claim(&store, "codeintel", "x", &[5; 32], 10).unwrap();
    assert!(codeintel.is_none());
}

#[test]
fn a_silent_worker_loses_its_job_and_with_the_fourth_it_fails() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (execution, jobs) = with_jobs(&store, "a", 2);
    let mut now = 100;
    for round in 0..4_u8 {
        assert_eq!(
            take(&store, "dead", round, now),
            Some(jobs[0]),
            "round {round}"
        );
        assert_eq!(reset_stalled(&store, now, now + 1).unwrap(), 0, "not yet");
        now += 50;
        assert_eq!(reset_stalled(&store, now - 20, now).unwrap(), 1);
        // Its token opens nothing any more.
        assert_eq!(token_owner(&store, &[round; 32]).unwrap(), None);
        assert!(!works_on(&store, QUEUE, "dead", jobs[0]).unwrap());
        let ended = finish(&store, QUEUE, "dead", jobs[0], End::Completed, now).unwrap();
        assert!(!ended);
    }
    let job = job(&store, jobs[0]).unwrap().unwrap();
    assert_eq!(
        (job.state, job.num_resets, job.failure.as_deref()),
        (
            JobState::Failed,
            3,
            Some("job processor died while handling this message too many times")
        )
    );
    assert_eq!(state_of(&store, execution), "running");
    assert_eq!(take(&store, "x", 9, now), Some(jobs[1]));
    assert!(finish(&store, QUEUE, "x", jobs[1], End::Completed, now).unwrap());
    assert_eq!(state_of(&store, execution), "failed");
}

#[test]
fn heartbeats_prolong_what_the_worker_has_and_tell_what_to_cancel() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (execution, jobs) = with_jobs(&store, "a", 3);
    take(&store, "x", 1, 10);
    take(&store, "y", 2, 10);
    let all = [jobs[0], jobs[1], jobs[2], 999];
    let beat = heartbeat(&store, QUEUE, "x", &all, 30).unwrap();
    assert_eq!((beat.known, beat.canceled), (vec![jobs[0]], vec![]));
    assert_eq!(
        reset_stalled(&store, 20, 40).unwrap(),
        1,
        "only y was silent"
    );

    assert!(cancel(&store, execution, 50).unwrap());
    let beat = heartbeat(&store, QUEUE, "x", &all, 50).unwrap();
    assert_eq!((beat.known, beat.canceled), (vec![jobs[0]], vec![jobs[0]]));
    assert_eq!(take(&store, "y", 3, 50), None, "what waited is cancelled");
    assert_eq!(state_of(&store, execution), "running");
    let end = End::Failed("context canceled");
    assert!(finish(&store, QUEUE, "x", jobs[0], end, 60).unwrap());
    assert_eq!(state_of(&store, execution), "canceled");
    assert!(!cancel(&store, execution, 70).unwrap());
}

#[test]
fn what_completes_although_it_was_to_be_cancelled_is_complete() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (execution, jobs) = with_jobs(&store, "a", 1);
    take(&store, "x", 1, 10);
    cancel(&store, execution, 20).unwrap();
    assert!(finish(&store, QUEUE, "x", jobs[0], End::Completed, 30).unwrap());
    assert_eq!(state_of(&store, execution), "completed");
}

#[test]
fn a_cancelled_job_whose_worker_died_is_cancelled() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (execution, _) = with_jobs(&store, "a", 1);
    take(&store, "x", 1, 10);
    cancel(&store, execution, 20).unwrap();
    assert_eq!(reset_stalled(&store, 100, 100).unwrap(), 1);
    assert_eq!(state_of(&store, execution), "canceled");
}

#[test]
fn what_is_tried_again_goes_to_the_end_of_the_queue() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (execution, jobs) = with_jobs(&store, "a", 2);
    take(&store, "x", 1, 10);
    take(&store, "x", 2, 10);
    finish(&store, QUEUE, "x", jobs[0], End::Failed("no"), 20).unwrap();
    finish(&store, QUEUE, "x", jobs[1], End::Completed, 20).unwrap();
    assert_eq!(state_of(&store, execution), "failed");
    let (_, others) = with_jobs(&store, "b", 1);
    assert_eq!(retry(&store, execution, 30).unwrap(), 1);
    assert_eq!(state_of(&store, execution), "running");
    assert_eq!(take(&store, "x", 3, 40), Some(others[0]));
    assert_eq!(take(&store, "x", 4, 40), Some(jobs[0]));
    assert_eq!(take(&store, "x", 5, 40), None);
}

#[test]
fn secrets_are_forgotten_with_the_end() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (execution, jobs) = with_jobs(&store, "a", 1);
    let values = BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]);
    set_secrets(&store, execution, &values).unwrap();
    take(&store, "x", 1, 10);
    assert_eq!(
        secrets(&store, execution).unwrap()["TOKEN"].as_deref(),
        Some("s3cret")
    );
    finish(&store, QUEUE, "x", jobs[0], End::Completed, 20).unwrap();
    assert_eq!(secrets(&store, execution).unwrap()["TOKEN"], None);
}

fn entry(out: &str) -> LogEntry {
    LogEntry {
        key: "step.docker.step.0.run".to_owned(),
        command: Some(vec!["docker".to_owned()]),
        start_time: "2026-03-01T10:00:00.25Z".parse().unwrap(),
        exit_code: None,
        out: out.to_owned(),
        duration_ms: None,
    }
}

fn out(store: &Connection, entry: i64, from: i64) -> String {
    let mut bytes = Vec::new();
    read_out(store, entry, from, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn log_entries_are_numbered_from_one_and_replaced_whole() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (_, jobs) = with_jobs(&store, "a", 2);
    assert_eq!(add_entry(&store, jobs[0], &entry("")).unwrap(), 1);
    assert_eq!(add_entry(&store, jobs[0], &entry("two")).unwrap(), 2);
    assert_eq!(add_entry(&store, jobs[1], &entry("other")).unwrap(), 1);
    assert!(!update_entry(&store, jobs[0], 3, &entry("none")).unwrap());

    // Longer than a piece, then longer still, then short again.
    let long = "abcdefg\n".repeat(400_000);
    let first = entries(&store, jobs[0]).unwrap()[0].id;
    for text in [
        long.clone(),
        format!("{long}more"),
        "x".to_owned(),
        String::new(),
    ] {
        let finished = LogEntry {
            exit_code: Some(0),
            duration_ms: Some(7),
            ..entry(&text)
        };
        assert!(update_entry(&store, jobs[0], 1, &finished).unwrap());
        let found = &entries(&store, jobs[0]).unwrap()[0];
        assert_eq!((found.exit_code, found.duration_ms), (Some(0), Some(7)));
        assert_eq!(usize::try_from(found.size).unwrap(), text.len());
        assert_eq!(out(&store, first, 0), text);
        let tail = text.len().saturating_sub(5);
        assert_eq!(
            out(&store, first, i64::try_from(tail).unwrap()),
            text[tail..]
        );
    }
}

#[test]
fn a_job_that_is_leased_again_has_an_empty_log() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (_, jobs) = with_jobs(&store, "a", 1);
    take(&store, "x", 1, 10);
    add_entry(&store, jobs[0], &entry("old")).unwrap();
    reset_stalled(&store, 100, 100).unwrap();
    assert_eq!(
        entries(&store, jobs[0]).unwrap().len(),
        1,
        "to look at until then"
    );
    take(&store, "y", 2, 110);
    assert_eq!(entries(&store, jobs[0]).unwrap(), []);
    let chunks: i64 = store
        .query_row("SELECT count(*) FROM log_chunks", [], |row| row.get(0))
        .unwrap();
    assert_eq!(chunks, 0);
}

#[test]
fn old_executions_go_with_all_that_is_theirs() {
    let mut connection = memory();
    let store = connection.transaction().unwrap();
    let (old, jobs) = with_jobs(&store, "old", 1);
    take(&store, "x", 1, 10);
    add_entry(&store, jobs[0], &entry("text")).unwrap();
    finish(&store, QUEUE, "x", jobs[0], End::Completed, 20).unwrap();
    let (new, _) = with_jobs(&store, "new", 1);
    let abandoned = insert_execution(&store, &draft("abandoned"), 5).unwrap();
    assert_eq!(forget(&store, 20, 5, 10).unwrap(), 0);
    assert_eq!(forget(&store, 21, 6, 10).unwrap(), 2);
    assert!(execution(&store, old).unwrap().is_none());
    assert!(execution(&store, abandoned).unwrap().is_none());
    assert!(execution(&store, new).unwrap().is_some());
    for table in ["log_entries", "log_chunks", "tokens"] {
        let count: i64 = store
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    drop(Store::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("newer version of Capstan (schema 99"),
        "{error}"
    );
}

#[test]
fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let _store = Store::open(&path).unwrap();
    for name in ["hub.sqlite", "hub.sqlite-wal"] {
        let file = fs_err::metadata(directory.path().join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.sqlite");
    let store = Store::open(&path).unwrap();
    let (execution, jobs) = store
        .write(|store| Ok(with_jobs(store, "a", 3)))
        .await
        .unwrap();
    store
        .write(|store| Ok(take(store, "x", 1, 10)))
        .await
        .unwrap();
    // Something that was begun and not committed.
    let given_up: Result<(), _> = store
        .write(|store| {
            take(store, "x", 2, 10);
            Err(StoreError::Interrupted)
        })
        .await;
    assert!(given_up.is_err());
    // The first is not put away in order: a killed process does not do that either.
    std::mem::forget(store);
    let again = Store::open(&path).unwrap();
    let states = again
        .read(move |connection| {
            let jobs = super::jobs(connection, execution)?;
            Ok(jobs.iter().map(|job| job.state.name()).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(states, ["processing", "queued", "queued"]);
    let next = again
        .write(|store| Ok(take(store, "y", 3, 20)))
        .await
        .unwrap();
    assert_eq!(next, Some(jobs[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_at_once_no_two_get_one_job() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("hub.sqlite")).unwrap();
    store
        .write(|store| Ok(with_jobs(store, "a", 200)))
        .await
        .unwrap();
    let workers = (0..8_u8).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            for round in 0..255_u8 {
                let token = [worker, round]
                    .repeat(16)
                    .try_into()
                    .expect("it is as long as a digest");
                let claimed = store
                    .write(move |store| claim(store, QUEUE, &worker.to_string(), &token, 1))
                    .await
                    .unwrap();
                match claimed {
                    Some(job) => taken.push(job.id),
                    None => break,
                }
            }
            taken
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        let taken = worker.await.unwrap();
        assert!(taken.is_sorted(), "each takes the oldest");
        all.extend(taken);
    }
    let unique: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), unique.len()), (200, 200));
}

#[test]
fn the_first_job_is_found_by_an_index_and_without_sorting() {
    let connection = memory();
    let plan: Vec<String> = connection
        .prepare("EXPLAIN QUERY PLAN SELECT id FROM jobs WHERE queue = ?1 AND state = 'queued' ORDER BY place LIMIT 1")
        .unwrap()
        .query_map(["batches"], |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        plan,
        ["SEARCH jobs USING COVERING INDEX jobs_queued (queue=?)"]
    );
}

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Act {
    Submit(usize),
    Take(u8),
    Beat(u8),
    Finish(u8, bool),
    Wait(i64),
    Cancel(usize),
    Retry(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..4_usize).prop_map(Act::Submit),
        (0..3_u8).prop_map(Act::Take),
        (0..3_u8).prop_map(Act::Take),
        (0..3_u8).prop_map(Act::Beat),
        (0..3_u8, any::<bool>()).prop_map(|(worker, good)| Act::Finish(worker, good)),
        (1..20_i64).prop_map(Act::Wait),
        (0..4_usize).prop_map(Act::Cancel),
        (0..4_usize).prop_map(Act::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens: a lease is one worker's, jobs are taken in order, what is complete stays complete, and an execution has
    /// ended just when all its jobs have.
    #[test]
    fn the_queue_keeps_its_promises(acts in prop::collection::vec(act(), 1..60)) {
        let mut connection = memory();
        let store = connection.transaction().unwrap();
        let mut now = 1_000;
        let mut executions = Vec::new();
        let mut held: BTreeMap<u8, VecDeque<(i64, i64)>> = BTreeMap::new();
        let mut completed = BTreeSet::new();
        let mut token = 0_u64;
        for act in acts {
            match act {
                Act::Submit(count) => {
                    let name = format!("e{}", executions.len());
                    executions.push(with_jobs(&store, &name, count).0);
                }
                Act::Take(worker) => {
                    let waiting: Option<i64> = store
                        .query_row("SELECT id FROM jobs WHERE state = 'queued' ORDER BY place LIMIT 1", [], |row| row.get(0))
                        .optional()
                        .unwrap();
                    token += 1;
                    let mut digest = [0; 32];
                    digest[..8].copy_from_slice(&token.to_le_bytes());
                    let taken = claim(&store, QUEUE, &worker.to_string(), &digest, now).unwrap();
                    let taken = taken.map(|job| job.id);
                    prop_assert_eq!(taken, waiting);
                    if let Some(job) = taken {
                        prop_assert!(!completed.contains(&job));
                        // Whoever had it before has lost it, be it the same worker.
                        for jobs in held.values_mut() {
                            jobs.retain(|(other, _)| *other != job);
                        }
                        held.entry(worker).or_default().push_back((job, now));
                    }
                }
                Act::Beat(worker) => {
                    let jobs = held.entry(worker).or_default();
                    let ids: Vec<i64> = jobs.iter().map(|(job, _)| *job).collect();
                    let beat = heartbeat(&store, QUEUE, &worker.to_string(), &ids, now).unwrap();
                    jobs.retain(|(job, _)| beat.known.contains(job));
                    for (_, seen) in jobs.iter_mut() {
                        *seen = now;
                    }
                }
                Act::Finish(worker, good) => {
                    let Some((job, _)) = held.entry(worker).or_default().pop_front() else { continue };
                    let end = if good { End::Completed } else { End::Failed("no") };
                    let has_it = works_on(&store, QUEUE, &worker.to_string(), job).unwrap();
                    let ended = finish(&store, QUEUE, &worker.to_string(), job, end, now).unwrap();
                    prop_assert_eq!(ended, has_it);
                    if ended && good {
                        prop_assert!(completed.insert(job), "done twice");
                    }
                }
                Act::Wait(time) => {
                    now += time;
                    reset_stalled(&store, now - 25, now).unwrap();
                    for (worker, jobs) in &held {
                        for (job, seen) in jobs {
                            if now - seen <= 25 {
                                let has_it = works_on(&store, QUEUE, &worker.to_string(), *job).unwrap();
                                prop_assert!(has_it, "a worker that was heard of lost its job");
                            }
                        }
                    }
                }
                Act::Cancel(index) => {
                    if let Some(id) = executions.get(index) {
                        cancel(&store, *id, now).unwrap();
                    }
                }
                Act::Retry(index) => {
                    if let Some(id) = executions.get(index) {
                        retry(&store, *id, now).unwrap();
                    }
                }
            }
            for &id in &executions {
                let open = jobs(&store, id).unwrap().iter().any(|job| {
                    matches!(job.state, JobState::Queued | JobState::Processing)
                });
                let execution = execution(&store, id).unwrap().unwrap();
                prop_assert_eq!(open, !execution.state.has_ended());
                prop_assert_eq!(execution.finished_at.is_some(), execution.state.has_ended());
            }
            for &job in &completed {
                let job = super::job(&store, job).unwrap().unwrap();
                prop_assert_eq!(job.state, JobState::Completed);
            }
            let (processing, tokens): (i64, i64) = store
                .query_row(
                    "SELECT (SELECT count(*) FROM jobs WHERE state = 'processing'), (SELECT count(*) FROM tokens)",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap();
            prop_assert_eq!(processing, tokens, "a token lives as long as its lease");
        }
    }
}
