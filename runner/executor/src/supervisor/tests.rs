use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use capstan_protocol::{Identity, JobKey, LogEntry};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::client::{Beat, Cause, ClientError};
use crate::log::Sink;

/// A server that does what a test tells it to, and work that lasts as long as the test says.
#[derive(Debug, Default)]
struct World {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queued: VecDeque<Result<Job, Cause>>,
    /// How long each job lasts and how it ends; without, for ever.
    work: BTreeMap<i64, (u64, Ending)>,
    /// What an earlier process had begun.
    left: Vec<Job>,
    unknown: Vec<i64>,
    cancelled: Vec<i64>,
    heart_trouble: Option<Cause>,
    mark_trouble: Option<Cause>,
    beat_takes: u64,
    /// What happened, with the second in which it did.
    events: Vec<String>,
    beats: Vec<(u64, Vec<i64>)>,
    dequeues: Vec<u64>,
}

#[derive(Debug, Clone)]
struct Shared(Arc<World>, Instant);

impl Shared {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap()
    }

    fn second(&self) -> u64 {
        self.1.elapsed().as_secs()
    }

    fn event(&self, what: &str) {
        let second = self.second();
        self.lock().events.push(format!("{second}: {what}"));
    }

    fn events(&self) -> Vec<String> {
        self.lock().events.clone()
    }

    fn job(self, id: i64, lasts: u64, ending: Ending) -> Self {
        self.lock().queued.push_back(Ok(job(id)));
        self.lock().work.insert(id, (lasts, ending));
        self
    }

    /// One that an earlier process had begun.
    fn left(self, id: i64, lasts: u64, ending: Ending) -> Self {
        self.lock().left.push(job(id));
        self.lock().work.insert(id, (lasts, ending));
        self
    }

    fn endless(self, id: i64) -> Self {
        self.lock().queued.push_back(Ok(job(id)));
        self
    }
}

fn job(id: i64) -> Job {
    Job {
        identity: Identity {
            id,
            queue: "batches".into(),
            token: format!("t0ken{id}"),
        },
        ..Job::default()
    }
}

fn trouble(cause: Cause) -> ClientError {
    ClientError {
        message: format!("{cause:?}"),
        cause,
    }
}

impl Queue for Shared {
    async fn dequeue(&self) -> Result<Option<Job>, DequeueError> {
        let second = self.second();
        let mut inner = self.lock();
        inner.dequeues.push(second);
        match inner.queued.pop_front() {
            None => Ok(None),
            Some(Ok(job)) => Ok(Some(job)),
            Some(Err(cause)) => Err(trouble(cause).into()),
        }
    }

    async fn heartbeat(&self, running: &[JobKey]) -> Result<Beat, ClientError> {
        let second = self.second();
        let takes = {
            let mut inner = self.lock();
            let ids = running.iter().map(|key| key.id).collect();
            inner.beats.push((second, ids));
            inner.beat_takes
        };
        tokio::time::sleep(Duration::from_secs(takes)).await;
        let inner = self.lock();
        if let Some(cause) = inner.heart_trouble {
            return Err(trouble(cause));
        }
        let of = |ids: &[i64]| {
            let running = running.iter();
            running
                .filter(|key| ids.contains(&key.id))
                .cloned()
                .collect()
        };
        Ok(Beat {
            unknown: of(&inner.unknown),
            cancelled: of(&inner.cancelled),
        })
    }

    async fn mark(&self, job: &Identity, outcome: Outcome) -> Result<(), ClientError> {
        let trouble_now = self.lock().mark_trouble;
        match trouble_now {
            Some(cause) => Err(trouble(cause)),
            None => {
                self.event(&format!("mark {} {outcome:?}", job.id));
                Ok(())
            }
        }
    }

    async fn mark_of_former(&self, queue: &str, mark: &Mark) -> Result<(), ClientError> {
        let (name, id) = (&mark.executor_name, mark.job_id);
        self.event(&format!("mark of {name} {queue} {id} {:?}", mark.outcome));
        Ok(())
    }

    fn sink(&self, job: &Identity) -> Arc<dyn Sink> {
        Arc::new(Log(self.clone(), job.id))
    }

    fn executor_name(&self) -> &str {
        "host-1"
    }

    fn secrets(&self) -> Vec<&str> {
        vec!["hunter2"]
    }
}

struct Log(Shared, i64);

