//! `capstan:plugin/scratch`.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use crate::bindings::host::scratch::{Host, StoreError};
use crate::state::State;

/// Most bytes that a plugin keeps in a job.
const QUOTA: usize = 1024 * 1024;

/// Bytes that an entry counts beside its key and value: what it costs to keep.
const ENTRY: usize = 64;

/// Longest key, in bytes.
const KEY: usize = 256;

/// Keys and values that a plugin keeps during a job (`wit/scratch.wit`).
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    entries: BTreeMap<String, Vec<u8>>,
    size: usize,
}

impl Scratch {
    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), StoreError> {
        if key.is_empty() || key.len() > KEY {
            return Err(StoreError::Key);
        }
        let before = self.size_of(&key);
        let size = self.size - before + ENTRY + key.len() + value.len();
        if size > QUOTA {
            return Err(StoreError::Quota);
        }
        self.size = size;
        self.entries.insert(key, value);
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        self.size -= self.size_of(key);
        self.entries.remove(key);
    }

    fn size_of(&self, key: &str) -> usize {
        let value = self.entries.get(key);
        value.map_or(0, |value| ENTRY + key.len() + value.len())
    }
}

impl State {
    fn scratch(&self) -> MutexGuard<'_, Scratch> {
        let scratch = self.caller.scratch.lock();
        scratch.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.scratch().entries.get(&key).cloned())
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), StoreError>> {
        Ok(self.scratch().set(key, value))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.scratch().delete(&key);
        Ok(())
    }

    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.scratch().entries.keys().cloned().collect())
    }
}
