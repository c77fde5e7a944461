//! The networks of a run's containers.
//!
//! Setting up a network is the slowest part of starting a container, so there are a few for all of the run. A task has one to itself while
//! it runs, as containers that share a network see each other's ports; of a task's containers only one does something at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::Settings;
use crate::sandbox::{Engine, NetworkOrder, SharedNetwork};

/// Fewest steps, of the tasks that run one after the other, for which a network pays.
const SHARING_PAYS: usize = 3;

/// Those that no task has at the moment.
#[derive(Debug)]
pub(super) struct Networks {
    idle: Mutex<Vec<SharedNetwork>>,
    pays: bool,
}

impl Networks {
    /// For tasks that have so many steps in `containers` together, of which `slots` run at a time. Where the user chose a network there
    /// is none to share.
    pub(super) fn new(settings: &Settings, steps: usize, slots: usize) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::default(),
            pays: settings.network.is_none() && steps >= SHARING_PAYS * slots,
        })
    }

    /// A task's. Nothing is made before it is needed.
    pub(super) fn lease(self: &Arc<Self>) -> Arc<Lease> {
        Arc::new(Lease {
            networks: Arc::clone(self),
            network: OnceCell::new(),
            is_broken: AtomicBool::new(false),
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SharedNetwork>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network of one task.
#[derive(Debug)]
pub(super) struct Lease {
    networks: Arc<Networks>,
    /// `None`: there is none to be had.
    network: OnceCell<Option<SharedNetwork>>,
    is_broken: AtomicBool,
}

impl Lease {
    /// The network, which is made by the first who asks if no other task has left one. `None`: containers get one of their own.
    pub(super) async fn network<E: Engine>(
        &self,
        engine: &E,
        order: impl FnOnce() -> NetworkOrder,
    ) -> Option<SharedNetwork> {
        if !self.networks.pays || self.is_broken.load(Ordering::Relaxed) {
            return None;
        }
        let made = self.network.get_or_init(async || {
            // Not held while a network is made.
            let idle = self.networks.idle().pop();
            match idle {
                Some(network) => Some(network),
                None => engine
                    .share_network(order())
                    .await
                    .inspect_err(|fault| tracing::debug!(%fault, "no network is shared"))
                    .ok(),
            }
        });
        made.await.clone()
    }

    /// It could not be joined: nobody tries again.
    pub(super) fn give_up(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// No container of the task runs any more: the next task may have it.
    pub(super) fn end(&self) {
        if let Some(Some(network)) = self.network.get()
            && !self.is_broken.swap(true, Ordering::Relaxed)
        {
            self.networks.idle().push(network.clone());
        }
    }
}
