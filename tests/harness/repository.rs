//! Git repositories whose commit ids are the same on every machine and day.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{World, write_file};

const DATE: &str = "2024-01-02T03:04:05Z";

/// A repository to run batch specs on.
pub struct Repository {
    path: PathBuf,
    home: PathBuf,
}

impl Repository {
    pub(crate) fn init(world: &World, path: PathBuf) -> Self {
        fs::create_dir_all(&path).expect("the world is writable");
        let repository = Self {
            path,
            home: world.home(),
        };
        repository.git(["init", "--quiet", "--initial-branch", "main"]);
        repository
    }

    /// Where its working tree is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of the working tree.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        write_file(&self.path.join(path), content.as_ref());
    }

    /// Commits the whole working tree and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "--force", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "-m", message]);
        self.head()
    }

    /// Id of the commit that is checked out.
    pub fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"])
    }

    /// Runs git here, asserts that it succeeds, and returns its standard output without the last newline.
    pub fn git<const N: usize>(&self, arguments: [&str; N]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada Author")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_AUTHOR_DATE", DATE)
            .env("GIT_COMMITTER_NAME", "Carl Committer")
            .env("GIT_COMMITTER_EMAIL", "carl@example.com")
            .env("GIT_COMMITTER_DATE", DATE)
            .output()
            .expect("git runs");
        assert!(
            output.status.success(),
            "git {arguments:?} in {}: {}\n{}",
            self.path.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use crate::World;

    #[test]
    fn commit_ids_never_change() {
        let world = World::new();
        let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
        assert_eq!(widgets.head(), "b490fed1abace25d1a2b01dc984148bc9dc2558e");
        assert_eq!(widgets.git(["status", "--porcelain"]), "");
        assert_eq!(widgets.git(["branch", "--show-current"]), "main");
    }

    #[test]
    fn ignored_files_are_committed_too() {
        let world = World::new();
        let files = [(".gitignore", "*.log\n"), ("a/kept.log", "x\n")];
        let widgets = world.repository("widgets", &files);
        assert_eq!(widgets.git(["ls-files"]), ".gitignore\na/kept.log");
    }
}
