//! Compiling, in a process of its own: a component may cost the compiler any amount of memory and time.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// What compiles components.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// This process. For tests and for components that are trusted.
    Here,
    /// A short-lived process with limits on memory and time and an empty environment, which calls [`compile_worker`].
    Worker {
        /// Program.
        program: PathBuf,
        /// Arguments.
        arguments: Vec<OsString>,
    },
}

/// The worker: reads a component from standard input, writes compiled code to standard output. The
/// hidden command of the binary that [`Compiler::Worker`] names calls this.
pub fn compile_worker() -> ExitCode {
    todo!()
}
