//! Repositories for the tests of this crate, made with plain git.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes a shell script that can be run at once.
///
/// Another process writes it: had this one the file open for writing while a thread of its own starts a program, that
/// program would hold it open too, and running the script would fail ("text file busy").
pub(crate) fn executable(path: &Path, body: &str) {
    let status = Command::new("sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#,
            "sh",
            body,
        ])
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

pub(crate) struct Fixture {
    _directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Fixture {
    /// An empty repository on branch `main`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("widgets");
        fs_err::create_dir(&path).unwrap();
        let fixture = Self {
            path,
            _directory: directory,
        };
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture
    }

    /// A repository with one commit of these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let fixture = Self::new();
        for (name, content) in files {
            fixture.write(name, content);
        }
        fixture.commit("first");
        fixture
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.rev("HEAD")
    }

    pub(crate) fn rev(&self, name: &str) -> String {
        String::from_utf8(self.git(&["rev-parse", name]))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Vec<u8> {
        git_in(&self.path, arguments)
    }
}

/// Plain git, as a user without any configuration would run it.
pub(crate) fn git_in(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_COMMITTER_NAME", "A")
        .env("GIT_COMMITTER_EMAIL", "a@example.com")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
