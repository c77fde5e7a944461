//! One run of git, from its arguments to its end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::GitError;
#[cfg(target_os = "linux")]
use super::layout::config;

/// How much of standard error is kept: its end, where git says why it stopped.
const STDERR_KEPT: usize = 16 * 1024;

/// Limit of answers that are a line or a few.
const SHORT_ANSWER: usize = 1024 * 1024;

type Progress<'a> = Box<dyn FnMut(&str) + Send + 'a>;

/// A run of git being described. Nothing happens until one of the `async` methods is awaited;
/// dropping their future kills git.
pub struct Invocation<'a> {
    command: Command,
    name: &'static str,
    input: Vec<u8>,
    secrets: Vec<String>,
    /// Whether git and all that it starts are stopped together.
    is_group: bool,
    /// What git reads through this process while it runs.
    kept: Option<File>,
    progress: Option<Progress<'a>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The end of what it wrote to standard error, trimmed.
    pub stderr: String,
}

impl<'a> Invocation<'a> {
    pub(super) fn new(
        program: &Path,
        name: &'static str,
        variables: Vec<(OsString, OsString)>,
    ) -> Self {
        Self::of(Command::new(program), name, variables)
    }

    /// The mask can only be changed in the child, and without unsafe code only a shell does that.
    pub(super) fn without_mask(
        program: &Path,
        name: &'static str,
        variables: Vec<(OsString, OsString)>,
    ) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "umask 000 && exec \"$@\"", "sh"]);
        shell.arg(program);
        Self::of(shell, name, variables)
    }

    fn of(mut command: Command, name: &'static str, variables: Vec<(OsString, OsString)>) -> Self {
        command
            .env_clear()
            .envs(variables)
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self {
            command,
            name,
            input: Vec::new(),
            secrets: Vec::new(),
            is_group: false,
            kept: None,
            progress: None,
        }
    }

    pub(super) fn own_process_group(&mut self) {
        self.command.process_group(0);
        self.is_group = true;
    }

    /// Runs where nobody is at a terminal: when it is stopped, so are the programs that git has started, such as those that talk to a server.
    #[must_use]
    pub fn unattended(mut self) -> Self {
        self.own_process_group();
        self
    }

    pub(super) fn configure(&mut self, settings: &[&str]) {
        for setting in settings {
            self.command.args(["-c", setting]);
        }
    }

    pub(super) fn subcommand(&mut self, name: &str) {
        self.command.arg(name);
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Works on the repository whose git directory this is. Git then looks for no other, and does not
    /// ask who owns it: what it finds there can execute nothing anyway.
    #[must_use]
    pub fn git_dir(mut self, directory: &Path) -> Self {
        self.command
            .env("GIT_DIR", directory)
            .current_dir(directory);
        self
    }

    /// Sets the directory to run in. It is never a workspace for a run as the user.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// What git reads from its standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Text that must not appear in an error.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        if !secret.is_empty() {
            self.secrets.push(secret);
        }
        self
    }

    /// Settings whose values are secrets, behind those that are there already. They are in a file that has no name, which git opens through this
    /// process: neither its arguments nor its environment have them. Where that is not possible the environment has.
    #[must_use]
    pub fn secret_settings(mut self, settings: &[(String, String)]) -> Self {
        for (_, value) in settings {
            self = self.secret(value);
        }
        match nameless(settings) {
            Some((file, path)) => {
                self.kept = Some(file);
                self.settings_in_environment(&[("include.path".to_owned(), path)])
            }
            None => self.settings_in_environment(settings),
        }
    }

    fn settings_in_environment(mut self, settings: &[(String, String)]) -> Self {
        const COUNT: &str = "GIT_CONFIG_COUNT";
        let count = self.command.as_std().get_envs();
        let count = count
            .filter(|(name, _)| *name == COUNT)
            .find_map(|(_, value)| value?.to_str()?.parse().ok())
            .unwrap_or(0_usize);
        for (n, (key, value)) in (count..).zip(settings) {
            self.command
                .env(format!("GIT_CONFIG_KEY_{n}"), key)
                .env(format!("GIT_CONFIG_VALUE_{n}"), value);
        }
        self.env(COUNT, (count + settings.len()).to_string())
    }

    /// Called with each line git writes to standard error, a progress line once per update.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(&str) + Send + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Runs; what git prints is thrown away.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn run(self) -> Result<(), GitError> {
        self.stream(|_| {}).await
    }

    /// Runs; returns what git printed, at most `limit` bytes.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn output(self, limit: usize) -> Result<Vec<u8>, GitError> {
        let command = self.name;
        let (finished, output) = self.attempt(limit).await?;
        finished.success(command)?;
        Ok(output)
    }

    /// Runs; returns a short answer as text, without white space at its ends.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn text(self) -> Result<String, GitError> {
        let output = self.output(SHORT_ANSWER).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Runs; hands what git prints to `sink` as it comes.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn stream(self, sink: impl FnMut(&[u8]) + Send) -> Result<(), GitError> {
        self.stream_despite(0, sink).await
    }

    /// The same, where the exit status `code` is as good as none.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn stream_despite(
        self,
        code: i32,
        mut sink: impl FnMut(&[u8]) + Send,
    ) -> Result<(), GitError> {
        let command = self.name;
        let finished = self
            .execute(|bytes| {
                sink(bytes);
                Ok(())
            })
            .await?;
        if finished.code == Some(code) {
            return Ok(());
        }
        finished.success(command)
    }

    /// Runs; writes what git prints to `sink`, which may be slower than git. When `sink` takes no more, git is killed.
    ///
    /// # Errors
    /// See [`GitError`]; a failure of `sink` is [`GitError::Io`].
    pub async fn pipe(mut self, mut sink: impl AsyncWrite + Unpin) -> Result<(), GitError> {
        let command = self.name;
        let io = |source| GitError::Io { command, source };
        let mut child = self.command.stdin(Stdio::piped()).spawn().map_err(io)?;
        let group = Group::of(&child, self.is_group);
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let mut stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let input = std::mem::take(&mut self.input);
        let write = async move {
            // Git may end without reading all of it; its exit status tells more than a broken pipe.
            let _ = stdin.write_all(&input).await;
            Ok(())
        };
        let copy = async {
            tokio::io::copy(&mut stdout, &mut sink).await.map_err(io)?;
            sink.flush().await.map_err(io)
        };
        let progress = self.progress.take();
        let ((), (), stderr) =
            tokio::try_join!(write, copy, read_stderr(stderr, command, progress))?;
        let status = child.wait().await.map_err(io)?;
        group.over();
        Finished {
            code: status.code(),
            stderr: self.without_secrets(stderr),
        }
        .success(command)
    }

    /// Runs; a failure of git itself is an answer, not an error.
    ///
    /// # Errors
    /// [`GitError::Io`] and [`GitError::TooMuch`] only.
    pub async fn attempt(self, limit: usize) -> Result<(Finished, Vec<u8>), GitError> {
        let command = self.name;
        let mut output = Vec::new();
        let finished = self
            .execute(|bytes| {
                if output.len() + bytes.len() > limit {
                    return Err(GitError::TooMuch { command, limit });
                }
                output.extend_from_slice(bytes);
                Ok(())
            })
            .await?;
        Ok((finished, output))
    }

    async fn execute(
        mut self,
        sink: impl FnMut(&[u8]) -> Result<(), GitError> + Send,
    ) -> Result<Finished, GitError> {
        let command = self.name;
        let io = |source| GitError::Io { command, source };
        self.command.stdin(if self.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        let mut child = self.command.spawn().map_err(io)?;
        let group = Group::of(&child, self.is_group);
        let input = std::mem::take(&mut self.input);
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");

        let write = async {
            if let Some(mut stdin) = stdin {
                // Git may end without reading all of it; its exit status tells more than a broken pipe.
                let _ = stdin.write_all(&input).await;
            }
            Ok(())
        };
        let ((), (), stderr) = tokio::try_join!(
            write,
            read_all(stdout, command, sink),
            read_stderr(stderr, command, self.progress.take()),
        )?;
        let status = child.wait().await.map_err(io)?;
        group.over();
        Ok(Finished {
            code: status.code(),
            stderr: self.without_secrets(stderr),
        })
    }

    fn without_secrets(&self, text: String) -> String {
        self.secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret, "***"))
    }
}

