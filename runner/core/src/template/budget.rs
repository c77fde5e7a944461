//! Bounds on what one rendering may cost.
//!
//! Templates come from specs that anyone may have written, and their values from steps. Loops,
//! recursion and functions that multiply text must end in an error, not in a full memory.

/// Longest result, and longest intermediate string, in bytes.
pub(super) const MAX_TEXT: usize = 64 << 20;
/// Bytes of all intermediate values together.
const MAX_TOTAL: usize = 256 << 20;
/// Units of work; about one per node, argument, loop turn, and 64 bytes touched.
const MAX_WORK: u64 = 5_000_000;

/// What a rendering may still spend.
#[derive(Debug)]
pub(super) struct Budget {
    work: u64,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            work: MAX_WORK,
            bytes: MAX_TOTAL,
        }
    }
}

impl Budget {
    /// Pays for `units` of work.
    pub(super) fn work(&mut self, units: u64) -> Result<(), String> {
        match self.work.checked_sub(units) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err("the template takes too many operations to render".to_owned()),
        }
    }

    /// Pays for looking at `bytes` of text.
    pub(super) fn scan(&mut self, bytes: usize) -> Result<(), String> {
        self.work(bytes as u64 / 64)
    }

    /// Pays for making a value of `bytes`.
    pub(super) fn make(&mut self, bytes: usize) -> Result<(), String> {
        if bytes > MAX_TEXT {
            return Err(format!("the result is longer than {} MiB", MAX_TEXT >> 20));
        }
        self.scan(bytes)?;
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(format!(
                "the template makes more than {} MiB of values",
                MAX_TOTAL >> 20
            )),
        }
    }
}
