//! Whether the engine sees what this process mounts.

use std::os::unix::net::UnixStream;

use super::connect::Docker;

impl Docker {
    /// Why containers do not see what this process mounts; `None` if they do. `kernel` is the release that the engine says it runs on.
    pub(super) fn hides_mounts(&self, kernel: &str) -> Option<&'static str> {
        const ELSEWHERE: &str = "the container engine is not on this machine";
        const APART: &str = "the container engine does not see what this process mounts: one of the two is in a container, or has mounts of its own";
        let Some(socket) = self.address().strip_prefix("unix://") else {
            return Some(ELSEWHERE);
        };
        // An engine in a virtual machine has a socket here, too.
        let ours = rustix::system::uname();
        if ours.release().to_string_lossy() != kernel {
            return Some(ELSEWHERE);
        }
        if self.seen_at.is_some() {
            return Some(APART);
        }
        shares_mounts(socket).is_none().then_some(APART)
    }
}

/// Something if the one who listens at a socket has the same mounts as this process.
#[cfg(target_os = "linux")]
fn shares_mounts(socket: &str) -> Option<()> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    let theirs = format!("/proc/{}/ns/mnt", peer.pid.as_raw_nonzero());
    let theirs = fs_err::read_link(theirs).ok()?;
    let ours = fs_err::read_link("/proc/self/ns/mnt").ok()?;
    (ours == theirs).then_some(())
}

#[cfg(not(target_os = "linux"))]
fn shares_mounts(_: &str) -> Option<()> {
    None
}
