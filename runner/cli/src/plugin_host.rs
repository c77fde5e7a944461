//! The host of plugins, made as the settings say.

use capstan_plugin_host::{Compiler, Host, Options};

use crate::config::Config;
use crate::failure::Failed;

/// The hidden command that compiles components; see [`Compiler::Worker`].
pub(crate) const COMPILE_COMMAND: &str = "internal-compile-plugin";

/// Most bytes of compiled code that are kept.
const CACHE_LIMIT: u64 = 4 << 30;

/// Makes the host. Compiled code is kept in the cache directory; the key that authenticates it, in the state directory.
pub(crate) fn open(config: &Config) -> Result<Host, Failed> {
    let program = std::env::current_exe().map_err(|error| {
        Failed::environment(format!("looking for capstan's own program: {error}"))
    })?;
    for directory in [&config.cache_dir, &config.key_dir] {
        fs_err::create_dir_all(directory).map_err(Failed::environment)?;
    }
    Host::new(Options {
        cache: Some(config.cache_dir.join("plugins")),
        key: Some(config.key_dir.join("plugin-cache.key")),
        cache_limit: CACHE_LIMIT,
        compiler: Compiler::Worker {
            program,
            arguments: vec![COMPILE_COMMAND.into()],
        },
    })
    .map_err(|error| {
        Failed::environment(error)
            .hint("choose other directories with CAPSTAN_CACHE_DIR and CAPSTAN_STATE_DIR")
    })
}
