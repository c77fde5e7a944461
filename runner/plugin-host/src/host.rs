//! The engine that everything runs on: made once per process.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use crate::cache::Cache;
use crate::clock::Clock;
use crate::compile::Compiler;
use crate::component::Component;
use crate::exports;
use crate::inspect::{self, LoadError};
use crate::linker;
use crate::load::{self, Loaded};
use crate::state::State;

/// How a host is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of compiled code, made if it is missing; nobody else may write to it. `None`: nothing is kept.
    pub cache: Option<PathBuf>,
    /// File of the key that authenticates compiled code, made if it is missing; outside of `cache`.
    pub key: Option<PathBuf>,
    /// Most bytes of compiled code that are kept.
    pub cache_limit: u64,
    /// What compiles.
    pub compiler: Compiler,
}

/// A host that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct HostError {
    /// What was being done.
    pub what: String,
    /// Why it failed.
    pub reason: String,
}

impl HostError {
    fn new(what: &str, error: &wasmtime::Error) -> Self {
        Self {
            what: what.to_owned(),
            reason: format!("{error:#}"),
        }
    }
}

/// Runs components. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    machine: Arc<Machine>,
    linker: Linker<State>,
    compiler: Compiler,
    cache: Option<Arc<Cache>>,
    loaded: Loaded,
}

/// What all components of a host share.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
}

impl Host {
    /// Makes a host and its clock.
    ///
    /// # Errors
    ///
    /// If the cache directory cannot be made private, or the machine lacks what wasmtime needs.
    pub fn new(options: Options) -> Result<Self, HostError> {
        let engine =
            engine().map_err(|error| HostError::new("starting the WebAssembly engine", &error))?;
        let linker = linker::offer(&engine)
            .map_err(|error| HostError::new("linking the interfaces of plugins", &error))?;
        let clock = Clock::start(&engine)
            .map_err(|error| HostError::new("starting the clock of plugins", &error.into()))?;
        let cache = match (&options.cache, &options.key) {
            (None, _) => None,
            (Some(directory), Some(key)) => {
                let cache = Cache::open(directory, key, options.cache_limit, &engine);
                let what = format!(
                    "opening the cache of compiled plugins {}",
                    directory.display()
                );
                Some(Arc::new(
                    cache.map_err(|error| HostError::new(&what, &error.into()))?,
                ))
            }
            (Some(directory), None) => {
                return Err(HostError {
                    what: format!(
                        "opening the cache of compiled plugins {}",
                        directory.display()
                    ),
                    reason: "there is no file for its key".to_owned(),
                });
            }
        };
        Ok(Self(Arc::new(Inner {
            machine: Arc::new(Machine { engine, clock }),
            linker,
            compiler: options.compiler,
            cache,
            loaded: Loaded::default(),
        })))
    }

    /// Loads a component from its bytes: from the cache of compiled code if it is there, else compiled. Two loads of the same bytes at once
    /// compile once. `digest`: what the bytes must have, `sha256:...`.
    ///
    /// # Errors
    ///
    /// [`LoadError`], whose text says what the component needs and what this host offers.
    pub async fn load(
        &self,
        bytes: &[u8],
        digest: Option<&str>,
    ) -> Result<Arc<Component>, LoadError> {
        let digest = inspect::check(bytes, digest)?;
        let cell = self.0.loaded.cell(&digest);
        cell.get_or_try_init(|| self.load_anew(bytes, &digest))
            .await
            .cloned()
    }

    async fn load_anew(&self, bytes: &[u8], digest: &str) -> Result<Arc<Component>, LoadError> {
        let Inner {
            machine,
            linker,
            compiler,
            cache,
            ..
        } = &*self.0;
        let code = load::code(&machine.engine, cache.as_ref(), compiler, digest, bytes).await?;
        let inspection = inspect::inspect(&code, digest.to_owned(), bytes.len() as u64);
        let pre = linker
            .instantiate_pre(&code)
            .map_err(|error| LoadError::Link(linker::explain(&error)))?;
        exports::check(&pre, &inspection).map_err(LoadError::Link)?;
        let machine = Arc::clone(machine);
        Ok(Arc::new(Component::new(inspection, pre, machine)))
    }
}

#[cfg(test)]
impl Host {
    /// Loads a component that is neither a plugin nor a command.
    pub(crate) fn load_any(&self, bytes: &[u8]) -> Arc<Component> {
        let Inner {
            machine, linker, ..
        } = &*self.0;
        let code = wasmtime::component::Component::from_binary(&machine.engine, bytes).unwrap();
        let inspection = inspect::inspect(&code, "sha256:any".to_owned(), bytes.len() as u64);
        let pre = linker.instantiate_pre(&code).unwrap();
        Arc::new(Component::new(inspection, pre, Arc::clone(machine)))
    }
}

/// The engine, the same in the host and in its compile workers (facts/wasmtime-48.md 3).
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // The environment must not change what is compiled.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    Engine::new(&config)
}
