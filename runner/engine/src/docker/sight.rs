//! Whether the engine sees what this process mounts, or could mount it itself.

use tokio::net::UnixStream;

use super::connect::Docker;

const ELSEWHERE: &str = "the container engine is not on this machine";

/// The first kernel whose overlays can keep their marks where everybody can read them.
const USERXATTR: (u32, u32) = (5, 11);

impl Docker {
    /// Why containers do not see what this process mounts; `None` if they do. `kernel` is the release that the engine says it runs on.
    pub(super) async fn hides_mounts(&self, kernel: &str) -> Option<&'static str> {
        const APART: &str = "the container engine does not see what this process mounts: one of the two is in a container, or has mounts of its own";
        match self.socket_here(kernel) {
            None => Some(ELSEWHERE),
            Some(_) if self.seen_at.is_some() => Some(APART),
            Some(socket) => shares_mounts(socket).await.is_none().then_some(APART),
        }
    }

    /// Why the engine cannot mount an overlay that everybody can read; `None` if it can.
    pub(super) fn lacks_overlays(&self, kernel: &str) -> Option<&'static str> {
        if self.socket_here(kernel).is_none() {
            return Some(ELSEWHERE);
        }
        let mut numbers = kernel.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let version = (numbers.next()?.unwrap_or(0), numbers.next()?.unwrap_or(0));
        (version < USERXATTR).then_some("this kernel is older than 5.11")
    }

    /// The socket of an engine that runs on this kernel.
    fn socket_here(&self, kernel: &str) -> Option<&str> {
        let socket = self.address().strip_prefix("unix://")?;
        // An engine in a virtual machine has a socket here, too.
        let ours = rustix::system::uname();
        (ours.release().to_string_lossy() == kernel).then_some(socket)
    }
}

/// Something if the one who listens at a socket has the same mounts as this process. Who does is not known where it is in another namespace of processes.
async fn shares_mounts(socket: &str) -> Option<()> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let peer = stream.peer_cred().ok()?.pid()?;
    let theirs = fs_err::read_link(format!("/proc/{peer}/ns/mnt")).ok()?;
    let ours = fs_err::read_link("/proc/self/ns/mnt").ok()?;
    (ours == theirs).then_some(())
}
