//! Images as people find them: missing, without a shell, with a user or an entry point, for other machines.

use capstan_tests::Engine;

use crate::scene::{Scene, assert_says, story, yaml};

#[test]
fn a_missing_image_fails_the_workspaces_that_need_it() {
    let scene = Scene::new();
    scene.world.repository("gadgets", &[("README.md", "hi\n")]);
    let output = scene
        .yaml(
            r#"
  - if: ${{ eq repository.name "gadgets" }}
    container: 127.0.0.1:1/acme/missing:1
    run: echo never
  - container: alpine:3
    run: echo hello >> README.md
"#,
        )
        .arg("gadgets")
        .run();
    output.assert_code(1);
    // What is between is the engine's own text.
    assert_says(
        &story(&output),
        &[
            "✗ gadgets: step 1 failed\n  failed to pull image for step 1: 127.0.0.1:<port>/acme/missing:1: ",
            "connection refused",
            "hint: the engine cannot reach 127.0.0.1:<port>; check the name, the network, and the engine's proxy and CA settings",
        ],
    );
    assert_eq!(
        scene.world.files("out"),
        ["changesets.json", "widgets/test.patch"]
    );
}

#[test]
fn an_image_name_that_is_none_is_refused() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.failure_of(1, &[("Acme/Tool:1", "true")]), @r#"
    ✗ widgets: step 1 failed
      failed to pull image for step 1: Acme/Tool:1: pulling image "Acme/Tool:1": failed to pull image: invalid reference format
    hint: write the image as [registry/]name[:tag], in lower case
    "#);
}

#[test]
fn an_image_without_a_shell_is_told() {
    let scene = Scene::new();
    let story = scene.failure_of(1, &[("capstan-test/no-shell", "true")]);
    assert_says(
        &story,
        &[
            "✗ widgets: step 1 failed\n  probing image \"capstan-test/no-shell\" for shell: 2 errors occurred:\n",
            "* probing shell \"/bin/sh\":\n",
            "* probing shell \"/bin/bash\":\n",
            "hint: use an image that has /bin/sh or /bin/bash; `scratch` and `distroless` images have none",
        ],
    );
}

#[test]
fn bash_runs_scripts_where_there_is_one() {
    let scene = Scene::new();
    let script = r#"[ -n "$BASH_VERSION" ] && shell=bash || shell=sh; echo $shell >> shells"#;
    let diff = scene.diff_of(&[("capstan-test/bash", script), ("alpine:3", script)]);
    assert!(diff.ends_with("+bash\n+sh\n"), "{diff}");
}

#[test]
fn an_image_decides_its_environment_but_not_what_runs_or_where() {
    let scene = Scene::new();
    let diff = scene.diff_of(&[(
        "capstan-test/odd",
        "echo \"$PWD FROM_IMAGE=$FROM_IMAGE\" > seen",
    )]);
    assert!(diff.ends_with("+/work FROM_IMAGE=yes\n"), "{diff}");
}

#[test]
fn a_step_runs_as_the_images_user_or_as_root() {
    let scene = Scene::new();
    let steps = yaml(&[("capstan-test/nonroot", "id -u > user")]);
    for (flags, user) in [(&[][..], "1000"), (&["--run-as-root"], "0")] {
        let output = scene.yaml(&steps).args(flags).arg("--no-cache").run();
        output.assert_code(0);
        let diff = scene.diff();
        assert!(diff.ends_with(&format!("+{user}\n")), "{flags:?}: {diff}");
    }
}

/// The platform of this machine's engine, and that of the image `capstan-test/foreign`.
fn platforms() -> (&'static str, &'static str) {
    match std::env::consts::ARCH {
        "x86_64" => ("linux/amd64", "linux/arm64"),
        _ => ("linux/arm64", "linux/amd64"),
    }
}

#[test]
fn an_image_of_another_platform_is_told_as_such() {
    let scene = Scene::new();
    let (own, foreign) = platforms();
    let story = scene.failure_of(1, &[("capstan-test/foreign", "true")]);
    let story = story.replace(own, "<own>").replace(foreign, "<foreign>");
    insta::assert_snapshot!(story, @r"
    ✗ widgets: step 1 failed
      failed to pull image for step 1: capstan-test/foreign: image capstan-test/foreign is for <foreign>, this engine runs <own>
    hint: get the right one with `docker pull --platform <own> capstan-test/foreign` or choose an image built for it; if this engine can emulate the other, say --platform <foreign>
    ");
}

#[test]
fn insisting_on_a_platform_shows_that_its_programs_do_not_run_here() {
    let scene = Scene::new();
    let (own, foreign) = platforms();
    let output = scene
        .batch(&[("capstan-test/foreign", "true")])
        .args(["--platform", foreign])
        .run();
    output.assert_code(1);
    let story = story(&output);
    let story = story.replace(own, "<own>").replace(foreign, "<foreign>");
    assert_says(
        &story,
        &[
            "image capstan-test/foreign holds programs for another platform, this engine runs <own>: ",
            "hint: choose an image built for <own>, or install emulation",
        ],
    );
}

#[test]
fn a_platform_that_the_image_has_is_no_reason_to_pull() {
    let scene = Scene::new();
    let output = scene
        .batch(&[("alpine:3", "echo x > x")])
        .args(["--platform", platforms().0])
        .run();
    output.assert_code(0);
    assert!(!output.stderr().contains("[alpine:3]"), "{output}");
}

#[test]
fn an_earlier_step_may_name_the_image() {
    let scene = Scene::new();
    scene
        .yaml(
            r"
  - container: alpine:3
    run: printf capstan-test/bash
    outputs:
      image:
        value: ${{ step.stdout }}
  - container: ${{ outputs.image }}
    run: bash -c 'echo from bash' > made
",
        )
        .run()
        .assert_code(0);
    let diff = scene.diff();
    assert!(diff.ends_with("+from bash\n"), "{diff}");
}

#[test]
fn an_image_is_found_by_its_id() {
    let id = Engine::require().docker(&["image", "inspect", "--format", "{{.Id}}", "alpine:3"]);
    let scene = Scene::new();
    let diff = scene.diff_of(&[(&id, "echo x > x")]);
    assert!(diff.ends_with("+x\n"), "{diff}");
}
