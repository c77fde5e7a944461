//! What runs the pods of the node, as containers of the engine of the tests.

mod arguments;
mod container;
mod ending;
mod environment;
mod images;
mod pod;
mod secret_files;
mod status;
mod volumes;

use std::collections::BTreeSet;
use std::time::Duration;

use super::resource::Kind;
use super::scheduler::NODE;
use super::state::Shared;
use super::store;
use super::{deletion, jobs, scheduler};

/// How often those who wait for changes look without one: for what is due by the clock.
const TICK: Duration = Duration::from_millis(100);

/// Runs the controllers of the cluster, and each pod that comes to the node. Never ends.
pub(super) async fn run(shared: Shared) {
    let mut taken = BTreeSet::new();
    let mut changes = shared.changes();
    loop {
        changes.mark_unchanged();
        let pods = shared.change(|state| {
            deletion::collect_garbage(state);
            jobs::control(state);
            scheduler::schedule(state);
            state.store.all(Kind::Pod)
        });
        for pod in pods.iter().filter(|pod| pod["spec"]["nodeName"] == NODE) {
            if taken.insert(store::uid(pod).to_owned()) {
                tokio::spawn(pod::Worker::new(shared.clone(), pod).run());
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}
