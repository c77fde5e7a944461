//! Calling into a component: a fresh instance with its limits, and a name for every way to end.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::component::Component;
use crate::failure::{Ending, Failure};
use crate::limits::{CallLimits, Usage};
use crate::messages::Messages;
use crate::state::{Caller, State};
use crate::surroundings::{Surroundings, World};

/// Ticks before the first look at the budget.
const FIRST_LOOK: u64 = 1;

/// An instance that lives: of one call, or of one stream. Once a call failed, it is of no use.
pub(crate) struct Live {
    component: Arc<Component>,
    store: Store<State>,
    instance: Option<Instance>,
    call: &'static str,
    limits: CallLimits,
    began: Instant,
}

/// Calls a function of a fresh instance: `body` gets the store and the instance, and answers with the result, or with why there is none.
/// The limits hold for all of it. `call` names it: `policy.check-step`.
pub(crate) async fn call<R>(
    component: &Arc<Component>,
    caller: Caller,
    surroundings: &Surroundings,
    limits: CallLimits,
    call: &'static str,
    body: impl AsyncFnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<Result<R, Ending>>,
) -> Result<R, Failure> {
    let mut live = Live::new(component.clone(), caller, surroundings, limits, call)?;
    let result = live.call(call, body).await;
    // Whatever it made of a write that failed.
    match live.exceeded() {
        Some(ending) => Err(live.failure(ending)),
        None => result,
    }
}

/// Runs `body` on a thread of its own, which it may block. When this future is dropped, `body` is too: at once if it waits, with the
/// clock's next tick if a guest computes.
pub(crate) async fn apart<T: Send + 'static>(
    body: impl Future<Output = T> + Send + 'static,
) -> Result<T, Ending> {
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let runtime = Handle::current();
    let thread =
        tokio::task::spawn_blocking(move || runtime.block_on(dropped.run_until_cancelled(body)));
    let result = thread.await;
    drop(guard);
    match result {
        Ok(Some(result)) => Ok(result),
        Ok(None) => Err(Ending::Host {
            reason: "it was stopped".to_owned(),
        }),
        Err(error) => Err(Ending::Host {
            reason: format!("the thread of its call ended: {error}"),
        }),
    }
}

impl Live {
    /// Prepares an instance for a hook; the first call makes it.
    pub(crate) fn new(
        component: Arc<Component>,
        caller: Caller,
        surroundings: &Surroundings,
        limits: CallLimits,
        call: &'static str,
    ) -> Result<Self, Failure> {
        let messages = Messages::new(
            caller.plugin.clone(),
            caller.hook,
            caller.log.clone(),
            limits.messages,
        );
        match surroundings.for_hook(&limits, &messages) {
            Ok(world) => Ok(Self::with(component, caller, messages, world, limits, call)),
            Err(ending) => Err(Failure::at_start(&component, &caller, call, ending)),
        }
    }

    /// The same with a world that is made already.
    pub(crate) fn with(
        component: Arc<Component>,
        caller: Caller,
        messages: Messages,
        world: World,
        limits: CallLimits,
        call: &'static str,
    ) -> Self {
        let state = State::new(caller, &limits, world, messages);
        let mut store = Store::new(component.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits.transfer);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().budget.tick()));
        Self {
            component,
            store,
            instance: None,
            call,
            limits,
            began: Instant::now(),
        }
    }

    /// Calls a function within the limits; those on memory and computing time are of the instance's whole life.
    pub(crate) async fn call<R>(
        &mut self,
        call: &'static str,
        body: impl AsyncFnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<Result<R, Ending>>,
    ) -> Result<R, Failure> {
        self.call = call;
        let _ticking = self.component.clock().run();
        self.store.set_epoch_deadline(FIRST_LOOK);
        let result = within(self.limits.wall, async {
            let instance = match self.instance {
                Some(instance) => instance,
                None => {
                    let instance = self
                        .component
                        .pre()
                        .instantiate_async(&mut self.store)
                        .await?;
                    *self.instance.insert(instance)
                }
            };
            body(&mut self.store, &instance).await
        })
        .await;
        let state = self.store.data_mut();
        let ending = match (state.take_violation(), result) {
            (Some(violation), _) => violation,
            (None, Some(Ok(Ok(answer)))) => return Ok(answer),
            (None, Some(Ok(Err(ending)))) => ending,
            (None, Some(Err(error))) => Ending::of(&error, state, &self.limits),
            (None, None) => Ending::OutOfTime {
                limit: self.limits.wall.unwrap_or_default(),
            },
        };
        Err(self.failure(ending))
    }

    /// What it used so far.
    pub(crate) fn usage(&self) -> Usage {
        let state = self.store.data();
        Usage {
            cpu: state.budget.used(),
            wall: self.began.elapsed(),
            memory: state.memory.peak,
        }
    }

    /// Whether it did, or tried, anything that could change the directories that it is shown.
    pub(crate) fn has_written(&self) -> bool {
        self.store.data().has_written()
    }

    /// What it wrote more of to files than it may, if anything.
    pub(crate) fn exceeded(&self) -> Option<Ending> {
        self.store.data().exceeded()
    }

    /// Changes what the instance may compute in its whole life.
    pub(crate) fn set_cpu(&mut self, limit: Option<Duration>) {
        self.store.data_mut().budget.set_limit(limit);
    }

    /// The error for `ending`, for what was called last.
    pub(crate) fn failure(&self, ending: Ending) -> Failure {
        let state = self.store.data();
        state.messages.finish();
        Failure {
            plugin: state.caller.plugin.to_string(),
            digest: self.component.inspection().digest.clone(),
            hook: state.caller.hook,
            call: self.call,
            ending,
            usage: self.usage(),
            last_lines: state.messages.last_lines(),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let usage = self.usage();
        let state = self.store.data();
        state.messages.finish();
        if let Some(log) = &state.caller.log {
            log.called(&state.caller.plugin, self.call, usage);
        }
    }
}

/// `None` if it takes longer.
async fn within<T>(limit: Option<Duration>, body: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, body).await.ok(),
        None => Some(body.await),
    }
}

#[cfg(test)]
mod tests;
