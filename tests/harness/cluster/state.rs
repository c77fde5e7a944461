//! What the cluster knows, and who is told when that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::watch;

use super::docker::Docker;
use super::resource::Kind;
use super::store::Store;

#[derive(Default)]
pub(super) struct State {
    pub(super) store: Store,
    /// Verbs and resources.
    pub(super) requests: BTreeSet<(String, String)>,
    pub(super) forbidden: BTreeSet<(String, String)>,
    pub(super) violations: Vec<String>,
    /// Why pods find no node from now on.
    pub(super) unschedulable: Option<String>,
    /// By id of the pod, why it has to go.
    pub(super) evictions: BTreeMap<String, String>,
    /// By id of the Job, the ids of the pods that it was given.
    pub(super) pods_of: BTreeMap<String, Vec<String>>,
    /// How often all streams were cut.
    pub(super) cuts: u64,
    pub(super) is_down: bool,
}

/// The one state, for whoever has a part in it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    docker: Docker,
    root: PathBuf,
    token: String,
}

impl Shared {
    /// Files are kept below `root`.
    pub(super) fn new(root: PathBuf, token: String) -> Self {
        let mut state = State::default();
        // No cluster is without objects, and so none is at version 0, which stands for any.
        let class = json!({"metadata": {"name": "standard"}, "provisioner": "tests"});
        state.store.insert(Kind::StorageClass, class);
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: watch::channel(()).0,
            docker: Docker::new(),
            root,
            token,
        }))
    }

    /// For looking at it, and for what nobody waits for.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it; whoever waits for a change looks again.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let before = (state.store.version(), state.cuts, state.evictions.len());
        let result = change(&mut state);
        let after = (state.store.version(), state.cuts, state.evictions.len());
        drop(state);
        if before != after {
            self.0.changed.send_replace(());
        }
        result
    }

    /// Tells of changes after now.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    pub(super) fn docker(&self) -> &Docker {
        &self.0.docker
    }

    /// Where files are.
    pub(super) fn root(&self) -> &Path {
        &self.0.root
    }

    /// What a client has to know.
    pub(super) fn token(&self) -> &str {
        &self.0.token
    }
}
