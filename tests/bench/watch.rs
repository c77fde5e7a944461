//! What a process holds while it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use capstan_tests::Running;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The most that was seen of each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peaks {
    /// The high-water mark of resident memory, in bytes.
    pub(crate) memory: u64,
    /// Open files, sockets and the like.
    pub(crate) handles: u64,
    /// Bytes of files.
    pub(crate) disk: u64,
}

/// A run that was watched to its end.
#[derive(Debug)]
pub(crate) struct Watched {
    /// What was seen in its first third.
    pub(crate) first: Peaks,
    /// What was seen in its last third.
    pub(crate) last: Peaks,
}

impl Watched {
    /// Watches a process, and the files below `places`, until it ends well.
    pub(crate) fn to_the_end(mut running: Running, places: &[PathBuf]) -> Self {
        let mut seen = Vec::new();
        while running.is_running() {
            seen.push(look(running.id(), places));
            thread::sleep(PAUSE);
        }
        running.wait().assert_code(0);
        let third = seen.len().div_ceil(3);
        Self {
            first: most(&seen[..third]),
            last: most(&seen[seen.len() - third..]),
        }
    }
}

fn most(seen: &[Peaks]) -> Peaks {
    seen.iter().fold(Peaks::default(), |most, one| Peaks {
        memory: most.memory.max(one.memory),
        handles: most.handles.max(one.handles),
        disk: most.disk.max(one.disk),
    })
}

/// Zeros of a process that has ended.
fn look(process: u32, places: &[PathBuf]) -> Peaks {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024);
    let handles = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
    Peaks {
        memory,
        handles: handles as u64,
        disk: places.iter().map(|place| size(place)).sum(),
    }
}

/// Bytes of the files below a directory, as far as they are still there.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
