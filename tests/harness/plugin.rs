//! Plugins for runs: the official ones, one of an earlier version, and one that does what a test wants.

use std::env;
use std::path::{Path, PathBuf};

use crate::guest::guest_with;

/// An official plugin, as `plugins/build` has built it. Panics, saying what to do, if it has not.
pub fn official_plugin(name: &str) -> PathBuf {
    let path = built().join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "{} is not there: run `plugins/build`, as `make test` does",
        path.display()
    );
    path
}

/// The plugin that was built against version 0.1.0 of the contract and has every hook; see `tests/frozen/0.1.0/README.md`.
pub fn frozen_plugin() -> PathBuf {
    root().join("tests/frozen/0.1.0/every-hook.wasm")
}

/// The plugin of `tests/e2e/components/probe`, which does what its configuration says: with `hooks` being `policy` or `others`.
pub fn probe_plugin(hooks: &'static str) -> PathBuf {
    guest_with("tests/e2e/components/probe", hooks)
}

/// Where `plugins/build` puts what it builds.
fn built() -> PathBuf {
    // One that is relative starts at the repository, where `plugins/build` runs.
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(target).join("plugins")
}

fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests lie in the repository")
}
