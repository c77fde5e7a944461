//! Finds the binary under test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The binary under test: `CAPSTAN_BIN`, which `make test` sets, else the one that cargo builds, once per
/// test program, into the profile directory this program lies in.
pub fn capstan() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = env::var_os("CAPSTAN_BIN").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "CAPSTAN_BIN is {}, which is no file",
                path.display()
            );
            return path;
        }
        build()
    })
}

fn build() -> PathBuf {
    // target/<profile>/deps/e2e-<hash>
    let program = env::current_exe().expect("a running program has a path");
    let profile_dir = program
        .parent()
        .and_then(Path::parent)
        .expect("test programs lie in target/<profile>/deps");
    let target_dir = profile_dir.parent().expect("it has a parent");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("{} has no profile's name", profile_dir.display()),
    };
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "-p", "capstan", "--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo could not build the capstan binary");
    profile_dir.join("capstan")
}
