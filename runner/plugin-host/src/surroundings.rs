//! What of the world outside an instance sees: nothing, unless it is granted.

use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::command::Directory;
use crate::failure::Ending;
use crate::messages::{Messages, Standard};

/// Most random bytes of one call, in bytes.
const RANDOM: u64 = 1024 * 1024;

/// What is granted to an instance. The default grants nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// Environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Directories.
    pub(crate) directories: Vec<Directory>,
    /// Whether it may open connections.
    pub(crate) network: bool,
}

impl Surroundings {
    /// The WASI context that grants just this.
    pub(crate) fn context(&self, messages: &Messages) -> Result<WasiCtx, Ending> {
        let mut wasi = WasiCtx::builder();
        wasi.max_random_size(RANDOM)
            .envs(&self.environment)
            .stdout(messages.stream(Standard::Out))
            .stderr(messages.stream(Standard::Err));
        for directory in &self.directories {
            let rights = if directory.read_only {
                FsPerms::ReadOnly
            } else {
                FsPerms::ReadWrite
            };
            wasi.preopened_dir(&directory.host, &directory.guest, rights)
                .map_err(|error| Ending::Host {
                    reason: format!("opening {}: {error:#}", directory.host.display()),
                })?;
        }
        if self.network {
            wasi.inherit_network()
                .allow_tcp(true)
                .allow_udp(true)
                .allow_ip_name_lookup(true);
        }
        Ok(wasi.build())
    }
}
