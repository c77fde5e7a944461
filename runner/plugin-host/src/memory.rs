//! How much memory an instance may have.

use wasmtime::ResourceLimiter;

/// Entries of one table. Interpreters bring tables of more than 10 000 entries (facts/wasmtime-48.md 8).
pub(crate) const TABLE: usize = 100_000;

/// Limits the sum over all linear memories of a store and the size of each table, and remembers whether it had to.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: u64,
    used: u64,
    /// The most there was.
    pub(crate) peak: u64,
    /// What there would have been, the last time that the limit was in the way.
    pub(crate) denied: Option<u64>,
    /// Whether a table would have become too large.
    pub(crate) table_denied: bool,
}

impl Memory {
    /// With `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            peak: 0,
            denied: None,
            table_denied: false,
        }
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Beyond its own maximum a memory does not grow, whatever is said here; that is no lack of memory.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.used.saturating_add((desired - current) as u64);
        if wanted > self.limit {
            self.denied = Some(wanted);
            return Ok(false);
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // As with memories.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_denied |= desired > TABLE;
        Ok(desired <= TABLE)
    }

    // What the four languages need, with room (facts/wasmtime-48.md 8, pooling).
    fn instances(&self) -> usize {
        1_024
    }

    fn tables(&self) -> usize {
        512
    }

    fn memories(&self) -> usize {
        128
    }
}
