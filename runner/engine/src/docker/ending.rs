//! Learns within a millisecond that a container on this machine has ended.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A watch on a container's first process. When that process of a PID namespace has ended, the kernel has killed
/// all the others first, so nothing of the container runs any more.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Watches process `pid`, which the engine says is the first of `container`. `None` when it is not a process that
    /// we see: the engine is on another machine, in a virtual machine, or in another PID namespace.
    pub(super) fn on(pid: i64, container: &str) -> Option<Self> {
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1)?;
        let descriptor = open(pid).ok()?;
        // Looking only after opening makes sure that the descriptor is of the process we look at.
        let cgroup = fs_err::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        if container.is_empty() || !cgroup.contains(container) {
            return None;
        }
        #[expect(
            deprecated,
            reason = "its successor is unsafe, which this workspace forbids; an owned descriptor is sound here"
        )]
        let registered = AsyncFd::with_interest(descriptor, Interest::READABLE);
        registered.ok().map(Self)
    }

    /// Waits for the end. May be called again.
    pub(super) async fn ended(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }
}

#[cfg(target_os = "linux")]
fn open(pid: i32) -> io::Result<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn open(_: i32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_processes_of_the_container_are_watched() {
        let own = i64::from(std::process::id());
        assert!(Watch::on(own, "no-such-container").is_none());
        assert!(Watch::on(own, "").is_none());
        assert!(Watch::on(0, "x").is_none());
        assert!(Watch::on(i64::MAX, "x").is_none());
    }
}
