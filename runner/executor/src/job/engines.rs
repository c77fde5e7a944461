//! What the steps of a job run in: containers of one engine that all jobs share, and components.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use capstan_engine::docker::{
    Credentials, Docker, DockerEngine, DockerSandbox, EngineInfo, Environment, Images, Owner,
    Progress,
};
use capstan_engine::fault::{Fault, FaultClass};
use capstan_engine::mixed::{Connect, MixedEngine};
use capstan_engine::pod::{PodEngine, Volume};
use capstan_engine::sandbox::Engine;
use capstan_engine::state::State;
use capstan_engine::wasm::{OpenHost, WasmEngine};
use capstan_plugin_store::Resolver;
use capstan_protocol::DockerAuthConfig;
use tokio::sync::OnceCell;

/// Waits between the attempts to reach an engine that is away, for example because it is restarted.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// Makes engines, one for each job.
pub trait Engines: Send + Sync + 'static {
    /// What they are.
    type Engine: Engine;

    /// An engine for the steps of one job.
    ///
    /// # Errors
    /// A fault that says why there is none.
    fn of_job(&self, needs: Needs<'_>) -> Result<Self::Engine, Fault>;
}

/// What a job has of its own.
pub struct Needs<'a> {
    /// Where components that are named by a relative path are looked for; may not exist.
    pub directory: PathBuf,
    /// A private directory, empty, that is removed with the job.
    pub scratch: PathBuf,
    /// Credentials for registries; if there are none, those of the machine count.
    pub auths: &'a DockerAuthConfig,
    /// Is told of the images that are pulled.
    pub progress: Progress,
}

/// The containers of an engine that is connected to when a job needs it, and components.
pub struct DockerAndComponents {
    containers: Arc<Containers>,
    components: Components,
}

/// The components that steps are made of.
pub struct Components {
    host: Arc<dyn Fn() -> Result<capstan_plugin_host::Host, Fault> + Send + Sync>,
    resolver: Resolver,
}

impl Components {
    /// `host` makes the host of components when it is first needed, and hands out the same from then on; `resolver` finds them.
    pub fn new(
        host: Arc<dyn Fn() -> Result<capstan_plugin_host::Host, Fault> + Send + Sync>,
        resolver: Resolver,
    ) -> Self {
        Self { host, resolver }
    }

    /// Those of one job.
    fn of_job(&self, directory: PathBuf, scratch: PathBuf) -> WasmEngine {
        let host = Arc::clone(&self.host);
        let open_host: OpenHost = Box::new(move || host());
        WasmEngine::new(open_host, self.resolver.clone(), directory, scratch)
    }
}

/// How to find the engine of containers, and how to sweep it.
pub struct Containers {
    /// Where it may be.
    pub environment: Environment,
    /// To whom containers belong.
    pub owner: Owner,
    /// A private directory of this process, below which lies what containers are made of.
    pub scratch: PathBuf,
    /// What tells which processes are gone.
    pub state: State,
    connected: OnceCell<(Docker, EngineInfo, DockerSandbox)>,
}

impl Containers {
    /// Nothing is connected to yet.
    pub fn new(
        environment: Environment,
        owner: Owner,
        scratch: PathBuf,
        state: State,
    ) -> Arc<Self> {
        Arc::new(Self {
            environment,
            owner,
            scratch,
            state,
            connected: OnceCell::new(),
        })
    }

    /// The engine; connects to it if nobody has, and sweeps away what killed processes have left. It is waited for if it is away.
    ///
    /// # Errors
    /// A fault of the environment after having tried for half a minute.
    pub async fn get(&self) -> Result<&(Docker, EngineInfo, DockerSandbox), Fault> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    /// The engine, if somebody has connected to it.
    pub fn connected(&self) -> Option<&DockerSandbox> {
        self.connected.get().map(|(_, _, sandbox)| sandbox)
    }

    async fn connect(&self) -> Result<(Docker, EngineInfo, DockerSandbox), Fault> {
        let mut pauses = PAUSES.into_iter();
        let (docker, info) = loop {
            let found = async {
                let docker = Docker::connect(&self.environment).await?;
                let info = docker.info().await?;
                Ok::<_, Fault>((docker, info))
            };
            match (found.await, pauses.next()) {
                (Ok(found), _) => break found,
                (Err(fault), Some(pause)) if fault.class == FaultClass::Environment => {
                    tracing::warn!(%fault, "the container engine is away, trying again");
                    tokio::time::sleep(pause).await;
                }
                (Err(fault), _) => return Err(fault),
            }
        };
        let (owner, scratch) = (self.owner.clone(), self.scratch.clone());
        let sandbox = DockerSandbox::new(docker.clone(), info.clone(), owner, scratch);
        if let Err(fault) = sandbox.sweep(|run| self.state.is_dead(run)).await {
            tracing::warn!(%fault, "containers of earlier processes could not be removed");
        }
        Ok((docker, info, sandbox))
    }
}

impl DockerAndComponents {
    /// Nothing is connected to yet.
    pub fn new(containers: Arc<Containers>, components: Components) -> Self {
        Self {
            containers,
            components,
        }
    }
}

impl Engines for DockerAndComponents {
    type Engine = MixedEngine<JobContainers>;

    fn of_job(&self, needs: Needs<'_>) -> Result<Self::Engine, Fault> {
        let auths =
            needs.auths.auths.iter().map(|(registry, auth)| {
                (registry.clone(), auth.user.clone(), auth.password.clone())
            });
        let credentials = match needs.auths.auths.is_empty() {
            true => self.containers.environment.credentials(),
            false => Credentials::given(auths),
        };
        let components = self.components.of_job(needs.directory, needs.scratch);
        let containers = JobContainers {
            containers: Arc::clone(&self.containers),
            credentials,
            progress: needs.progress,
        };
        Ok(MixedEngine::new(containers, components))
    }
}

/// The engine of containers as one job sees it: with its own credentials.
pub struct JobContainers {
    containers: Arc<Containers>,
    credentials: Credentials,
    progress: Progress,
}

impl Connect for JobContainers {
    type Engine = DockerEngine;

    async fn connect(&self) -> Result<DockerEngine, Fault> {
        let (docker, info, sandbox) = self.containers.get().await?;
        let (credentials, progress) = (self.credentials.clone(), Arc::clone(&self.progress));
        Ok(DockerEngine {
            sandbox: sandbox.clone(),
            images: Images::new(docker.clone(), info, credentials, progress),
        })
    }
}

/// The containers of the pod that this process is in, and components.
pub struct PodAndComponents {
    volume: Volume,
    components: Components,
}

impl PodAndComponents {
    /// The gates of `volume` have been laid out.
    pub fn new(volume: Volume, components: Components) -> Self {
        Self { volume, components }
    }
}

impl Engines for PodAndComponents {
    type Engine = MixedEngine<PodContainers>;

    fn of_job(&self, needs: Needs<'_>) -> Result<Self::Engine, Fault> {
        let components = self.components.of_job(needs.directory, needs.scratch);
        let containers = PodContainers(self.volume.clone());
        Ok(MixedEngine::new(containers, components))
    }
}

/// The containers of a pod, which are there already.
pub struct PodContainers(Volume);

impl Connect for PodContainers {
    type Engine = PodEngine;

    async fn connect(&self) -> Result<PodEngine, Fault> {
        Ok(PodEngine::new(self.0.clone()))
    }
}
