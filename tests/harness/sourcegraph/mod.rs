//! A Sourcegraph as an executor sees it (facts/executor-protocol.md 15): a queue, a file store, git.
//!
//! It is strict: whatever a request has that the original would not send, or lacks that it would, is a [`violation`](Sourcegraph::violations).
//! It reads JSON by itself, so that it does not believe what the code under test believes.

mod git;
mod payload;
mod routes;
mod state;
mod uploads;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

pub use self::payload::native_job;
pub use self::state::{Entry, JobState};
pub use self::uploads::Upload;

use self::state::State;

/// The executor's secret.
pub const SECRET: &str = "hunter2-hunter2-hunter2";

/// After this long a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server on this machine. Stopped when dropped.
pub struct Sourcegraph {
    url: String,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Sourcegraph {
    fn default() -> Self {
        Self::start()
    }
}

impl Sourcegraph {
    /// Starts one, with nothing in its queue.
    pub fn start() -> Self {
        Self::listening("127.0.0.1:0", "127.0.0.1")
    }

    /// Starts one that others reach as `host`.
    pub fn start_at(host: &str) -> Self {
        Self::listening("0.0.0.0:0", host)
    }

    fn listening(at: &'static str, host: &str) -> Self {
        let shared = Shared::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = shared.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind(at).await;
                let listener = listener.expect("there is a free port");
                let address = listener.local_addr().expect("it is bound");
                tell.send(address).expect("somebody waits for it");
                let serve = axum::serve(listener, routes::router(served));
                tokio::select! {
                    served = async { serve.await } => served.expect("the network works"),
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("it starts");
        Self {
            url: format!("http://{host}:{}", address.port()),
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts a job into the queue `batches`, or into the one that it names; its `id` and `token` are made here. Returns the id.
    pub fn enqueue(&self, job: Value) -> i64 {
        self.shared.lock().enqueue(job)
    }

    /// Hands the next job to an executor of this name, as an answer would.
    ///
    /// # Panics
    /// When there is none.
    pub fn hand_out(&self, executor: &str) -> Value {
        let mut state = self.shared.lock();
        state.executors.insert(executor.to_owned());
        let queues = ["batches", "codeintel"].map(str::to_owned);
        let job = state.dequeue(&queues, executor, true);
        job.expect("a job waits")
    }

    /// Serves a repository under a name.
    pub fn repository(&self, name: &str, path: impl Into<PathBuf>) {
        let mut state = self.shared.lock();
        state.repositories.insert(name.to_owned(), path.into());
    }

    /// Serves a file of the file store, under `batch-changes/<key>`.
    pub fn file(&self, key: &str, content: &[u8]) {
        let mut state = self.shared.lock();
        state.files.insert(key.to_owned(), content.to_vec());
    }

    /// A user cancels a job.
    pub fn cancel(&self, id: i64) {
        self.shared.lock().cancelled.insert(id);
    }

    /// A job is taken away from its executor, as if it had stalled, and queued again.
    pub fn take_away(&self, id: i64) {
        self.shared.lock().take_away(id);
    }

    /// The next requests whose path contains `path` are answered with this status, so many times.
    pub fn fail(&self, path: &str, status: u16, times: usize) {
        let mut state = self.shared.lock();
        state.failures.push((path.to_owned(), status, times));
    }

    /// Requests whose path contains `path` are not answered before [`release`](Self::release).
    pub fn hold(&self, path: &str) {
        self.shared.lock().held.insert(path.to_owned());
    }

    /// What has waited is answered.
    pub fn release(&self) {
        self.shared.lock().held.clear();
    }

    /// Nothing fails any more.
    pub fn recover(&self) {
        self.shared.lock().failures.clear();
    }

    /// The next dequeue is answered with this text.
    pub fn answer_dequeue(&self, text: &str) {
        self.shared
            .lock()
            .dequeue_answers
            .push_back(text.to_owned());
    }

    /// Where a job is.
    pub fn job(&self, id: i64) -> JobState {
        self.shared.lock().job(id)
    }

    /// The log of a job: all entries, in order.
    pub fn log(&self, id: i64) -> Vec<Entry> {
        self.shared.lock().log(id)
    }

    /// What was asked, each as `METHOD path`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }

    /// How often something was asked whose path contains `path`.
    pub fn count(&self, path: &str) -> usize {
        let state = self.shared.lock();
        let asked = state.requests.iter();
        asked.filter(|request| request.contains(path)).count()
    }

    /// The headers of each request whose path contains `path`: `name: value`, sorted.
    pub fn headers(&self, path: &str) -> Vec<Vec<String>> {
        let state = self.shared.lock();
        let asked = state.headers.iter();
        let asked = asked.filter(|(request, _)| request.contains(path));
        asked.map(|(_, headers)| headers.clone()).collect()
    }

    /// The indexes that were uploaded as a whole.
    pub fn uploads(&self) -> Vec<Upload> {
        self.shared.lock().uploads.done()
    }

    /// What was asked that should not have been, or in another way.
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    /// All that was sent, for looking for what must not be in it.
    pub fn bodies(&self) -> String {
        self.shared.lock().bodies.join("\n")
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}; requests:\n{}\nviolations: {:?}",
                self.requests().join("\n"),
                self.violations()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a job is at its end.
    #[track_caller]
    pub fn wait_for(&self, id: i64) -> JobState {
        self.wait_until(&format!("job {id} has ended"), |this| {
            this.job(id).is_final()
        });
        self.job(id)
    }

    /// Asserts that every request was as the original would make it.
    #[track_caller]
    pub fn assert_pleased(&self) {
        assert_eq!(self.violations(), Vec::<String>::new());
    }
}

impl Drop for Sourcegraph {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
