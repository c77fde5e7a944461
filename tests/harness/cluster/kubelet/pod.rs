//! One pod on the node, from its volumes to its last container.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::TICK;
use super::container::{Container, SOURCE};
use super::status::{self, Failure};
use super::volumes::Volumes;
use crate::cluster::conditions;
use crate::cluster::events;
use crate::cluster::resource::Kind;
use crate::cluster::state::Shared;
use crate::cluster::store::{self, list};
use crate::privilege::as_root;

/// How long after volumes could not be made it is tried again.
const MOUNTING: Duration = Duration::from_millis(500);

/// How often it is measured what is in volumes.
const MEASURING: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub(super) shared: Shared,
    name: String,
    uid: String,
    directory: PathBuf,
    volumes: Option<Volumes>,
    /// Volumes are not to be tried again before.
    mount_at: Instant,
    pub(super) containers: Vec<Container>,
    measured: Instant,
    /// When those that were told to stop are killed.
    pub(super) kill_at: Option<Instant>,
    /// Why it is driven out.
    pub(super) failure: Option<Failure>,
}

impl Worker {
    pub(super) fn new(shared: Shared, pod: &Value) -> Self {
        let uid = store::uid(pod).to_owned();
        let has_init = list(&pod["spec"]["initContainers"]).next().is_some();
        let of = |field: &str, is_init: bool| -> Vec<Container> {
            let specs = list(&pod["spec"][field]);
            specs
                .map(|spec| Container::new(spec, is_init, has_init))
                .collect()
        };
        let mut containers = of("initContainers", true);
        containers.extend(of("containers", false));
        Self {
            directory: shared.root().join("pods").join(&uid),
            shared,
            name: store::name(pod).to_owned(),
            uid,
            volumes: None,
            mount_at: Instant::now(),
            containers,
            measured: Instant::now(),
            kill_at: None,
            failure: None,
        }
    }

    /// The pod as it is now, if it is still this one.
    fn pod(&self) -> Option<Value> {
        let state = self.shared.lock();
        let pod = state.store.get(Kind::Pod, &self.name)?;
        (store::uid(pod) == self.uid).then(|| pod.clone())
    }

    pub(super) async fn run(mut self) {
        let mut changes = self.shared.changes();
        let shared = self.shared.clone();
        let mut ends = shared.docker().ends();
        loop {
            changes.mark_unchanged();
            ends.mark_unchanged();
            let Some(pod) = self.pod() else { break };
            self.look().await;
            self.advance(&pod).await;
            self.publish();
            if store::is_going(&pod) && self.kill_at.is_some() && self.running().is_empty() {
                let replaced = self.volumes.iter().flat_map(Volumes::replaced);
                let told =
                    replaced.map(|path| format!("{} was mounted, and made anew", path.display()));
                let told: Vec<String> = told.collect();
                self.shared.change(|state| {
                    state.violations.extend(told);
                    state.store.remove(Kind::Pod, &self.name);
                });
                break;
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = ends.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        self.remove().await;
    }

    /// Does what is next.
    async fn advance(&mut self, pod: &Value) {
        if self.failure.is_none() {
            let evictions = self.shared.lock().evictions.clone();
            if let Some(message) = evictions.get(&self.uid) {
                self.evict(pod, message.clone()).await;
            } else if let Some(message) = self.overflow().await {
                self.evict(pod, message).await;
            }
        }
        if store::is_going(pod) {
            self.stop(pod).await;
        } else if self.failure.is_none() {
            self.start(pod).await;
        }
    }

    /// Tells of something about it.
    pub(super) fn tell(&self, pod: &Value, reason: &str, message: &str) {
        self.shared
            .change(|state| events::tell(state, pod, SOURCE, reason, message));
    }

    /// Ids of the containers that run.
    pub(super) fn running(&self) -> Vec<String> {
        let running = self.containers.iter().filter(|one| one.is_running());
        running.filter_map(|one| one.id.clone()).collect()
    }

    /// Sees which of the containers have ended.
    async fn look(&mut self) {
        for container in &mut self.containers {
            let id = container.id.clone().filter(|_| container.is_running());
            if id.is_some_and(|id| self.shared.docker().has_ended(&id)) {
                container.look(&self.shared).await;
            }
        }
    }

    /// Starts what can be started.
    async fn start(&mut self, pod: &Value) {
        if self.volumes.is_none() && self.mount_at <= Instant::now() {
            self.mount_at = Instant::now() + MOUNTING;
            match Volumes::set_up(&self.shared, pod, &self.directory) {
                Ok(volumes) => self.volumes = Some(volumes),
                Err(message) => self.tell(pod, "FailedMount", &message),
            }
        }
        if self.volumes.is_none() {
            return;
        }
        for index in 0..self.containers.len() {
            let volumes = self.volumes.as_mut().expect("they are set up by now");
            let container = &mut self.containers[index];
            if !container.is_init {
                volumes.show(pod);
            }
            if container.is_waiting() && container.is_due() {
                container.start(&self.shared, pod, volumes).await;
                self.publish();
            }
            let container = &self.containers[index];
            // One after the other, and nothing after one that fails.
            if container.is_init && !container.has_succeeded() {
                return;
            }
        }
    }

    /// The volume that has become too large, if one has.
    async fn overflow(&mut self) -> Option<String> {
        let is_time = self.measured.elapsed() >= MEASURING;
        let volumes = self.volumes.as_ref()?;
        if !is_time || self.running().is_empty() {
            return None;
        }
        let found = volumes.overflow().await;
        self.measured = Instant::now();
        found
    }

    /// Writes down how it is.
    fn publish(&self) {
        // It has not failed before its containers are gone.
        let failure = self.failure.as_ref().filter(|_| self.running().is_empty());
        self.shared.change(|state| {
            let is_ours = |pod: &Value| store::uid(pod) == self.uid;
            if !state.store.get(Kind::Pod, &self.name).is_some_and(is_ours) {
                return;
            }
            state.store.update(Kind::Pod, &self.name, |pod| {
                status::write(pod, &self.containers, failure);
                if failure.is_some() {
                    let message = "The node was low on resource: ephemeral-storage.";
                    conditions::set(
                        pod,
                        "DisruptionTarget",
                        true,
                        "TerminationByKubelet",
                        message,
                    );
                }
            });
        });
    }

    /// Removes what it has left behind.
    async fn remove(&self) {
        let ids: Vec<String> = self
            .containers
            .iter()
            .filter_map(|one| one.id.clone())
            .collect();
        for id in &ids {
            self.shared.docker().forget(id);
        }
        if !ids.is_empty() {
            let mut arguments = ["rm", "--force", "--volumes"].map(str::to_owned).to_vec();
            arguments.extend(ids);
            // What is left goes with the cluster.
            let _ = self.shared.docker().run(&arguments).await;
        }
        let removed = as_root("rm").arg("-rf").arg(&self.directory).status();
        removed.expect("rm runs");
    }
}