impl Sink for Log {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        self.0
            .event(&format!("log {} {}", self.1, entry.out.trim_end()));
        async { Ok(1) }.boxed()
    }

    fn update<'a>(&'a self, _: i64, entry: &LogEntry) -> BoxFuture<'a, Result<(), ClientError>> {
        self.0
            .event(&format!("log {} {}", self.1, entry.out.trim_end()));
        async { Ok(()) }.boxed()
    }
}

#[derive(Debug)]
struct Acting(Shared);

impl Work for Acting {
    async fn left(&self) -> Vec<Job> {
        std::mem::take(&mut self.0.lock().left)
    }

    async fn run(
        self: Arc<Self>,
        job: Job,
        log: Arc<ExecutionLog>,
        cancel: CancellationToken,
    ) -> Ending {
        self.0.event(&format!("start {}", job.id()));
        let work = self.0.lock().work.get(&job.id()).cloned();
        let (lasts, ending) = work.unwrap_or((1_000_000, Ending::Complete));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(lasts)) => {}
            () = cancel.cancelled() => {
                self.0.event(&format!("stopped {}", job.id()));
                return Ending::Failed("stopped".to_owned());
            }
        }
        assert_ne!(
            ending,
            Ending::Errored("panic".into()),
            "as the test wants it"
        );
        let entry = log.begin("teardown.fs", None);
        entry.text("bye\n");
        entry.close(0);
        ending
    }
}

struct Rig {
    world: Shared,
    shutdown: Shutdown,
    supervisor: Arc<Supervisor<Shared, Acting>>,
    directory: tempfile::TempDir,
}

impl Rig {
    fn new(world: Shared, settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::over(world, settings, directory)
    }

    fn over(world: Shared, settings: Settings, directory: tempfile::TempDir) -> Self {
        let shutdown = Shutdown::default();
        let owner = format!("run{}", world.second());
        let marks = MarkStore::new(directory.path().to_path_buf(), owner, |_| true);
        let supervisor = Supervisor::new(
            world.clone(),
            Arc::new(Acting(world.clone())),
            settings,
            marks,
            Metrics::new(&[]),
            shutdown.clone(),
        );
        Self {
            world,
            shutdown,
            supervisor,
            directory,
        }
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.supervisor).run())
    }

    fn kept(&self) -> usize {
        fs_err::read_dir(self.directory.path()).unwrap().count()
    }
}

