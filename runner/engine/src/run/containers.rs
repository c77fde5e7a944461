//! The containers of one task: made before their step is due, opened, thrown away.
//!
//! Setting up a network is the slowest part of starting a container. So the container of one late step, which waits
//! at its gate the longest, holds a network for the task, and those of the steps before it only join.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use capstan_core::wasm_step::is_component;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::Settings;
use super::shape::Shape;
use crate::fault::Fault;
use crate::sandbox::{BindMount, Engine, Files, Gated, Image, Preparation};

/// Longest wait for the image of the container that holds the network: enough to see that it is there, not to pull it.
const IMAGE: Duration = Duration::from_millis(250);

/// The containers of one task. None is lost when a future of the step loop is dropped half-way:
/// making and discarding go on in tasks of their own, and [`Containers::discard_all`] waits for them.
pub(super) struct Containers<E: Engine> {
    engine: Arc<E>,
    /// By step: those at their gates, or on the way there.
    waiting: BTreeMap<usize, Waiting<E::Container>>,
    /// That of the step which is due or runs.
    pub(super) current: Option<E::Container>,
    holder: Option<Holder>,
    discarding: TaskTracker,
}

/// The step whose container holds the task's network.
struct Holder {
    step: usize,
    network: watch::Receiver<Network>,
}

/// How far the task's network is. The channel closes early if there will be none.
enum Network {
    /// The image of its container may still have to be pulled: too long to wait for.
    ImagePending,
    /// Its container is being made.
    Making,
    /// Made, and how to join it; `None` if it cannot be joined.
    Made(Option<String>),
}

/// What a container is made from.
pub(super) struct Order {
    /// Name of the image.
    pub(super) image: String,
    /// Platform the user insists on.
    pub(super) platform: Option<String>,
    /// The environment that is already final.
    pub(super) env: BTreeMap<String, String>,
    /// Turns the image, once it is there, and the environment into all that the container needs.
    pub(super) preparation: Box<dyn FnOnce(Image, BTreeMap<String, String>) -> Preparation + Send>,
}

/// Where a step runs, and what of it is there from the start.
pub(super) struct Site {
    /// See [`Preparation::purpose`].
    pub(super) purpose: String,
    /// See [`Preparation::workspace`].
    pub(super) workspace: Files,
    /// See [`Preparation::directory`].
    pub(super) directory: String,
    /// See [`Preparation::files`].
    pub(super) files: Vec<String>,
    /// Mounts that do not depend on the step.
    pub(super) mounts: Vec<BindMount>,
}

impl Order {
    /// The container of a step of this `shape`.
    pub(super) fn of(
        settings: &Settings,
        shape: &Shape,
        env: BTreeMap<String, String>,
        site: Site,
    ) -> Self {
        let mut mounts = shape.mounts.clone();
        mounts.extend(site.mounts);
        let (user, limits) = (settings.user, shape.limits.clone());
        let (network, platform) = (shape.network.clone(), settings.platform.clone());
        let (place, hosts) = (settings.place.clone(), settings.hosts.clone());
        Self {
            image: shape.image.clone(),
            platform: platform.clone(),
            env,
            preparation: Box::new(move |image, env| Preparation {
                purpose: site.purpose,
                image,
                user,
                workspace: site.workspace,
                place,
                directory: site.directory,
                env,
                files: site.files,
                mounts,
                limits,
                network,
                hosts,
                platform,
            }),
        }
    }
}

/// Why there is no container.
pub(super) enum NotMade {
    /// The image could not be had.
    Image(Fault),
    /// The container could not be made, or not be started.
    Container(Fault),
}

struct Waiting<C> {
    image: String,
    env: BTreeMap<String, String>,
    /// Ends the wait for the image, which may take minutes.
    unwanted: CancellationToken,
    making: JoinHandle<Result<(Image, C), NotMade>>,
}

impl<E: Engine> Containers<E> {
    pub(super) fn new(engine: Arc<E>) -> Self {
        Self {
            engine,
            waiting: BTreeMap::new(),
            current: None,
            holder: None,
            discarding: TaskTracker::new(),
        }
    }

    /// How many steps after `step` have a container, apart from the one that holds the network.
    pub(super) fn count_after(&self, step: usize) -> usize {
        let holder = self.holder.as_ref().map(|holder| holder.step);
        let after = self.waiting.range(step + 1..);
        // A component costs nothing before it runs, so it takes nobody's place.
        let counts =
            after.filter(|(other, made)| Some(**other) != holder && !is_component(&made.image));
        counts.count()
    }

    /// Whether a container holds the task's network.
    pub(super) fn has_holder(&self) -> bool {
        self.holder.is_some()
    }

    pub(super) fn has(&self, step: usize) -> bool {
        self.waiting.contains_key(&step)
    }

    /// Whether the container of `step` was made for this image, and its environment is part of `env`.
    pub(super) fn fits(&self, step: usize, image: &str, env: &BTreeMap<String, String>) -> bool {
        let fits = |made: &Waiting<_>| {
            let known = |(name, value)| env.get(name) == Some(value);
            made.image == image && made.env.iter().all(known)
        };
        self.waiting.get(&step).is_some_and(fits)
    }

