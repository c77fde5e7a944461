//! Rust: cargo alone, for its `wasm32-wasip2` makes components.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Job;
use super::toolchain::Program;
use crate::failure::Failed;

const TARGET: &str = "wasm32-wasip2";

pub(super) async fn build(job: &Job<'_>) -> Result<(), Failed> {
    let cargo = Program::find(job.environment, &["cargo"]).ok_or_else(|| {
        Failed::environment("building a Rust plugin needs cargo, which is not in the PATH")
            .hint("install Rust: https://rustup.rs")
    })?;
    has_target(job).await?;
    let arguments = [
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format=json-render-diagnostics",
    ];
    let messages = cargo.run_for_output(job.directory, arguments).await?;
    let built = component(&messages).ok_or_else(|| {
        Failed::run("cargo built no component")
            .hint("Cargo.toml needs crate-type = [\"cdylib\"] under [lib]")
    })?;
    fs_err::copy(&built, &job.output)
        .map(drop)
        .map_err(Failed::environment)
}

/// Whether the toolchain of the plugin's directory has the standard library for components.
async fn has_target(job: &Job<'_>) -> Result<(), Failed> {
    let Some(rustc) = Program::find(job.environment, &["rustc"]) else {
        // Cargo may know where it is.
        return Ok(());
    };
    let directory = rustc
        .answer(
            job.directory,
            &["--print", "target-libdir", "--target", TARGET],
        )
        .await;
    if Path::new(&directory).is_dir() {
        return Ok(());
    }
    Err(Failed::environment(format!(
        "the Rust toolchain has no standard library for {TARGET}"
    ))
    .hint(format!(
        "run `rustup target add {TARGET}` in the plugin's directory"
    )))
}

/// The last component among what cargo says it made: a plugin's dependencies come before it.
fn component(messages: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .flat_map(|message| message.filenames)
        .rfind(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_what_cargo_made_last() {
        let messages = br#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/x.wasm"]}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(component(messages), Some("/t/x.wasm".into()));
        assert_eq!(component(b"not json\n"), None);
    }
}
