//! Tests of what goes over the network, against servers of their own and against a real registry.

mod hostile;
mod https;
mod real_registry;
mod resolving;
mod server;
mod signing_in;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::StoreError;
use crate::fetch::{Fetched, Fetcher, Progress};
use crate::http::Http;
use crate::registry::Credentials;
use crate::store::Store;

/// A store, a fetcher, and what it told.
struct Bench {
    store: Store,
    fetcher: Fetcher,
    told: Arc<Mutex<Vec<Progress>>>,
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(Credentials::default(), Vec::new())
    }

    fn with(credentials: Credentials, roots: Vec<reqwest::Certificate>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let http = Http::with(roots, Duration::from_millis(1));
        Self {
            store: Store::new(directory.path()),
            fetcher: Fetcher::over(http, credentials, move |_, progress| {
                sink.lock().unwrap().push(progress);
            }),
            told,
            directory,
        }
    }

    /// Signs in with what Docker's configuration says.
    fn signed_in(config: &serde_json::Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        fs_err::write(&file, config.to_string()).unwrap();
        let mut bench = Self::with(Credentials::new(vec![file]), Vec::new());
        bench.directory = directory;
        bench
    }

    async fn fetch(&self, source: &str) -> Result<Fetched, StoreError> {
        let source = source.parse().unwrap();
        let fetched = self.fetcher.fetch(&source, &self.store).await;
        if fetched.is_err() {
            let left = self.store.list().unwrap();
            assert!(left.is_empty(), "a failure leaves nothing");
        }
        fetched
    }

    /// The reasons for which it tried again.
    fn reasons(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        let reasons = told.iter().filter_map(|progress| match progress {
            Progress::Waiting { reason, .. } => Some(reason.clone()),
            Progress::Received { .. } => None,
        });
        reasons.collect()
    }
}

/// Replaces the ports of this machine's servers, which differ from run to run.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("127.0.0.1:<port>");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}
