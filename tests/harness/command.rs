//! Command lines of the binary under test.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::output::Output;
use crate::privilege::as_root;
use crate::running::Running;
use crate::world::World;

/// A command line being put together; starts nothing before [`run`](Self::run) or [`spawn`](Self::spawn).
#[must_use = "a command does nothing until it is run"]
pub struct Capstan<'w> {
    world: &'w World,
    command: Command,
    stdin: Vec<u8>,
}

impl<'w> Capstan<'w> {
    pub(crate) fn new<I, S>(world: &'w World, program: &Path, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(world.work())
            .env_clear()
            .envs(world.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            world,
            command,
            stdin: Vec::new(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in another directory than the world's.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(self.world.work().join(path));
        self
    }

    /// Runs as another user of this machine, who is also in one group. Takes root's rights.
    pub fn as_user(self, user: u32, group: u32) -> Self {
        let mut wrapper = as_root("setpriv");
        wrapper
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={user}"))
            .arg(format!("--groups={group}"))
            .args(["--", "env"])
            .args(self.variables());
        self.wrapped(wrapper, |wrapper, command| {
            wrapper.arg(command.get_program()).args(command.get_args());
        })
    }

    /// Runs on a terminal of 30 lines and 100 columns with colours: both output streams come as standard output.
    pub fn on_terminal(self) -> Self {
        let mut script = Command::new("script");
        script.arg("-qec");
        let mut wrapped = self.wrapped(script, |script, command| {
            let quote =
                |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            let words: Vec<_> = words.map(quote).collect();
            script
                .arg(format!("stty rows 30 cols 100; exec {}", words.join(" ")))
                .arg("/dev/null");
        });
        wrapped
            .command
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh");
        wrapped
    }

    /// `NAME=value` of the whole environment: what lies between may pass on less.
    fn variables(&self) -> Vec<OsString> {
        let set = self.command.get_envs();
        set.filter_map(|(name, value)| {
            let mut text = name.to_owned();
            text.push("=");
            text.push(value?);
            Some(text)
        })
        .collect()
    }

    /// The command as an argument of another, in the same place and with the same environment.
    fn wrapped(mut self, mut wrapper: Command, put: impl FnOnce(&mut Command, &Command)) -> Self {
        put(&mut wrapper, &self.command);
        if let Some(directory) = self.command.get_current_dir() {
            wrapper.current_dir(directory);
        }
        wrapper.env_clear();
        for (name, value) in self.command.get_envs() {
            wrapper.env(name, value.unwrap_or_default());
        }
        wrapper
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = wrapper;
        self
    }

    /// What the command reads from its standard input; by default it is empty.
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.stdin = content.into();
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it with its standard output read by another command, as in `capstan | head`.
    pub fn reader(mut self, reader: &mut Command) -> Running {
        let (output, input) = std::io::pipe().expect("a pipe can be made");
        let mut child = reader.stdin(output).spawn().expect("the reader runs");
        // Ours must be closed, so that the pipe ends with the reader.
        reader.stdin(Stdio::null());
        std::thread::spawn(move || child.wait());
        self.command.stdout(input);
        self.spawn()
    }

    /// Starts it and lets it run.
    pub fn spawn(self) -> Running {
        Running::start(self.command, self.stdin, self.world.root().to_owned())
    }
}
