//! Every run of git, through one wrapper that executes nothing it finds in a repository.
//!
//! There are two ways to run git, and no third:
//!
//! * [`Git::isolated`] sees no configuration but what this module writes on its command line, no environment, no
//!   network and no terminal. It is for everything that reads a repository or a workspace.
//! * [`Git::as_user`] is for talking to a remote with the user's own credentials, proxies and ssh
//!   settings. It never runs with a workspace as its directory.
//!
//! What a command may not do is stop anybody else: standard input is closed unless given, output is bounded or
//! streamed, and dropping the future kills the process.

mod environment;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod invocation;
mod layout;
mod object_format;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub use error::GitError;
pub use invocation::{Finished, Invocation};
pub(crate) use layout::quote;
pub use layout::{alternates, layout};
pub use object_format::ObjectFormat;

use environment::{HARDENING, SERVING, isolated_variables, user_variables};

/// The oldest git that is supported: the one of Ubuntu 22.04, which knows all the switches used here.
pub const MINIMUM: Version = Version(2, 34);

/// Major and minor number of a git release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Version {
    /// Reads what `git version` prints: `git version 2.39.5 (Apple Git-154)`.
    fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_prefix("git version ")?;
        let mut parts = number.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some(Self(major, minor))
    }
}

/// A git that was found and is new enough.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    version: Version,
    path: OsString,
    user: Vec<(OsString, OsString)>,
}

impl Git {
    /// Finds `git` in the `PATH` of `environment` and checks its version.
    ///
    /// `environment` is the environment of the user; isolated runs take only `PATH` from it.
    ///
    /// # Errors
    /// [`GitError::Missing`], [`GitError::TooOld`], or what went wrong when asking for the version.
    pub async fn check(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, GitError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let path = environment
            .iter()
            .find(|(name, _)| name == "PATH")
            .map_or_else(
                || OsString::from("/usr/local/bin:/usr/bin:/bin"),
                |(_, value)| value.clone(),
            );
        // A relative entry would be looked up in whatever directory git happens to work in.
        let directories: Vec<_> = std::env::split_paths(&path)
            .filter(|directory| directory.is_absolute())
            .collect();
        let program = directories
            .iter()
            .map(|directory| directory.join("git"))
            .find(|candidate| candidate.is_file())
            .ok_or(GitError::Missing)?;
        let path = std::env::join_paths(directories).map_err(|_| GitError::Missing)?;
        Self::check_program(program, path, environment).await
    }

