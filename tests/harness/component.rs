//! Components for steps in WebAssembly, made from single Rust files by the compiler alone.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Components that were made: by source and flags.
type Made = Mutex<HashMap<(PathBuf, Vec<String>), PathBuf>>;

/// The component that a program, a path in the repository, compiles to. Compiled once per run of a test program, with `flags` for
/// the compiler besides.
pub fn component(source: impl AsRef<Path>, flags: &[&str]) -> PathBuf {
    static MADE: OnceLock<Made> = OnceLock::new();
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(source);
    let key = (
        source,
        flags.iter().map(|flag| (*flag).to_owned()).collect(),
    );
    // Held while compiling: the others that want the same would only wait, too.
    let mut made = MADE
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = made.get(&key) {
        return path.clone();
    }
    let path = compile(&key.0, flags);
    made.insert(key, path.clone());
    path
}

fn compile(source: &Path, flags: &[&str]) -> PathBuf {
    // Programs of tests lie in target/<profile>/deps.
    let program = std::env::current_exe().expect("a running program has a path");
    let profile = program.parent().and_then(Path::parent);
    let directory = profile.expect("it lies in a profile").join("components");
    fs::create_dir_all(&directory).expect("the target directory is writable");
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let name = [&[&*stem], flags]
        .concat()
        .join("-")
        .replace(['/', '='], "-");
    let path = directory.join(format!("{name}.wasm"));
    // Another program may be reading an older one.
    let aside = directory.join(format!("{name}.{}", std::process::id()));
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--target", "wasm32-wasip2"])
        .args([
            "-C",
            "opt-level=s",
            "-C",
            "strip=debuginfo",
            "-D",
            "warnings",
        ])
        .args(flags)
        .arg("-o")
        .arg(&aside)
        .arg(source)
        .stdin(Stdio::null())
        .output()
        .expect("rustc runs");
    assert!(
        output.status.success(),
        "{} does not compile; `rustup target add wasm32-wasip2` may help\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&aside, &path).expect("the target directory is writable");
    path
}
