//! Programs that build plugins: where they are, and running them where their author sees it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::config::Environment;
use crate::failure::Failed;
use crate::{printer, text};

/// A program with its first arguments.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What comes before any other argument.
    arguments: Vec<OsString>,
}

impl Program {
    /// The first of these names that is in `PATH`.
    pub(super) fn find(environment: &Environment, names: &[&str]) -> Option<Self> {
        let directories = environment.get("PATH")?;
        names.iter().find_map(|name| {
            std::env::split_paths(directories).find_map(|directory| Self::at(directory.join(name)))
        })
    }

    /// The one at this path, if it is a program.
    pub(super) fn at(path: PathBuf) -> Option<Self> {
        let metadata = fs_err::metadata(&path).ok()?;
        let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        runs.then(|| Self {
            path,
            arguments: Vec::new(),
        })
    }

    /// With an argument before all others.
    pub(super) fn with<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Whether it runs and ends well with these arguments; what it prints is thrown away.
    pub(super) async fn works(&self, arguments: &[&str]) -> bool {
        let ended = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        ended.is_ok_and(|status| status.success())
    }

    /// The first line that it prints with these arguments; empty if it fails.
    pub(super) async fn answer(&self, directory: &Path, arguments: &[&str]) -> String {
        let ended = self
            .command(arguments)
            .current_dir(directory)
            .output()
            .await;
        match ended {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                text.lines().next().unwrap_or_default().trim().to_owned()
            }
            _ => String::new(),
        }
    }

    /// Runs it in a directory. What it prints goes to standard error as it comes.
    pub(super) async fn run<A: AsRef<OsStr>>(
        &self,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<(), Failed> {
        let mut command = self.command(arguments);
        let output = io::stderr().as_fd().try_clone_to_owned();
        command.stdout(output.map_err(Failed::environment)?);
        self.finish(command, directory).await.map(drop)
    }

    /// Runs it in a directory. Standard error goes to ours as it comes; standard output is what is returned.
    pub(super) async fn run_for_output<A: AsRef<OsStr>>(
        &self,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, Failed> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped());
        self.finish(command, directory).await
    }

    async fn finish(&self, mut command: Command, directory: &Path) -> Result<Vec<u8>, Failed> {
        tell(command.as_std());
        let name = self.name();
        let child = command.current_dir(directory).kill_on_drop(true).spawn();
        let child = child.map_err(|error| {
            Failed::environment(format!("starting {}: {error}", self.path.display()))
        })?;
        let ended = child.wait_with_output().await;
        let output =
            ended.map_err(|error| Failed::environment(format!("waiting for {name}: {error}")))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(Failed::run(format!("{name} failed ({})", output.status))
            .hint("what it printed above says why"))
    }

    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }
}

/// Shows a command line, so that its author can run it without us.
fn tell(command: &std::process::Command) {
    let mut line = "$".to_owned();
    for word in std::iter::once(command.get_program()).chain(command.get_args()) {
        line.push(' ');
        line.push_str(&text::name(&word.to_string_lossy()));
    }
    printer::note(line);
}

/// A path that means the same in any directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failed> {
    fs_err::canonicalize(path).map_err(Failed::usage)
}
