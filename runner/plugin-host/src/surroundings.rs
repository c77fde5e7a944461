//! What of the world outside an instance sees: nothing, unless it is granted.

use std::path::PathBuf;

use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::command::Directory;
use crate::failure::Ending;
use crate::files::{self, Files};
use crate::limits::CallLimits;
use crate::messages::{Messages, Standard};
use crate::quota::Quota;

/// Most random bytes of one call, in bytes.
const RANDOM: u64 = 1024 * 1024;

/// What is granted to an instance. The default grants nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// Environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Directories.
    pub(crate) directories: Vec<Directory>,
    /// Whether `.git` in the root of each directory does not exist for it.
    pub(crate) git_is_hidden: bool,
    /// Whether it may open connections.
    pub(crate) network: bool,
    /// Whether the instance has a thread of its own, which may wait for the disk: that is ten times as fast as to ask other threads
    /// (facts/wasmtime-48.md 8). See [`crate::call::apart`].
    pub(crate) may_block: bool,
}

/// The world outside, as one instance sees it.
pub(crate) struct World {
    pub(crate) wasi: WasiCtx,
    pub(crate) files: Files,
}

impl Surroundings {
    /// Makes it, for a hook: what it prints becomes messages.
    pub(crate) fn for_hook(
        &self,
        limits: &CallLimits,
        messages: &Messages,
    ) -> Result<World, Ending> {
        self.with(limits, |wasi| {
            wasi.stdout(messages.stream(Standard::Out))
                .stderr(messages.stream(Standard::Err));
        })
    }

    /// Makes it, with the streams that `connect` sets.
    pub(crate) fn with(
        &self,
        limits: &CallLimits,
        connect: impl FnOnce(&mut WasiCtxBuilder),
    ) -> Result<World, Ending> {
        let mut wasi = WasiCtx::builder();
        wasi.max_random_size(RANDOM)
            .envs(&self.environment)
            .allow_blocking_current_thread(self.may_block);
        let mut roots = Vec::new();
        for directory in &self.directories {
            let rights = if directory.read_only {
                FsPerms::ReadOnly
            } else {
                FsPerms::ReadWrite
            };
            roots.push(root(directory)?);
            wasi.preopened_dir(&directory.host, &directory.guest, rights)
                .map_err(|error| unreachable(directory, &error))?;
        }
        if self.network {
            wasi.inherit_network()
                .allow_tcp(true)
                .allow_udp(true)
                .allow_ip_name_lookup(true);
        }
        connect(&mut wasi);
        Ok(World {
            wasi: wasi.build(),
            files: Files::new(Quota::of(limits), roots, self.git_is_hidden),
        })
    }
}

/// The real path of a directory, found by the means that guard it later: so it is known from the start that they work.
fn root(directory: &Directory) -> Result<PathBuf, Ending> {
    let opened = fs_err::File::open(&directory.host).map_err(|error| Ending::Host {
        reason: error.to_string(),
    })?;
    let path = files::beneath(opened.file(), ".", true)
        .map_err(std::io::Error::from)
        .and_then(|itself| files::location(&itself));
    path.map_err(|error| unreachable(directory, &error.into()))
}

fn unreachable(directory: &Directory, error: &wasmtime::Error) -> Ending {
    Ending::Host {
        reason: format!(
            "showing the directory {} to WebAssembly: {error:#} (this needs Linux 5.6 and /proc)",
            directory.host.display()
        ),
    }
}
