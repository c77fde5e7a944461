//! Containers made before their step is due.
//!
//! Setting up a network is the slowest part of starting a container. So the container of one late step, which waits
//! at its gate the longest, is made first and holds a network for the task; those of the steps before it only join.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fault::Fault;
use crate::sandbox::{Engine, Gated, Preparation};

/// The containers of one task that wait at their gates, or are on the way there, by step.
pub(super) struct Ahead<E: Engine> {
    engine: Arc<E>,
    waiting: BTreeMap<usize, Waiting<E::Container>>,
    holder: Option<Holder>,
}

struct Waiting<C> {
    preparation: Preparation,
    container: JoinHandle<Result<C, Fault>>,
}

/// The step whose container holds the task's network.
struct Holder {
    step: usize,
    /// The mode to join it by, once the container is at its gate; closed without if it cannot be joined.
    network: watch::Receiver<Option<String>>,
}

impl<E: Engine> Ahead<E> {
    pub(super) fn new(engine: Arc<E>) -> Self {
        Self {
            engine,
            waiting: BTreeMap::new(),
            holder: None,
        }
    }

    /// How many steps after `step` have a container, apart from the one that holds the network.
    pub(super) fn count_after(&self, step: usize) -> usize {
        let holder = self.holder.as_ref().map(|holder| holder.step);
        let after = self.waiting.keys().filter(|&&other| other > step);
        after.filter(|&&other| Some(other) != holder).count()
    }

    pub(super) fn has(&self, step: usize) -> bool {
        self.waiting.contains_key(&step)
    }

    /// Whether a container holds the task's network.
    pub(super) fn has_holder(&self) -> bool {
        self.holder.is_some()
    }

    /// What the container of `step` is made from.
    pub(super) fn preparation(&self, step: usize) -> Option<&Preparation> {
        self.waiting.get(&step).map(|waiting| &waiting.preparation)
    }

    /// Starts to make the container of `step`, in the task's network if there is one.
    pub(super) fn start(&mut self, step: usize, preparation: Preparation) {
        let holder = self.holder.as_ref().filter(|holder| holder.step > step);
        let network = holder.map(|holder| holder.network.clone());
        let engine = Arc::clone(&self.engine);
        let wanted = preparation.clone();
        let container = tokio::spawn(async move {
            if let Some(joined) = joined(&wanted, network).await
                && let Ok(container) = engine.prepare(joined).await
            {
                return Ok(container);
            }
            engine.prepare(wanted).await
        });
        self.wait_for(step, preparation, container);
    }

    /// Starts to make the container of `step`, which then holds the task's network.
    pub(super) fn start_holder(&mut self, step: usize, preparation: Preparation) {
        let (tell, network) = watch::channel(None);
        let engine = Arc::clone(&self.engine);
        let wanted = preparation.clone();
        let container = tokio::spawn(async move {
            let container = engine.prepare(wanted).await?;
            tell.send_replace(container.network());
            Ok(container)
        });
        self.wait_for(step, preparation, container);
        self.holder = Some(Holder { step, network });
    }

    fn wait_for(
        &mut self,
        step: usize,
        preparation: Preparation,
        container: JoinHandle<Result<E::Container, Fault>>,
    ) {
        let waiting = Waiting {
            preparation,
            container,
        };
        self.waiting.insert(step, waiting);
    }

    /// The container of `step`, once it waits at its gate.
    ///
    /// Dropping the future leaves the container in place.
    pub(super) async fn take(&mut self, step: usize) -> Result<E::Container, Fault> {
        let Some(waiting) = self.waiting.get_mut(&step) else {
            return Err(Fault::workspace(format!(
                "step {} has no container to open",
                step + 1
            )));
        };
        let container = (&mut waiting.container).await;
        self.waiting.remove(&step);
        // Its end is the end of the network.
        self.holder.take_if(|holder| holder.step <= step);
        container.unwrap_or_else(|error| {
            Err(Fault::workspace(format!(
                "preparing the container of step {}: {error}",
                step + 1
            )))
        })
    }

    /// Throws the container of `step` away.
    pub(super) async fn discard(&mut self, step: usize) {
        if self.waiting.contains_key(&step)
            && let Ok(container) = self.take(step).await
        {
            container.discard().await;
        }
    }

    /// Throws all containers away.
    pub(super) async fn discard_all(&mut self) {
        while let Some(&step) = self.waiting.keys().next() {
            self.discard(step).await;
        }
    }
}

/// `preparation` in the holder's network, once that is known; `None` if there is none to join.
async fn joined(
    preparation: &Preparation,
    network: Option<watch::Receiver<Option<String>>>,
) -> Option<Preparation> {
    let mut network = network?;
    let network = network.wait_for(Option::is_some).await.ok()?.clone();
    Some(Preparation {
        network,
        ..preparation.clone()
    })
}
