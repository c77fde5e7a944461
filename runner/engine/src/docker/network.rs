//! Networks that containers join.
//!
//! Setting up a network, and taking it down, is two thirds of what a container costs. A container that only waits holds one for
//! others, which join it in no time. What they would share besides, the files by which names are resolved, each gets for itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::sandbox::{DockerSandbox, Made, Role};
use crate::fault::Fault;
use crate::sandbox::{Files, Image, Limits, NetworkOrder, Preparation, SharedNetwork, User, WORK};

/// What a holder writes in front of each file.
pub(super) const MARK: char = '\u{1d}';

/// The files that a network has; others are not taken.
const FILES: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// The container that holds a network, up to its removal. It is never opened.
struct Holder {
    _made: Mutex<Made>,
}

impl DockerSandbox {
    /// Makes a network that containers of this sandbox can join.
    ///
    /// # Errors
    /// What making a container fails with, and a workspace fault where containers would not own the files of the network.
    pub async fn share_network(&self, order: NetworkOrder) -> Result<SharedNetwork, Fault> {
        let info = &self.shared.info;
        if info.user_namespaces && !info.rootless {
            return Err(Fault::workspace(
                "users are mapped, so root in a container could not write to the files of a shared network",
            ));
        }
        let NetworkOrder {
            image,
            hosts,
            platform,
        } = order;
        let order = Arc::new(idle(image, hosts, platform));
        let made = self.shared.make(&order, Role::Holder).await?;
        let files = files(&String::from_utf8_lossy(&made.said));
        Ok(SharedNetwork {
            mode: format!("container:{}", made.remains.id),
            files,
            holder: Arc::new(Holder {
                _made: Mutex::new(made),
            }),
        })
    }
}

/// What a container is made of that has nothing to do.
fn idle(image: Image, hosts: Vec<String>, platform: Option<String>) -> Preparation {
    Preparation {
        purpose: "network".to_owned(),
        image,
        user: User::Image,
        workspace: Files::Directory(PathBuf::new()),
        place: WORK.to_owned(),
        directory: String::new(),
        env: BTreeMap::new(),
        files: Vec::new(),
        mounts: Vec::new(),
        limits: Limits::default(),
        network: None,
        shared: None,
        hosts,
        platform,
    }
}

/// The files in what a holder said.
fn files(said: &str) -> BTreeMap<String, String> {
    let parts = said.split(MARK).filter_map(|part| part.split_once('\n'));
    parts
        .filter(|(path, _)| FILES.contains(path))
        .map(|(path, content)| (path.to_owned(), content.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
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
