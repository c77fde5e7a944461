//! Compiling, in a process of its own: a component may cost the compiler any amount of memory and time.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wasmtime::Engine;

use crate::host;
use crate::inspect::{LARGEST, LoadError};

/// Address space of a worker. The largest interpreters need 400 MiB (facts/wasmtime-48.md 8).
const ADDRESS_SPACE: u64 = 2 << 30;
/// Seconds of processor time of a worker, over its threads.
const CPU: u64 = 120;
/// Time of a worker from its beginning to its end.
const WALL: Duration = Duration::from_secs(180);
/// Threads of a worker: each costs address space, and two are enough.
const THREADS: &str = "2";
/// Most bytes of compiled code; usual is three times the component.
const LARGEST_CODE: u64 = 1 << 30;
/// Most bytes of what a worker complains about.
const COMPLAINT: u64 = 8 * 1024;

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

impl Compiler {
    /// Compiled code of a component.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
    ) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::Here => {
                let (engine, bytes) = (engine.clone(), bytes.to_vec());
                tokio::task::spawn_blocking(move || engine.precompile_component(&bytes))
                    .await
                    .map_err(|error| LoadError::Compile(format!("the compiler ended: {error}")))?
                    .map_err(|error| LoadError::of_compiler(&format!("{error:#}")))
            }
            Self::Worker { program, arguments } => {
                let worker = Command::new(program)
                    .args(arguments)
                    .env_clear()
                    .env("RAYON_NUM_THREADS", THREADS)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .map_err(|source| LoadError::Io {
                        what: format!("starting {} to compile it", program.display()),
                        source,
                    })?;
                match tokio::time::timeout(WALL, converse(worker, bytes)).await {
                    Ok(result) => result,
                    Err(_) => Err(LoadError::Compile(format!(
                        "it takes longer than {} seconds",
                        WALL.as_secs()
                    ))),
                }
            }
        }
    }
}

/// Hands the component to a worker and takes the code.
async fn converse(mut worker: Child, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let talking = |source| LoadError::Io {
        what: "talking to the compiler".to_owned(),
        source,
    };
    let stdin = worker.stdin.take();
    let hand_in = async move {
        if let Some(mut stdin) = stdin {
            // A worker that ended early says why on its standard error.
            let _ = stdin.write_all(bytes).await;
        }
    };
    let (stdout, stderr) = (worker.stdout.take(), worker.stderr.take());
    let ((), code, complaint) =
        tokio::join!(hand_in, read(stdout, LARGEST_CODE), read(stderr, COMPLAINT));
    let code = code.map_err(talking)?;
    let complaint = complaint.map_err(talking)?;
    let status = worker.wait().await.map_err(talking)?;
    if status.success() {
        return Ok(code);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    match complaint.trim() {
        "" => Err(LoadError::Compile(died(status))),
        complaint if status.code().is_some() => Err(LoadError::of_compiler(complaint)),
        complaint => Err(LoadError::Compile(format!("{}: {complaint}", died(status)))),
    }
}

/// What comes from a pipe, up to a limit; more is thrown away.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(limit).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

fn died(status: ExitStatus) -> String {
    format!(
        "the compiler ended with {status}; it may use {} MiB of memory and {CPU} seconds of processor time",
        ADDRESS_SPACE >> 20
    )
}

/// The worker: reads a component from standard input, writes compiled code to standard output. The
/// hidden command of the binary that [`Compiler::Worker`] names calls this.
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> wasmtime::Result<()> {
    for (resource, limit) in [
        (Resource::As, ADDRESS_SPACE),
        (Resource::Cpu, CPU),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        setrlimit(resource, limit).map_err(io::Error::from)?;
    }
    let mut bytes = Vec::new();
    io::stdin().take(LARGEST).read_to_end(&mut bytes)?;
    let code = host::engine()?.precompile_component(&bytes)?;
    io::stdout().write_all(&code)?;
    io::stdout().flush()?;
    Ok(())
}