    async fn check_program(
        program: PathBuf,
        path: OsString,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<Self, GitError> {
        let mut git = Self {
            program,
            version: MINIMUM,
            path,
            user: user_variables(environment),
        };
        let text = git.isolated("version").text().await?;
        git.version = Version::parse(&text).ok_or_else(|| GitError::Unknown {
            program: git.program.clone(),
            text: text.clone(),
        })?;
        if git.version < MINIMUM {
            return Err(GitError::TooOld {
                program: git.program,
                found: git.version,
            });
        }
        Ok(git)
    }

    /// The program that was found.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Starts to describe an isolated run of `git <command>`.
    pub fn isolated<'a>(&self, command: &'static str) -> Invocation<'a> {
        let mut invocation =
            Invocation::new(&self.program, command, isolated_variables(&self.path));
        // A Ctrl-C at the terminal is ours to handle: it must not make git look as if it had failed.
        invocation.own_process_group();
        invocation.configure(HARDENING);
        invocation.subcommand(command);
        invocation
    }

    /// Like [`Git::isolated`], with a file mode mask of 0, so that what is checked out can be written by whatever
    /// user a container runs as.
    pub fn isolated_world_writable<'a>(&self, command: &'static str) -> Invocation<'a> {
        let mut invocation =
            Invocation::without_mask(&self.program, command, isolated_variables(&self.path));
        invocation.own_process_group();
        invocation.configure(HARDENING);
        invocation.subcommand(command);
        invocation
    }

    /// Like [`Git::isolated`], for handing out what is in a repository, whoever it belongs to: any commit by its id, and parts of it.
    pub fn serving<'a>(&self, command: &'static str) -> Invocation<'a> {
        let mut invocation =
            Invocation::new(&self.program, command, isolated_variables(&self.path));
        invocation.own_process_group();
        invocation.configure(HARDENING);
        invocation.configure(SERVING);
        invocation.subcommand(command);
        invocation
    }

    /// Starts to describe a run of `git <command>` that talks to a remote as the user would.
    ///
    /// It stays in the process group of the terminal, so that ssh can ask for a passphrase.
    pub fn as_user<'a>(&self, command: &'static str) -> Invocation<'a> {
        let mut invocation = Invocation::new(&self.program, command, self.user.clone());
        invocation.configure(environment::NETWORK);
        invocation.subcommand(command);
        invocation
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The git of the machine, for the tests of this crate.
    pub(crate) async fn git() -> Git {
        Git::check(std::env::vars_os()).await.expect("git is there")
    }

    #[test]
    fn versions_of_all_vendors_are_read() {
        for (text, version) in [
            ("git version 2.47.3", Some(Version(2, 47))),
            ("git version 2.39.5 (Apple Git-154)\n", Some(Version(2, 39))),
            ("git version 2.34.1.windows.1", Some(Version(2, 34))),
            ("git version 3.0.rc0", Some(Version(3, 0))),
            ("gut 2.1", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text}");
        }
    }

    #[tokio::test]
    async fn a_machine_without_git_is_told_so() {
        let empty = tempfile::tempdir().unwrap();
        let environment = [("PATH".into(), empty.path().into())];
        let error = Git::check(environment).await.unwrap_err();
        assert!(matches!(error, GitError::Missing));
    }

    #[tokio::test]
    async fn an_old_git_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        fixture::executable(&directory.path().join("git"), "echo git version 2.17.1");
        let environment = [("PATH".into(), directory.path().into())];
        let error = Git::check(environment).await.unwrap_err();
        assert!(error.to_string().contains("2.17"), "{error}");
        assert!(error.to_string().contains("2.34"), "{error}");
    }

    #[tokio::test]
    async fn isolated_git_sees_no_configuration_of_the_user() {
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join(".gitconfig"), "[alias]\n\tx = !true\n").unwrap();
        let environment = std::env::vars_os()
            .filter(|(name, _)| name != "HOME")
            .chain([("HOME".into(), home.path().into())]);
        let git = Git::check(environment).await.unwrap();
        let isolated = git.isolated("config").args(["--list", "--show-scope"]);
        for line in isolated.text().await.unwrap().lines() {
            assert!(line.starts_with("command"), "{line}");
        }
        let as_user = git.as_user("config").args(["--get", "alias.x"]);
        assert_eq!(as_user.text().await.unwrap(), "!true");
    }

    #[tokio::test]
    async fn secret_settings_stand_behind_those_of_the_user_and_in_no_argument() {
        let environment = std::env::vars_os().chain([
            ("GIT_CONFIG_COUNT".into(), "1".into()),
            ("GIT_CONFIG_KEY_0".into(), "x.user".into()),
            ("GIT_CONFIG_VALUE_0".into(), "theirs".into()),
        ]);
        let git = Git::check(environment).await.unwrap();
        let secret = [("x.ours".to_owned(), "t0ken".to_owned())];
        let get = |key| {
            git.as_user("config")
                .secret_settings(&secret)
                .args(["--get", key])
        };
        assert_eq!(get("x.user").text().await.unwrap(), "theirs");
        assert_eq!(get("x.ours").text().await.unwrap(), "t0ken");
        let failing = git
            .as_user("config")
            .secret_settings(&secret)
            .args(["--t0ken"]);
        let error = failing.run().await.unwrap_err().to_string();
        assert!(error.contains("***") && !error.contains("t0ken"), "{error}");
    }
}