fn settings(slots: usize) -> Settings {
    Settings {
        slots,
        poll: Duration::from_secs(1),
        total: None,
        active: None,
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_run_in_order_and_not_more_than_there_are_slots() {
    let world = Shared::new();
    let world = (1..=4).fold(world, |world, id| world.job(id, 10, Ending::Complete));
    let rig = Rig::new(world, settings(2));
    let running = rig.start();
    seconds(25).await;
    rig.shutdown.drain.cancel();
    running.await.unwrap();
    let starts: Vec<String> = rig
        .world
        .events()
        .into_iter()
        .filter(|e| e.contains("start"))
        .collect();
    assert_eq!(
        starts,
        ["0: start 1", "0: start 2", "10: start 3", "10: start 4"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_has_begun_goes_first() {
    // More of them than there are slots now.
    let world = Shared::new().left(1, 10, Ending::Complete);
    let world = world.left(2, 20, Ending::Complete);
    let world = world.job(3, 1, Ending::Complete);
    let rig = Rig::new(world, settings(1));
    let running = rig.start();
    seconds(15).await;
    let starts = ["0: start 1", "0: start 2", "10: start 3"].map(str::to_owned);
    let events = rig.world.events();
    let started = events.iter().filter(|event| event.contains("start"));
    assert_eq!(started.cloned().collect::<Vec<_>>(), starts);
    // The server hears of them with the first heartbeats.
    let beats = rig.world.lock().beats.clone();
    assert!(
        beats.iter().any(|(at, ids)| *at <= 5 && *ids == [1, 2]),
        "{beats:?}"
    );
    // They do not count as taken.
    assert_eq!(rig.supervisor.status().taken(), 1);
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_log_is_with_the_server_before_the_mark() {
    let world = Shared::new().job(7, 3, Ending::Errored("exit 1, hunter2, t0ken7".into()));
    let rig = Rig::new(world, settings(1));
    let running = rig.start();
    seconds(5).await;
    assert_eq!(
        rig.world.events(),
        [
            "0: start 7",
            "3: log 7 bye",
            "3: mark 7 Errored(\"exit 1, SECRET_REMOVED, SECRET_REMOVED\")"
        ]
    );
    assert_eq!(rig.kept(), 0);
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_job_the_next_is_asked_for_at_once_and_else_after_the_interval() {
    let world = Shared::new().job(1, 3, Ending::Complete);
    world.lock().queued.push_back(Err(Cause::Status(500)));
    let rig = Rig::new(world, settings(9));
    let running = rig.start();
    tokio::time::sleep(Duration::from_millis(3500)).await;
    rig.shutdown.drain.cancel();
    running.await.unwrap();
    // When the job has ended, after 3 s, the interval does not count.
    assert_eq!(rig.world.lock().dequeues, [0, 0, 1, 2, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_server_in_trouble_is_asked_less_often() {
    let world = Shared::new();
    world
        .lock()
        .queued
        .extend((0..30).map(|_| Err(Cause::NoAnswer)));
    let rig = Rig::new(world, settings(1));
    let running = rig.start();
    seconds(60).await;
    let asked = rig.world.lock().dequeues.len();
    assert!((10..=15).contains(&asked), "{asked} times in a minute");
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_every_5_s_idle_busy_and_draining() {
    let world = Shared::new();
    let rig = Rig::new(world, settings(1));
    let running = rig.start();
    seconds(12).await;
    let world = rig.world.clone().job(1, 20, Ending::Complete);
    seconds(4).await;
    rig.shutdown.drain.cancel();
    running.await.unwrap();
    let beats = world.lock().beats.clone();
    let none = Vec::new;
    assert_eq!(
        beats,
        [
            (0, none()),
            (5, none()),
            (10, none()),
            (15, vec![1]),
            (20, vec![1]),
            (25, vec![1]),
            (30, vec![1])
        ]
    );
    assert_eq!(world.events().last().unwrap(), "32: mark 1 Complete");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_is_stopped_within_a_beat_and_marked_failed() {
    let rig = Rig::new(Shared::new().endless(1).endless(2), settings(2));
    let running = rig.start();
    seconds(7).await;
    rig.world.lock().cancelled.push(1);
    seconds(5).await;
    assert_eq!(
        rig.world.events(),
        [
            "0: start 1",
            "0: start 2",
            "10: stopped 1",
            "10: mark 1 Failed(\"stopped\")"
        ]
    );
    assert_eq!(rig.supervisor.running().len(), 1);
    rig.shutdown.drain.cancel();
    rig.shutdown.abort.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_job_is_stopped_and_the_server_told_nothing() {
    let rig = Rig::new(Shared::new().endless(1), settings(1));
    let running = rig.start();
    seconds(7).await;
    rig.world.lock().unknown.push(1);
    seconds(5).await;
    assert_eq!(rig.world.events(), ["0: start 1", "10: stopped 1"]);
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failed_heartbeat_stops_nothing() {
    let rig = Rig::new(Shared::new().job(1, 60, Ending::Complete), settings(1));
    rig.world.lock().heart_trouble = Some(Cause::Status(500));
    rig.world.lock().unknown.push(1);
    let running = rig.start();
    seconds(61).await;
    assert_eq!(rig.world.events().last().unwrap(), "60: mark 1 Complete");
    assert!(rig.supervisor.status().unready().is_some());
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_jobs_that_were_told_are_judged() {
    let world = Shared::new();
    // The job comes while a heartbeat is on its way that does not name it; the server, in this test, knows of nothing.
    world.lock().beat_takes = 3;
    world.lock().unknown.push(1);
    let rig = Rig::new(world, settings(1));
    let running = rig.start();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let world = rig.world.clone().endless(1);
    seconds(3).await;
    assert_eq!(
        world.events(),
        ["2: start 1"],
        "judged by an answer about others"
    );
    seconds(5).await;
    assert_eq!(world.events().last().unwrap(), "8: stopped 1");
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_back_takes_the_place_of_its_first_run() {
    let rig = Rig::new(Shared::new().endless(1), settings(2));
    let running = rig.start();
    seconds(3).await;
    let world = rig.world.clone().job(1, 4, Ending::Complete);
    seconds(10).await;
    assert_eq!(
        world.events(),
        [
            "0: start 1",
            "3: stopped 1",
            "3: start 1",
            "7: log 1 bye",
            "7: mark 1 Complete"
        ]
    );
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_lets_jobs_finish_and_takes_no_more() {
    let world = Shared::new()
        .job(1, 10, Ending::Complete)
        .job(2, 10, Ending::Complete);
    let rig = Rig::new(world, settings(1));
    let running = rig.start();
    seconds(2).await;
    rig.shutdown.drain.cancel();
    running.await.unwrap();
    assert_eq!(
        rig.world.events(),
        ["0: start 1", "10: log 1 bye", "10: mark 1 Complete"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_stops_jobs_which_are_left_for_others() {
    let rig = Rig::new(Shared::new().endless(1), settings(1));
    let running = rig.start();
    seconds(2).await;
    rig.shutdown.drain.cancel();
    seconds(2).await;
    assert_eq!(rig.supervisor.status().phase(), Phase::Draining);
    rig.shutdown.abort.cancel();
    running.await.unwrap();
    assert_eq!(rig.world.events(), ["0: start 1", "4: stopped 1"]);
}

#[tokio::test(start_paused = true)]
async fn after_so_many_jobs_or_so_long_no_more_are_taken() {
    let many = |world| {
        (1..=5).fold(world, |world: Shared, id| {
            world.job(id, 10, Ending::Complete)
        })
    };
    for settings in [
        Settings {
            total: Some(3),
            ..settings(1)
        },
        Settings {
            active: Some(Duration::from_secs(25)),
            ..settings(1)
        },
    ] {
        let rig = Rig::new(many(Shared::new()), settings);
        rig.start().await.unwrap();
        let marks = rig
            .world
            .events()
            .iter()
            .filter(|e| e.contains("mark"))
            .count();
        assert_eq!(marks, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_read_is_errored_if_the_server_can_be_told() {
    let world = Shared::new();
    let rig = Rig::new(world, settings(1));
    let undecodable = Job::decode(br#"{"id": 9, "token": "t", "files": 1}"#).unwrap_err();
    let running = rig.start();
    let slot = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    rig.supervisor.refuse(undecodable, slot);
    seconds(1).await;
    assert_eq!(
        rig.world.events(),
        ["0: mark 9 Errored(\"the job cannot be read: files: expected an object\")"]
    );
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_job_and_nothing_else() {
    let world = Shared::new()
        .job(1, 1, Ending::Errored("panic".into()))
        .job(2, 2, Ending::Complete);
    let rig = Rig::new(world, settings(2));
    let running = rig.start();
    seconds(5).await;
    let events = rig.world.events();
    assert!(
        events[2].starts_with("1: mark 1 Errored(\"an internal error"),
        "{events:?}"
    );
    assert_eq!(events.last().unwrap(), "2: mark 2 Complete");
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_told_when_the_server_is_back_and_the_job_kept_alive_until_then() {
    let rig = Rig::new(Shared::new().job(1, 2, Ending::Complete), settings(1));
    rig.world.lock().mark_trouble = Some(Cause::NoAnswer);
    let running = rig.start();
    seconds(31).await;
    assert_eq!(rig.kept(), 1, "it is written down meanwhile");
    assert!(rig.supervisor.running()[0].reporting);
    assert_eq!(rig.world.lock().beats.last().unwrap(), &(30, vec![1]));
    rig.world.lock().mark_trouble = None;
    seconds(6).await;
    assert_eq!(rig.world.events().last().unwrap(), "32: mark 1 Complete");
    assert_eq!(rig.kept(), 0);
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_nobody_wants_is_forgotten() {
    let rig = Rig::new(Shared::new().job(1, 2, Ending::Complete), settings(1));
    rig.world.lock().mark_trouble = Some(Cause::Lost);
    let running = rig.start();
    seconds(5).await;
    assert_eq!((rig.kept(), rig.supervisor.running().len()), (0, 0));
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_could_not_be_told_is_told_at_the_next_start() {
    let rig = Rig::new(
        Shared::new().job(1, 2, Ending::Failed("no".into())),
        settings(1),
    );
    rig.world.lock().mark_trouble = Some(Cause::NoAnswer);
    let running = rig.start();
    seconds(3).await;
    rig.shutdown.drain.cancel();
    running.await.unwrap();
    assert_eq!(rig.kept(), 1);

    let world = rig.world.clone();
    world.lock().mark_trouble = None;
    let Rig { directory, .. } = rig;
    let rig = Rig::over(world, settings(1), directory);
    let running = rig.start();
    seconds(1).await;
    let told = rig.world.events().pop().unwrap();
    assert!(
        told.ends_with("mark of host-1 batches 1 Failed(\"no\")"),
        "{told}"
    );
    assert_eq!(rig.kept(), 0);
    rig.shutdown.drain.cancel();
    running.await.unwrap();
}
