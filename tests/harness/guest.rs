//! Plugins for tests, made from crates that are workspaces of their own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs};

use serde_json::Value;

/// The component that a crate, a directory in the repository, compiles to, with the versions of its own `Cargo.lock`. Built once per
/// run of a test program; what guests have in common is built once for all. Panics with what cargo said if it does not build.
pub fn guest(directory: impl AsRef<Path>) -> PathBuf {
    guest_with(directory, "")
}

/// The same, with these features.
pub(crate) fn guest_with(directory: impl AsRef<Path>, features: &str) -> PathBuf {
    static MADE: OnceLock<Mutex<HashMap<Guest, Result<PathBuf, String>>>> = OnceLock::new();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let guest = Guest {
        directory: root.join(directory),
        features: features.to_owned(),
    };
    // Held while building: the others that want the same would only wait, too.
    let mut made = MADE
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let built = made.entry(guest).or_insert_with_key(build).clone();
    drop(made);
    built.unwrap_or_else(|said| panic!("{said}"))
}

#[derive(PartialEq, Eq, Hash)]
struct Guest {
    directory: PathBuf,
    features: String,
}

fn build(guest: &Guest) -> Result<PathBuf, String> {
    let failed = |why: &str| {
        let place = guest.directory.display();
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
        .args(["--features", &guest.features])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(target())
        .current_dir(&guest.directory)
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
    let Some(component) = component else {
        return failed("cargo built it and named no component");
    };
    if guest.features.is_empty() {
        return Ok(component);
    }
    // Cargo writes the crate to one path, whatever its features; and another program may be reading an older one.
    let kept = component.with_extension(format!("{}.wasm", guest.features));
    let aside = kept.with_extension(std::process::id().to_string());
    match fs::copy(&component, &aside).and_then(|_| fs::rename(&aside, &kept)) {
        Ok(()) => Ok(kept),
        Err(error) => failed(&format!("{}: {error}", kept.display())),
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
