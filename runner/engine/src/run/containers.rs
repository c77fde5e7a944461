//! The containers of one task: made before their step is due, opened, thrown away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capstan_core::task::Task;
use capstan_core::wasm_step::is_component;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::Settings;
use super::ahead::Ahead;
use super::networks::Lease;
use super::schedule::Common;
use super::shape::Shape;
use crate::fault::Fault;
use crate::sandbox::{BindMount, Engine, Files, Gated, Image, NetworkOrder, Preparation};

/// The containers of one task. None is lost when a future of the step loop is dropped half-way:
/// making and discarding go on in tasks of their own, and [`Containers::discard_all`] waits for them.
pub(super) struct Containers<E: Engine> {
    engine: Arc<E>,
    /// By step: those at their gates, or on the way there.
    waiting: BTreeMap<usize, Waiting<E::Container>>,
    /// That of the step which is due or runs.
    pub(super) current: Option<E::Container>,
    network: Arc<Lease>,
    pub(super) ahead: Ahead,
    /// How long it took to make the current container.
    pub(super) making: Duration,
    /// Ends what is only begun early.
    over: CancellationToken,
    discarding: TaskTracker,
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

impl Site {
    /// Of the step `index` of a task, in this workspace and with the mounts that it needs.
    pub(super) fn of(task: &Task, index: usize, workspace: Files, mounts: Vec<BindMount>) -> Self {
        let place = match task.path.as_str() {
            "" => String::new(),
            path => format!(":{path}"),
        };
        Self {
            purpose: format!("{}{place} step {}", task.repository.name, index + 1),
            workspace,
            directory: task.path.clone(),
            files: task.steps[index].files.keys().cloned().collect(),
            mounts,
        }
    }
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
                shared: None,
                hosts,
                platform,
                is_next: false,
            }),
        }
    }
}

impl Order {
    /// What the container of a pod has to be made from.
    pub(super) fn in_pod(self) -> Preparation {
        (self.preparation)(Image::in_pod(&self.image), self.env)
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
    making: JoinHandle<Result<Made<C>, NotMade>>,
}

/// A container that is there.
struct Made<C> {
    image: Image,
    container: C,
    took: Duration,
}

impl<E: Engine> Containers<E> {
    pub(super) fn new(engine: Arc<E>, common: &Common) -> Self {
        Self {
            engine,
            waiting: BTreeMap::new(),
            current: None,
            network: common.networks.lease(),
            ahead: Ahead::new(common.ahead),
            making: Duration::ZERO,
            over: CancellationToken::new(),
            discarding: TaskTracker::new(),
        }
    }

    /// How many steps after `step` have a container.
    pub(super) fn count_after(&self, step: usize) -> usize {
        let after = self.waiting.range(step + 1..);
        // A component costs nothing before it runs, so it takes nobody's place.
        after.filter(|(_, made)| !is_component(&made.image)).count()
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

    /// Begins to get these images, and the task's network as soon as the first is there, while nothing else can be made yet.
    pub(super) fn begin(&self, images: Vec<String>, settings: &Settings) {
        let (hosts, platform) = (&settings.hosts, &settings.platform);
        for (index, name) in images.into_iter().enumerate() {
            let (engine, network) = (Arc::clone(&self.engine), Arc::clone(&self.network));
            let (hosts, platform) = (hosts.clone(), platform.clone());
            let getting = async move {
                // Who needs it says why it cannot be had.
                if let Ok(image) = engine.image(&name, platform.as_deref()).await
                    && index == 0
                    && !is_component(&name)
                {
                    let order = || NetworkOrder {
                        image,
                        hosts,
                        platform,
                    };
                    network.network(&*engine, order).await;
                }
            };
            let over = self.over.clone();
            let getting = async move {
                let _ = over.run_until_cancelled(getting).await;
            };
            self.discarding.spawn(getting.in_current_span());
        }
    }

    /// Starts to make the container of `step`, instead of any that was made before; it joins the task's network if there
    /// is one.
    pub(super) fn start(&mut self, step: usize, order: Order) {
        self.discard(step);
        let Order {
            image,
            platform,
            env,
            preparation,
        } = order;
        let is_next = self.waiting.range(..step).next().is_none();
        let unwanted = CancellationToken::new();
        let making = {
            let (engine, unwanted) = (Arc::clone(&self.engine), unwanted.clone());
            let (name, env) = (image.clone(), env.clone());
            let network = Arc::clone(&self.network);
            async move {
                let image = tokio::select! {
                    biased;
                    () = unwanted.cancelled() => Err(Fault::workspace("the container is not wanted any more")),
                    image = engine.image(&name, platform.as_deref()) => image,
                };
                let image = image.map_err(NotMade::Image)?;
                let wanted = Preparation {
                    is_next,
                    ..preparation(image.clone(), env)
                };
                let (container, took) = make(&*engine, &network, wanted)
                    .await
                    .map_err(NotMade::Container)?;
                Ok(Made {
                    image,
                    container,
                    took,
                })
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
        if !waiting.making.is_finished() {
            self.ahead.was_late();
        }
        let made = (&mut waiting.making).await;
        self.waiting.remove(&step);
        let made = made.unwrap_or_else(|error| Err(abnormal(&error)))?;
        self.making = made.took;
        self.current = Some(made.container);
        Ok(made.image)
    }

    /// Begins to throw the container of `step` away, if there is one.
    pub(super) fn discard(&mut self, step: usize) {
        if let Some(Waiting {
            unwanted, making, ..
        }) = self.waiting.remove(&step)
        {
            unwanted.cancel();
            self.discarding.spawn(async move {
                if let Ok(Ok(made)) = making.await {
                    made.container.discard().await;
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
        self.over.cancel();
        self.discard_current();
        while let Some(&step) = self.waiting.keys().next() {
            self.discard(step);
        }
        self.discarding.close();
        self.discarding.wait().await;
        self.network.end();
    }
}

/// Makes a container, in the network of its task if it can, and tells how long that took.
pub(super) async fn make<E: Engine>(
    engine: &E,
    network: &Lease,
    wanted: Preparation,
) -> Result<(E::Container, Duration), Fault> {
    let order = || NetworkOrder {
        image: wanted.image.clone(),
        hosts: wanted.hosts.clone(),
        platform: wanted.platform.clone(),
    };
    // A policy may have chosen a network for this one step.
    let shared = if wanted.network.is_some() || is_component(&wanted.image.name) {
        None
    } else {
        network.network(engine, order).await
    };
    let begun = Instant::now();
    let Some(shared) = shared else {
        return Ok((engine.prepare(wanted).await?, begun.elapsed()));
    };
    let joined = Preparation {
        shared: Some(shared),
        ..wanted.clone()
    };
    if let Ok(container) = engine.prepare(joined).await {
        return Ok((container, begun.elapsed()));
    }
    let container = engine.prepare(wanted).await?;
    // It was the network's fault.
    network.give_up();
    Ok((container, begun.elapsed()))
}
