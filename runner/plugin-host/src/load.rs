//! From the bytes of a component to code that runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::Component as Code;

use crate::cache::Cache;
use crate::compile::Compiler;
use crate::component::Component;
use crate::inspect::LoadError;

/// Components that are kept in memory.
const LOADED: usize = 64;

/// The components of a process by digest, the one that was used last at the end. A cell that is empty is being filled.
#[derive(Default)]
pub(crate) struct Loaded(Mutex<Vec<(String, Cell)>>);

/// A component that is loaded once, however many ask for it.
pub(crate) type Cell = Arc<OnceCell<Arc<Component>>>;

impl Loaded {
    /// The place of the component with this digest.
    pub(crate) fn cell(&self, digest: &str) -> Cell {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match cells.iter().position(|(other, _)| other == digest) {
            Some(position) => cells.remove(position).1,
            None => Cell::default(),
        };
        if cells.len() == LOADED {
            cells.remove(0);
        }
        cells.push((digest.to_owned(), Arc::clone(&cell)));
        cell
    }
}

/// Code from the cache, or compiled.
pub(crate) async fn code(
    engine: &Engine,
    cache: Option<&Arc<Cache>>,
    compiler: &Compiler,
    digest: &str,
    bytes: &[u8],
) -> Result<Code, LoadError> {
    let Some(cache) = cache else {
        let compiled = compiler.compile(engine, bytes).await?;
        return native(engine, Native::Memory(&compiled)).map_err(|error| unusable(&error));
    };
    let found = {
        let (engine, cache, digest) = (engine.clone(), Arc::clone(cache), digest.to_owned());
        blocking(move || find(&engine, &cache, &digest)).await?
    };
    if let Some(code) = found {
        return Ok(code);
    }
    let compiled = compiler.compile(engine, bytes).await?;
    let (engine, cache, digest) = (engine.clone(), Arc::clone(cache), digest.to_owned());
    blocking(move || match cache.keep(&digest, &compiled) {
        Ok(path) => native(&engine, Native::File(&path)).map_err(|error| unusable(&error)),
        Err(error) => {
            // It runs all the same, only that it will be compiled again.
            tracing::warn!("keeping the compiled code of {digest}: {error}");
            native(&engine, Native::Memory(&compiled)).map_err(|error| unusable(&error))
        }
    })
    .await?
}

fn find(engine: &Engine, cache: &Cache, digest: &str) -> Option<Code> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        tracing::warn!("{what} the compiled code of {digest}: {error}; compiling again");
    };
    let path: PathBuf = match cache.find(digest) {
        Ok(path) => path?,
        Err(error) => {
            failed("reading", &error);
            return None;
        }
    };
    match native(engine, Native::File(&path)) {
        Ok(code) => Some(code),
        Err(error) => {
            failed("loading", &format!("{error:#}"));
            if let Err(error) = cache.forget(digest) {
                failed("deleting", &error);
            }
            None
        }
    }
}

async fn blocking<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(body)
        .await
        .map_err(|error| LoadError::Io {
            what: "loading compiled code".to_owned(),
            source: io::Error::other(error),
        })
}

fn unusable(error: &wasmtime::Error) -> LoadError {
    LoadError::Compile(format!(
        "the compiler and this host do not fit each other ({error:#}): start the same version of capstan for both"
    ))
}

/// Native code of this machine.
#[derive(Clone, Copy)]
enum Native<'a> {
    /// In a file.
    File(&'a Path),
    /// In memory.
    Memory(&'a [u8]),
}

/// Believes that `native` is code that our compiler made.
fn native(engine: &Engine, native: Native<'_>) -> wasmtime::Result<Code> {
    #[expect(
        unsafe_code,
        reason = "Native code is run as it is, so only our own may come here. A file is in a directory that only this user may write to, \
                  was authenticated with a key that lies elsewhere, and is never written to again. Memory was just filled by our compiler, \
                  from which untrusted components can only get code that stays in its sandbox."
    )]
    unsafe {
        match native {
            Native::File(path) => Code::deserialize_file(engine, path),
            Native::Memory(bytes) => Code::deserialize(engine, bytes),
        }
    }
}

#[cfg(test)]
mod tests;
