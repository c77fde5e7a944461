//! Networks that containers join.
//!
//! Setting up a network, and taking it down, is two thirds of what a container costs. A container that only waits holds one for
//! others, which join it in no time. What they would share besides, the files by which names are resolved, each gets for itself.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use super::sandbox::{DockerSandbox, Made, Role};
use crate::fault::Fault;
use crate::sandbox::{Files, NetworkFiles, NetworkOrder, Preparation, SharedNetwork};

/// What a holder writes in front of each file.
pub(super) const MARK: char = '\u{1d}';

/// The files that a network has; others are not taken. Their names are also those of files in the control directory of who joins.
pub(super) const FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

impl DockerSandbox {
    /// Makes a network that containers of this sandbox can join. Returns as soon as they can be created.
    ///
    /// # Errors
    /// What creating a container fails with, and a workspace fault where containers would not own the files of the network.
    pub async fn share_network(&self, order: NetworkOrder) -> Result<SharedNetwork, Fault> {
        let info = &self.shared.info;
        if info.user_namespaces && !info.rootless {
            return Err(Fault::workspace(
                "users are mapped, so root in a container could not write to the files of a shared network",
            ));
        }
        let (tell, created) = oneshot::channel();
        let (tell_up, up) = watch::channel(None);
        // The container, once it is there. It is never opened.
        let holder = Arc::new(Mutex::new(None::<Made>));
        let making = {
            let (shared, holder) = (Arc::clone(&self.shared), Arc::clone(&holder));
            let role = Role::Holder(Mutex::new(Some(tell)));
            async move {
                let made = shared.make(idle(order), role).await?;
                let files = files(&String::from_utf8_lossy(&made.said));
                *holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
                tell_up.send_replace(Some(files));
                Ok::<_, Fault>(())
            }
        };
        // Whoever ends the run waits for it.
        let removals = &self.shared.removals;
        let making = making.in_current_span();
        let making = removals.tasks.spawn_on(making, &removals.runtime);
        match created.await {
            Ok(id) => Ok(SharedNetwork {
                mode: format!("container:{id}"),
                up,
                holder,
            }),
            Err(_) => match making.await {
                Ok(Err(fault)) => Err(fault),
                _ => Err(Fault::workspace("making a network was cut short")),
            },
        }
    }
}

/// What a container is made of that has nothing to do.
fn idle(order: NetworkOrder) -> Preparation {
    let NetworkOrder {
        image,
        hosts,
        platform,
    } = order;
    // It never opens, so it has no workspace either.
    let nothing = Files::Directory(PathBuf::new());
    Preparation {
        hosts,
        platform,
        ..Preparation::bare("network".to_owned(), image, nothing)
    }
}

/// The files in what a holder said.
fn files(said: &str) -> NetworkFiles {
    let parts = said.split(MARK).filter_map(|part| part.split_once('\n'));
    parts
        .filter(|(path, _)| FILES.contains(path))
        .map(|(path, content)| (path.to_owned(), content.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_the_files_of_a_network_are_taken() {
        let said = "noise\n\u{1d}/etc/hosts\n127.0.0.1 localhost\n\u{1d}/etc/passwd\nroot\n\u{1d}/etc/resolv.conf\n\u{1d}/etc/hostname\na\n";
        let expected = [
            ("/etc/hostname", "a\n"),
            ("/etc/hosts", "127.0.0.1 localhost\n"),
            ("/etc/resolv.conf", ""),
        ];
        let expected = expected.map(|(path, content)| (path.to_owned(), content.to_owned()));
        assert_eq!(files(said), BTreeMap::from(expected));
    }
}
