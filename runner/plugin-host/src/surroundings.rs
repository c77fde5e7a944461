//! What of the world outside an instance sees: nothing, unless it is granted.

use std::path::{Path, PathBuf};

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
    /// Current directory, an absolute path in the guest; empty: none.
    pub(crate) current: String,
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
            let root = real_path(directory, ".")?;
            show(&mut wasi, directory, &root, &directory.guest)?;
            roots.push(root);
        }
        if let Some((directory, inside)) = self.current_directory() {
            // The C library of guests (wasi-libc) does not ask for the current directory, but looks for relative paths below this name.
            show(&mut wasi, directory, &real_path(directory, inside)?, ".")?;
            wasi.initial_cwd(&self.current);
        }
        if self.network {
            wasi.inherit_network()
                .allow_tcp(true)
                .allow_udp(true)
                .allow_ip_name_lookup(true);
        }
        connect(&mut wasi);
        let workspace = self.directories.first();
        let workspace = workspace.is_some_and(|directory| !directory.read_only);
        Ok(World {
            wasi: wasi.build(),
            files: Files::new(Quota::of(limits), roots, workspace, self.git_is_hidden),
        })
    }
}

impl Surroundings {
    /// The directory that the current one is in, and the path inside.
    fn current_directory(&self) -> Option<(&Directory, &str)> {
        let current = Path::new(&self.current);
        self.directories
            .iter()
            .filter_map(|directory| {
                let inside = current.strip_prefix(&directory.guest).ok()?.to_str()?;
                Some((directory, if inside.is_empty() { "." } else { inside }))
            })
            .min_by_key(|(_, inside)| inside.len())
    }
}

/// Shows the directory at `path` under the name `guest`, with the rights of `directory`.
fn show(
    wasi: &mut WasiCtxBuilder,
    directory: &Directory,
    path: &Path,
    guest: &str,
) -> Result<(), Ending> {
    let rights = if directory.read_only {
        FsPerms::ReadOnly
    } else {
        FsPerms::ReadWrite
    };
    wasi.preopened_dir(path, guest, rights)
        .map_err(|error| unreachable(path, &error))?;
    Ok(())
}

/// The real path of what is `inside` a directory, links followed but not out of it. Found by the means that guard it later, so it
/// is known from the start that they work.
fn real_path(directory: &Directory, inside: &str) -> Result<PathBuf, Ending> {
    let opened = fs_err::File::open(&directory.host).map_err(|error| Ending::Host {
        reason: error.to_string(),
    })?;
    files::beneath(opened.file(), inside, true)
        .map_err(std::io::Error::from)
        .and_then(|itself| files::location(&itself))
        .map_err(|error| unreachable(&directory.host.join(inside), &error.into()))
}

fn unreachable(path: &Path, error: &wasmtime::Error) -> Ending {
    Ending::Host {
        reason: format!(
            "showing the directory {} to WebAssembly: {error:#} (this needs Linux 5.6 and /proc)",
            path.display()
        ),
    }
}