/// A process group, killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child, is_group: bool) -> Self {
        let leader = child.id().filter(|_| is_group);
        Self(leader.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// Its leader has ended: the number may become another's.
    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Finished {
    fn success(self, command: &'static str) -> Result<(), GitError> {
        if self.code == Some(0) {
            return Ok(());
        }
        Err(GitError::Failed {
            command,
            code: self.code,
            stderr: self.stderr,
        })
    }
}

/// A file without a name that holds these settings, and a path that leads to it while it is open.
#[cfg(target_os = "linux")]
fn nameless(settings: &[(String, String)]) -> Option<(File, String)> {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    let descriptor = rustix::fs::memfd_create("git-settings", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(descriptor.ok()?);
    let settings = settings
        .iter()
        .map(|(key, value)| (&**key, value.as_str()))
        .collect::<Vec<_>>();
    file.write_all(config(&settings).as_bytes()).ok()?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Path::new(&path).exists().then_some((file, path))
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &[(String, String)]) -> Option<(File, String)> {
    None
}

async fn read_all(
    mut from: impl AsyncRead + Unpin,
    command: &'static str,
    mut sink: impl FnMut(&[u8]) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(n) => sink(&buffer[..n])?,
            Err(source) => return Err(GitError::Io { command, source }),
        }
    }
}

/// Reads to the end, keeps the last part, and tells each line or progress update on the way.
async fn read_stderr(
    from: impl AsyncRead + Unpin,
    command: &'static str,
    mut progress: Option<Progress<'_>>,
) -> Result<String, GitError> {
    let mut kept = Vec::new();
    let mut line = Vec::new();
    read_all(from, command, |bytes| {
        kept.extend_from_slice(bytes);
        if kept.len() > 2 * STDERR_KEPT {
            kept.drain(..kept.len() - STDERR_KEPT);
        }
        if let Some(progress) = &mut progress {
            for &byte in bytes {
                if matches!(byte, b'\n' | b'\r') {
                    let text = String::from_utf8_lossy(&line);
                    if !text.trim().is_empty() {
                        progress(text.trim());
                    }
                    line.clear();
                } else if line.len() < STDERR_KEPT {
                    line.push(byte);
                }
            }
        }
        Ok(())
    })
    .await?;
    let start = kept.len().saturating_sub(STDERR_KEPT);
    Ok(String::from_utf8_lossy(&kept[start..]).trim().to_owned())
}
