//! What the process uses, as the kernel counts it.

/// What the process used when a case began.
pub(crate) struct Memory {
    before: u64,
}

impl Memory {
    /// Begins to watch.
    pub(crate) fn now() -> Self {
        // Sets the kernel's high-water mark to what is used now. Where that is not allowed, it stands where it stands.
        let reset = std::fs::write("/proc/self/clear_refs", "5");
        let before = if reset.is_ok() { "VmRSS:" } else { "VmHWM:" };
        Self {
            before: kilobytes(before),
        }
    }

    /// That the process never used more than this many bytes on top.
    pub(crate) fn grew_by_less_than(&self, bytes: u64) {
        let peak = kilobytes("VmHWM:");
        let grown = peak.saturating_sub(self.before);
        assert!(grown << 10 < bytes, "grew by {grown} KiB");
    }
}

fn kilobytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