    /// Leaves in `env` what the container of `step` does not have yet.
    pub(super) fn keep_late(&self, step: usize, env: &mut BTreeMap<String, String>) {
        if let Some(made) = self.waiting.get(&step) {
            env.retain(|name, _| !made.env.contains_key(name));
        }
    }

    /// Starts to make the container of `step`, instead of any that was made before; it joins the task's network if there
    /// is one.
    pub(super) fn start(&mut self, step: usize, order: Order) {
        self.discard(step);
        let holder = self.holder.as_ref();
        let holder = holder.filter(|holder| holder.step > step && !is_component(&order.image));
        let network = holder.map(|holder| holder.network.clone());
        self.make(step, order, move |engine, wanted| async move {
            if let Some(joined) = joined(&wanted, network).await
                && let Ok(container) = engine.prepare(joined).await
            {
                return Ok(container);
            }
            engine.prepare(wanted).await
        });
    }

    /// Starts to make the container of `step`, which then holds the task's network.
    pub(super) fn start_holder(&mut self, step: usize, order: Order) {
        self.discard(step);
        let (tell, network) = watch::channel(Network::ImagePending);
        self.holder = Some(Holder { step, network });
        self.make(step, order, move |engine, wanted| async move {
            tell.send_replace(Network::Making);
            let container = engine.prepare(wanted).await?;
            tell.send_replace(Network::Made(container.network()));
            Ok(container)
        });
    }

    fn make<F>(
        &mut self,
        step: usize,
        order: Order,
        prepare: impl FnOnce(Arc<E>, Preparation) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<E::Container, Fault>> + Send,
    {
        let Order {
            image,
            platform,
            env,
            preparation,
        } = order;
        let unwanted = CancellationToken::new();
        let making = {
            let (engine, unwanted) = (Arc::clone(&self.engine), unwanted.clone());
            let (name, env) = (image.clone(), env.clone());
            async move {
                let image = tokio::select! {
                    biased;
                    () = unwanted.cancelled() => Err(Fault::workspace("the container is not wanted any more")),
                    image = engine.image(&name, platform.as_deref()) => image,
                };
                let image = image.map_err(NotMade::Image)?;
                let container = prepare(engine, preparation(image.clone(), env)).await;
                Ok((image, container.map_err(NotMade::Container)?))
            }
        };
        let waiting = Waiting {
            image,
            env,
            unwanted,
            making: tokio::spawn(making.in_current_span()),
        };
        self.waiting.insert(step, waiting);
    }

    /// Waits until the container of `step` is at its gate and makes it the current one; tells its image.
    ///
    /// Dropping the future leaves the container in place.
    pub(super) async fn take(&mut self, step: usize) -> Result<Image, NotMade> {
        let abnormal = |reason: &dyn std::fmt::Display| {
            let text = format!("preparing the container of step {}: {reason}", step + 1);
            NotMade::Container(Fault::workspace(text))
        };
        let Some(waiting) = self.waiting.get_mut(&step) else {
            return Err(abnormal(&"it was never started"));
        };
        let made = (&mut waiting.making).await;
        self.waiting.remove(&step);
        self.release_network(step);
        let (image, container) = made.unwrap_or_else(|error| Err(abnormal(&error)))?;
        self.current = Some(container);
        Ok(image)
    }

    /// The container of `step` will end, and with it the network if it holds it.
    fn release_network(&mut self, step: usize) {
        self.holder.take_if(|holder| holder.step == step);
    }

    /// Begins to throw the container of `step` away, if there is one.
    pub(super) fn discard(&mut self, step: usize) {
        if let Some(Waiting {
            unwanted, making, ..
        }) = self.waiting.remove(&step)
        {
            self.release_network(step);
            unwanted.cancel();
            self.discarding.spawn(async move {
                if let Ok(Ok((_, container))) = making.await {
                    container.discard().await;
                }
            });
        }
    }

    /// Begins to throw the current container away.
    pub(super) fn discard_current(&mut self) {
        if let Some(container) = self.current.take() {
            self.discarding.spawn(container.discard());
        }
    }

    /// Throws all containers away and waits until they are gone.
    pub(super) async fn discard_all(&mut self) {
        self.discard_current();
        while let Some(&step) = self.waiting.keys().next() {
            self.discard(step);
        }
        self.discarding.close();
        self.discarding.wait().await;
    }
}

/// `preparation` in the holder's network, as soon as that is made; `None` if there is none to join.
async fn joined(
    preparation: &Preparation,
    network: Option<watch::Receiver<Network>>,
) -> Option<Preparation> {
    let mut network = network?;
    let has_image = network.wait_for(|network| !matches!(network, Network::ImagePending));
    tokio::time::timeout(IMAGE, has_image)
        .await
        .ok()?
        .map(drop)
        .ok()?;
    let is_made = |network: &Network| matches!(network, Network::Made(_));
    match &*network.wait_for(is_made).await.ok()? {
        Network::Made(Some(mode)) => Some(Preparation {
            network: Some(mode.clone()),
            ..preparation.clone()
        }),
        _ => None,
    }
}
