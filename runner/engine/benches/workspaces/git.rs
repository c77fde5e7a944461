//! The rival: plain git, without anybody's configuration.

use std::path::Path;
use std::process::Command;

/// A clone that borrows the objects of `mirror`, with all files.
pub(crate) fn clone_shared(mirror: &Path, to: &Path) {
    let mut command = git(Path::new("/"));
    command.args(["clone", "--quiet", "--shared"]);
    output(command.arg(mirror).arg(to));
}

/// Stages everything, and tells what is staged.
pub(crate) fn add_and_diff(tree: &Path) -> Vec<u8> {
    output(git(tree).args(["add", "--all"]));
    output(git(tree).args(["diff", "--cached", "--no-prefix", "--binary"]))
}

/// Bytes on the disk that a directory takes, without what is mounted in it.
pub(crate) fn disk(directory: &Path) -> f64 {
    let mut command = Command::new("du");
    let text = output(command.args(["-s", "-x", "-B1"]).arg(directory));
    let text = String::from_utf8_lossy(&text);
    let bytes = text.split_whitespace().next();
    bytes
        .and_then(|bytes| bytes.parse().ok())
        .expect("du tells bytes")
}

/// Git in a directory.
pub(crate) fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "A")
            .env(format!("GIT_{who}_EMAIL"), "a@example.com");
    }
    command
}

/// What a command prints; it has to succeed.
pub(crate) fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output.stdout
}
