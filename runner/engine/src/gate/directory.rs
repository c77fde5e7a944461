//! What the runner and a container's gate share: files, and the directory that they are in.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::sandbox::Inputs;

/// A directory of which one container sees `control`, read-only, and the files in `files`, each at a place of its own.
///
/// Containers may run as any user, so all of it can be read by everybody; what is above it keeps others out.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Target paths of the step's files; the n-th is backed by `files/n`.
    targets: Vec<String>,
}

impl Directory {
    /// Makes it of `root`, which may exist, with the `script` that the container runs and empty files for `targets`.
    pub(crate) fn lay_out(root: &Path, script: &str, targets: &[String]) -> io::Result<Self> {
        let directory = Self::at(root, targets);
        for path in [root, &directory.control(), &directory.files()] {
            open_directory(path)?;
        }
        write(&directory.control().join("gate"), script)?;
        for (_, path) in directory.file_mounts() {
            write(&path, "")?;
        }
        Ok(directory)
    }

    /// The one that somebody else has laid out.
    pub(crate) fn at(root: &Path, targets: &[String]) -> Self {
        Self {
            root: root.to_owned(),
            targets: targets.to_vec(),
        }
    }

    /// All of it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The part that the container sees at [`super::MOUNT`].
    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Target path in the container and backing file, for each of the step's files.
    pub(crate) fn file_mounts(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let directory = self.files();
        let targets = self.targets.iter().enumerate();
        targets.map(move |(n, target)| (target.as_str(), directory.join(n.to_string())))
    }

    /// Puts the inputs in place. Files keep their inodes, as those are what the container has mounted.
    pub(crate) fn fill(&self, inputs: &Inputs, environment: &str) -> io::Result<()> {
        for (target, path) in self.file_mounts() {
            let content = inputs.files.get(target).map_or("", String::as_str);
            write(&path, content)?;
        }
        write(&self.control().join("env"), environment)?;
        write(&self.control().join("script"), &inputs.script)
    }
}

/// Makes a directory, unless it is there, into which everybody may look.
pub(crate) fn open_directory(path: &Path) -> io::Result<()> {
    fs_err::create_dir_all(path)?;
    set_mode(path, 0o755)
}

/// Writes a file that everybody may read.
pub(crate) fn write(path: &Path, content: &str) -> io::Result<()> {
    fs_err::write(path, content)?;
    set_mode(path, 0o644)
}

/// Sets the mode whatever the umask.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn files_keep_their_inodes_and_are_readable_by_all() {
        let root = tempfile::tempdir().unwrap();
        let targets = ["/tmp/f".to_owned()];
        let directory = Directory::lay_out(root.path(), "", &targets).unwrap();
        let (target, path) = directory.file_mounts().next().unwrap();
        assert_eq!(target, "/tmp/f");
        let before = fs_err::metadata(&path).unwrap();
        let inputs = Inputs {
            script: "true".to_owned(),
            files: BTreeMap::from([("/tmp/f".to_owned(), "content".to_owned())]),
            ..Inputs::default()
        };
        directory.fill(&inputs, "").unwrap();
        let after = fs_err::metadata(&path).unwrap();
        assert_eq!(before.ino(), after.ino());
        assert_eq!(after.mode() & 0o777, 0o644);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "content");
        assert_eq!(
            fs_err::metadata(directory.control()).unwrap().mode() & 0o777,
            0o755
        );
    }
}
