//! Plugins for runs: the official ones, one of an earlier version, and one that does what a test wants.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs};

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
/// Built once per run of a test program.
pub fn probe_plugin(hooks: &'static str) -> PathBuf {
    static MADE: OnceLock<Mutex<HashMap<&'static str, PathBuf>>> = OnceLock::new();
    // Held while building: cargo writes all of them to one path.
    let mut made = MADE
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = made.get(hooks) {
        return path.clone();
    }
    let path = build_probe(hooks);
    made.insert(hooks, path.clone());
    path
}

fn build_probe(hooks: &str) -> PathBuf {
    // Shared with the official plugins, which depend on the same.
    let target = built().join("build");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--release"])
        .args(["--target", "wasm32-wasip2", "--features", hooks])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root().join("tests/e2e/components/probe"))
        // Flags for this machine's processor are none for WebAssembly.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "the probe could not be built; `rustup target add wasm32-wasip2` may help"
    );
    let path = target.join(format!("probe-{hooks}.wasm"));
    // Another program may be reading an older one.
    let aside = target.join(format!("probe-{hooks}.{}", std::process::id()));
    fs::copy(target.join("wasm32-wasip2/release/probe.wasm"), &aside)
        .and_then(|_| fs::rename(&aside, &path))
        .expect("the target directory is writable");
    path
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
