//! The image of the binary under test, as the Dockerfile of `examples/deploy` makes it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::binary::capstan;

/// Each build takes the place of the one before.
const NAME: &str = "capstan-test/capstan:latest";

/// The name of the image; it is built when it is first asked for. `CAPSTAN_TEST_IMAGE` names another.
///
/// # Panics
/// When it cannot be built.
pub fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| match std::env::var("CAPSTAN_TEST_IMAGE") {
        Ok(image) if !image.is_empty() => image,
        _ => build(),
    })
}

fn build() -> String {
    let context = tempfile::tempdir().expect("a temporary directory can be made");
    // Its symbols are nine tenths of it.
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(context.path().join("capstan"))
        .arg(capstan())
        .status();
    assert!(stripped.expect("strip runs").success());
    let before = id();
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy/Dockerfile");
    docker(
        Command::new("docker")
            .args(["build", "--quiet", "--target", "prebuilt", "--tag", NAME])
            .args(["--build-arg", "BASE=capstan-test/base:latest", "--file"])
            .arg(dockerfile)
            .arg(context.path()),
    );
    if let Some(before) = before
        && id().as_ref() != Some(&before)
    {
        // Containers of another run may have it.
        let _ = Command::new("docker")
            .args(["image", "rm", &before])
            .output();
    }
    NAME.to_owned()
}

fn id() -> Option<String> {
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", "--format", "{{.Id}}", NAME]);
    let output = inspect.output().expect("the docker client runs");
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(id)
}

fn docker(command: &mut Command) -> Output {
    let output = command.output().expect("the docker client runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
