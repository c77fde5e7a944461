//! What the process uses, as the kernel counts it.

/// What the process used when a case began.
pub(crate) struct Memory {
    before: u64,
}

impl Memory {
    /// Begins to watch: the kernel's high-water mark is set to what is used now.
    pub(crate) fn now() -> Self {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self {
            before: kilobytes("VmRSS:"),
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
