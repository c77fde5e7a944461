//! What steps run in: containers, of an engine that is looked for when one is needed, and components.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use capstan_engine::docker::{
    self, Docker, DockerEngine, DockerSandbox, Images, Owner, PullProgress,
};
use capstan_engine::fault::Fault;
use capstan_engine::mixed::{Connect, MixedEngine};
use capstan_engine::state::{Run, State};
use capstan_engine::wasm::WasmEngine;
use capstan_plugin_host::Host;
use capstan_plugin_store::{Fetcher, Lock, Resolver, Store};

use crate::config::{Config, Environment, LOCK};
use crate::failure::Failed;
use crate::plugin_host;
use crate::report::Reporter;

/// Both engines.
pub(crate) type Engines = MixedEngine<Containers>;

/// Finds the engine of containers.
pub(crate) struct Containers {
    environment: docker::Environment,
    owner: Owner,
    scratch: PathBuf,
    state: State,
    reporter: Arc<dyn Reporter>,
}

impl Connect for Containers {
    type Engine = DockerEngine;

    async fn connect(&self) -> Result<DockerEngine, Fault> {
        let docker = Docker::connect(&self.environment).await?;
        let info = docker.info().await?;
        let credentials = self.environment.credentials();
        let tell = Arc::clone(&self.reporter);
        let progress = Arc::new(move |progress: PullProgress| tell.pull(&progress));
        let images = Images::new(docker.clone(), &info, credentials, progress);
        let (owner, scratch) = (self.owner.clone(), self.scratch.clone());
        let sandbox = DockerSandbox::new(docker, info, owner, scratch);
        if let Err(fault) = sandbox.sweep(|run| self.state.is_dead(run)).await {
            tracing::warn!(%fault, "containers of earlier runs could not be removed");
        }
        Ok(DockerEngine { sandbox, images })
    }
}

/// Makes the host of components when it is first needed; all get the same.
pub(crate) type HostOpener = Arc<dyn Fn() -> Result<Host, Fault> + Send + Sync>;

/// The engines of a run whose batch spec is in `directory`. Nothing is connected to and no host is made yet.
pub(crate) fn new(
    config: &Config,
    environment: &Environment,
    state: State,
    run: &Run,
    directory: &Path,
    host: HostOpener,
    reporter: Arc<dyn Reporter>,
) -> Result<Engines, Failed> {
    let scratch = run.directory().join("containers");
    fs_err::create_dir(&scratch).map_err(Failed::environment)?;
    let environment = environment_of(config, environment);
    let resolver = resolver(config, &environment, &directory.join(LOCK))?;
    let components = WasmEngine::new(
        Box::new(move || host()),
        resolver,
        directory.to_path_buf(),
        scratch.clone(),
    );
    let containers = Containers {
        environment,
        owner: Owner {
            run: run.id().to_owned(),
            state: fingerprint(&config.state_dir),
        },
        scratch,
        state,
        reporter,
    };
    Ok(MixedEngine::new(containers, components))
}

/// What decides about the engine of containers, from the configuration and the environment.
pub(crate) fn environment_of(config: &Config, environment: &Environment) -> docker::Environment {
    docker::Environment::read(|name| match name {
        "DOCKER_HOST" => config.docker_host.clone(),
        _ => environment.get(name).map(str::to_owned),
    })
}

/// Finds components: files, and what a lock names.
pub(crate) fn resolver(
    config: &Config,
    environment: &docker::Environment,
    lock_path: &Path,
) -> Result<Resolver, Failed> {
    // As `plugin pull` does where it is not told which.
    let usual = std::path::absolute(config.lock_path());
    let pull = match std::path::absolute(lock_path).ok() == usual.ok() {
        true => "capstan plugin pull".to_owned(),
        false => format!("capstan plugin pull --lock {}", lock_path.display()),
    };
    let tell = |source: &_, progress: _| tracing::debug!(%source, ?progress, "fetching");
    Ok(Resolver {
        store: Store::new(&config.cache_dir.join("components")),
        lock: Lock::read(lock_path).map_err(Failed::usage)?,
        lock_path: lock_path.to_path_buf(),
        pull,
        fetcher: Fetcher::new(environment.credentials(), tell),
    })
}

/// Makes the host once, when it is first needed.
pub(crate) fn open_host(config: &Config) -> HostOpener {
    let config = config.clone();
    let made: Mutex<Option<Host>> = Mutex::new(None);
    Arc::new(move || {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = &*made {
            return Ok(host.clone());
        }
        let host = plugin_host::open(&config).map_err(|failed| {
            let fault = Fault::environment(failed.message);
            match failed.hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        })?;
        Ok(made.insert(host).clone())
    })
}

/// Names a state directory in the labels of containers.
pub(crate) fn fingerprint(directory: &Path) -> String {
    let path = fs_err::canonicalize(directory).unwrap_or_else(|_| directory.to_path_buf());
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
