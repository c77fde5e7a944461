//! Podman, through the socket that speaks Docker's language.

use capstan_tests::Engine;

use crate::scene::{Scene, assert_says, story};

/// The address of the service that `tests/scripts/podman` starts.
fn address() -> String {
    std::env::var("CAPSTAN_TEST_PODMAN").unwrap_or_else(|_| {
        panic!("CAPSTAN_TEST_PODMAN is not set: run `make test`, or export what `tests/scripts/podman start` prints")
    })
}

fn scene() -> Scene {
    Scene::on(Engine::at(address()), &[("README.md", "hi\n")])
}

#[test]
fn steps_run_and_are_diffed() {
    let scene = scene();
    let steps = [
        (
            "busybox:stable",
            "echo \"hello from $PWD\" >> README.md; mkdir -m 700 dir; echo x > dir/x",
        ),
        ("busybox:stable", "cat dir/x >> README.md"),
    ];
    let output = scene.batch(&steps).env("DOCKER_HOST", address()).run();
    output.assert_code(0);
    insta::assert_snapshot!(scene.diff(), @r"
    diff --git README.md README.md
    index 45b983b..1344e08 100644
    --- README.md
    +++ README.md
    @@ -1 +1,3 @@
     hi
    +hello from /work
    +x
    diff --git dir/x dir/x
    new file mode 100644
    index 0000000..587be6b
    --- /dev/null
    +++ dir/x
    @@ -0,0 +1 @@
    +x
    ");
}

#[test]
fn a_failing_step_is_told_as_anywhere() {
    let scene = scene();
    let steps = [("busybox:stable", "echo so far; echo oops >&2; exit 7")];
    let output = scene.batch(&steps).env("DOCKER_HOST", address()).run();
    output.assert_code(1);
    insta::assert_snapshot!(story(&output), @r"
    ✗ widgets: step 1 failed
      run: echo so far; echo oops >&2; exit 7
      container: busybox:stable

      standard out:
      	so far

      standard error:
      	oops

      Command failed with exit code 7.
    ");
}

#[test]
fn a_step_that_takes_too_long_is_stopped() {
    let scene = scene();
    let output = scene
        .batch(&[("busybox:stable", "sleep 1000")])
        .args(["--timeout", "8s"])
        .env("DOCKER_HOST", address())
        .run();
    output.assert_code(1);
    assert_says(&story(&output), &["Timeout reached."]);
}

#[test]
fn an_image_that_cannot_be_had_is_told() {
    let scene = scene();
    let output = scene
        .batch(&[("127.0.0.1:1/acme/missing:1", "true")])
        .env("DOCKER_HOST", address())
        .run();
    output.assert_code(1);
    assert_says(
        &story(&output),
        &["connection refused", "hint: the engine cannot reach"],
    );
}
