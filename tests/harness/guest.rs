//! Plugins for tests, made from crates that are workspaces of their own.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

/// The component that a crate, a directory in the repository, compiles to, with the versions of its own `Cargo.lock`. Built once per
/// run of a test program; what guests have in common is built once for all. Panics with what cargo said if it does not build.
pub fn guest(directory: impl AsRef<Path>) -> PathBuf {
    static MADE: OnceLock<Mutex<HashMap<PathBuf, Result<PathBuf, String>>>> = OnceLock::new();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let directory = root.join(directory);
    // Held while building: the others that want the same would only wait, too.
    let mut made = MADE
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let built = made
        .entry(directory)
        .or_insert_with_key(|directory| build(directory))
        .clone();
    drop(made);
    built.unwrap_or_else(|said| panic!("{said}"))
}

fn build(directory: &Path) -> Result<PathBuf, String> {
    let failed = |why: &str| {
        let place = directory.display();
        Err(format!(
            "{place} does not build; `rustup target add wasm32-wasip2` may help\n{why}"
        ))
    };
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            "wasm32-wasip2",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(target())
        .current_dir(directory)
        // Flags for this machine's processor are none for WebAssembly.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => return failed(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => return failed(&format!("cargo: {error}")),
    };
    let stdout = String::from_utf8_lossy(&output.stdout);
    let component = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|message: Value| {
            let files = message["filenames"].as_array()?;
            let mut files = files.iter().filter_map(Value::as_str);
            files
                .find(|file| file.ends_with(".wasm"))
                .map(PathBuf::from)
        })
        .next_back();
    match component {
        Some(component) => Ok(component),
        None => failed("cargo built it and named no component"),
    }
}

/// Where guests are built: `target/guests`, whatever the profile of the tests.
fn target() -> PathBuf {
    // Programs of tests lie in target/<profile>/deps.
    let program = env::current_exe().expect("a running program has a path");
    let target = program.ancestors().nth(3);
    target
        .expect("it lies in a target directory")
        .join("guests")
}
