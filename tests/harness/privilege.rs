//! Root's rights, for the few things that tests set up with them.

use std::process::Command;

use rustix::process::geteuid;

/// A program to be run as root: directly, else through a `sudo` that asks for no password.
pub fn as_root(program: &str) -> Command {
    if geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}
