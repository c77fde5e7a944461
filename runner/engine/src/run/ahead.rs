//! Containers made before their step is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::fault::Fault;
use crate::sandbox::{Engine, Gated, Preparation};

/// The containers of one task that wait at their gates, or are on the way there, by step.
pub(super) struct Ahead<E: Engine> {
    engine: Arc<E>,
    waiting: BTreeMap<usize, Waiting<E::Container>>,
}

struct Waiting<C> {
    preparation: Preparation,
    container: JoinHandle<Result<C, Fault>>,
}

impl<E: Engine> Ahead<E> {
    pub(super) fn new(engine: Arc<E>) -> Self {
        Self {
            engine,
            waiting: BTreeMap::new(),
        }
    }

    /// How many steps after `step` have a container.
    pub(super) fn count_after(&self, step: usize) -> usize {
        self.waiting.range(step + 1..).count()
    }

    pub(super) fn has(&self, step: usize) -> bool {
        self.waiting.contains_key(&step)
    }

    /// What the container of `step` is made from.
    pub(super) fn preparation(&self, step: usize) -> Option<&Preparation> {
        self.waiting.get(&step).map(|waiting| &waiting.preparation)
    }

    /// Starts to make the container of `step`.
    pub(super) fn start(&mut self, step: usize, preparation: Preparation) {
        let engine = Arc::clone(&self.engine);
        let wanted = preparation.clone();
        let container = tokio::spawn(async move { engine.prepare(wanted).await });
        self.waiting.insert(
            step,
            Waiting {
                preparation,
                container,
            },
        );
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
