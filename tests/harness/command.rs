//! Command lines of the binary under test.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::binary;
use crate::output::Output;
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
    pub(crate) fn new<I, S>(world: &'w World, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(binary::capstan());
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

    /// Runs on a terminal of 30 lines and 100 columns with colours: both output streams come as standard output.
    pub fn on_terminal(mut self) -> Self {
        let quoted = std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
        let line = format!(
            "stty rows 30 cols 100; exec {}",
            quoted.collect::<Vec<_>>().join(" ")
        );
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = self.command.get_current_dir() {
            command.current_dir(directory);
        }
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value
                && name != "NO_COLOR"
            {
                command.env(name, value);
            }
        }
        command
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh");
        self.command = command;
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
