//! The directory through which a container gets its gate, and the step's script, environment and files.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::network::FILES;
use crate::gate::Directory;
use crate::sandbox::{Inputs, NetworkFiles};

/// What a container runs that holds a network.
pub(super) const HOLDER_SCRIPT: &str = include_str!("holder.sh");

/// A directory on the host that one container sees read-only, and the content of the step's files.
#[derive(Debug)]
pub(super) struct ControlDirectory {
    directory: Directory,
    /// The files of a network that is shared, if one is; the n-th is backed by `network/n`.
    network: &'static [&'static str],
    _root: TempDir,
}

impl ControlDirectory {
    /// Makes it under `scratch`, with the `script` that the container runs, empty files for `targets`, and more if it `shares` a network.
    /// `scratch` is what keeps others on this machine out.
    pub(super) fn create(
        scratch: &Path,
        script: &str,
        targets: &[String],
        shares: bool,
    ) -> io::Result<Self> {
        let root = tempfile::Builder::new()
            .prefix("gate-")
            .tempdir_in(scratch)?;
        let control = Self {
            directory: Directory::lay_out(root.path(), script, targets)?,
            network: if shares { &FILES } else { &[] },
            _root: root,
        };
        control.fill_network(&NetworkFiles::new())?;
        Ok(control)
    }

    /// The part that is mounted at [`crate::gate::MOUNT`].
    pub(super) fn control(&self) -> PathBuf {
        self.directory.control()
    }

    /// Target path in the container and backing file on the host, for each of the step's files.
    pub(super) fn file_mounts(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        self.directory.file_mounts()
    }

    /// The same for each of the network's files.
    pub(super) fn network_mounts(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let directory = self.directory.root().join("network");
        let targets = self.network.iter().enumerate();
        targets.map(move |(n, target)| (*target, directory.join(n.to_string())))
    }

    /// Puts the network's files in place, before the container starts.
    pub(super) fn fill_network(&self, files: &NetworkFiles) -> io::Result<()> {
        if !self.network.is_empty() {
            crate::gate::open_directory(&self.directory.root().join("network"))?;
        }
        for (target, path) in self.network_mounts() {
            crate::gate::write(&path, files.get(target).map_or("", String::as_str))?;
        }
        Ok(())
    }

    /// Puts the inputs in place.
    pub(super) fn fill(&self, inputs: &Inputs, environment: &str) -> io::Result<()> {
        self.directory.fill(inputs, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_network_are_in_place() {
        let scratch = tempfile::tempdir().unwrap();
        let control = ControlDirectory::create(scratch.path(), "", &[], true).unwrap();
        let pairs = [("/etc/hosts", "127.0.0.1 localhost\n"), ("/etc/x", "")];
        let network =
            NetworkFiles::from(pairs.map(|(path, text)| (path.to_owned(), text.to_owned())));
        control.fill_network(&network).unwrap();
        let seen: Vec<(&str, String)> = control
            .network_mounts()
            .map(|(target, path)| (target, fs_err::read_to_string(path).unwrap()))
            .collect();
        let content = |target| network.get(target).cloned().unwrap_or_default();
        assert_eq!(seen, FILES.map(|target| (target, content(target))));
    }
}
