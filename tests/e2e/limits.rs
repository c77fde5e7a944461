//! What steps may use, for how long, and where the settings come from.

use crate::scene::{Scene, assert_says, story, yaml};

#[test]
fn a_step_sees_its_limits() {
    let scene = Scene::new();
    // Of cgroup version 1, then of 2.
    let script = r#"
set -e
cd /sys/fs/cgroup
{
    cat memory/memory.limit_in_bytes || cat memory.max
    cat pids/pids.max || cat pids.max
    { cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us || cat cpu.max; } | tr '\n' ' '
} 2>/dev/null > /work/limits
"#;
    let flags = ["--memory", "64MiB", "--pids", "100", "--cpus", "0.5"];
    let steps = [("alpine:3", script)];
    scene.batch(&steps).args(flags).run().assert_code(0);
    let diff = scene.diff();
    assert!(diff.contains("+67108864\n+100\n+50000 100000"), "{diff}");
}

#[test]
fn a_step_out_of_memory_is_told() {
    let scene = Scene::new();
    let output = scene
        .batch(&[("alpine:3", "head -c 200000000 /dev/zero | tail > /dev/null")])
        .args(["--memory", "16MiB"])
        .run();
    output.assert_code(1);
    assert_says(
        &story(&output),
        &[
            "Command failed with exit code 137.\n",
            "hint: the kernel stopped the step for lack of memory: raise the memory limit",
        ],
    );
}

#[test]
fn a_fork_bomb_meets_the_limit_of_processes() {
    let scene = Scene::new();
    let bomb = "bomb() { bomb | bomb & }; bomb; while :; do sleep 1000 & done";
    let output = scene
        .batch(&[("alpine:3", bomb)])
        .args(["--pids", "32", "--timeout", "20s"])
        .run();
    output.assert_code(1);
    let story = story(&output);
    assert!(story.contains("can't fork"), "{story}");
}

#[test]
fn a_step_without_network_has_only_its_loopback() {
    let scene = Scene::new();
    let steps = [("alpine:3", "ls /sys/class/net | tr '\\n' ' ' > interfaces")];
    for (mode, has_more) in [("none", false), ("bridge", true)] {
        let command = scene.batch(&steps).args(["--no-cache", "--network", mode]);
        command.run().assert_code(0);
        let diff = scene.diff();
        assert!(diff.contains("lo "), "{mode}: {diff}");
        assert_eq!(diff.contains("eth0 "), has_more, "{mode}: {diff}");
    }
}

#[test]
fn a_network_that_does_not_exist_is_told() {
    let scene = Scene::new();
    let output = scene
        .batch(&[("alpine:3", "true")])
        .args(["--network", "no-such-network"])
        .run();
    output.assert_code(1);
    assert_says(
        &story(&output),
        &[
            "starting a container of image \"alpine:3\": ",
            "network no-such-network not found",
            "hint: check the --network setting (`docker network ls`)",
        ],
    );
}

#[test]
fn host_paths_are_shown_to_steps_and_written_only_if_asked() {
    let scene = Scene::new();
    scene.world.write("given/file", "from the host\n");
    let mount = |end: &str| format!("{}:/given{end}", scene.world.work().join("given").display());
    let steps = [("alpine:3", "cat /given/file > seen; echo x > /given/made")];

    let output = scene.batch(&steps).args(["--mount", &mount("")]).run();
    output.assert_code(1);
    assert!(story(&output).contains("Read-only file system"), "{output}");
    assert_eq!(scene.world.files("given"), ["file"]);

    let output = scene.batch(&steps).args(["--mount", &mount(":rw")]).run();
    output.assert_code(0);
    assert!(scene.diff().ends_with("+from the host\n"), "{output}");
    assert_eq!(scene.world.files("given"), ["file", "made"]);
}

#[test]
fn a_mount_of_nothing_is_refused_before_anything_runs() {
    let scene = Scene::new();
    let output = scene
        .batch(&[("alpine:3", "true")])
        .args(["--mount", "/no/such/path:/given"])
        .run();
    insta::assert_snapshot!(output, @r#"
    --- stderr
    error: mounts = "/no/such/path:/given" from the flag --mount: failed to canonicalize path `/no/such/path`: No such file or directory (os error 2)
    --- exit 2
    "#);
}

#[test]
fn a_workspace_has_a_time_limit() {
    let scene = Scene::new();
    let output = scene
        .batch(&[("alpine:3", "echo begun; sleep 1000")])
        .args(["--timeout", "5s"])
        .run();
    output.assert_code(1);
    let raw = String::from_utf8_lossy(output.raw_stderr()).into_owned();
    assert!(
        raw.contains("Timeout reached. Execution took longer than 5s."),
        "{raw}"
    );
    insta::assert_snapshot!(story(&output), @r"
    ✗ widgets: step 1 failed
      Timeout reached. Execution took longer than <time>.
    ");
    // Unlike what was said, what was written is kept.
    assert!(
        scene.logs().contains("stdout | begun\n"),
        "{}",
        scene.logs()
    );
}

#[test]
fn a_step_has_a_time_limit() {
    let scene = Scene::new();
    let output = scene
        .batch(&[
            ("alpine:3", "echo x > x"),
            ("alpine:3", "trap '' TERM; sleep 1000"),
        ])
        .args(["--step-timeout", "2s"])
        .run();
    output.assert_code(1);
    insta::assert_snapshot!(story(&output), @r"
    ✗ widgets: step 2 failed
      Timeout reached. Execution took longer than <time>.
    ");
}

#[test]
fn containers_made_ahead_of_skipped_steps_are_put_away() {
    let scene = Scene::new();
    let steps = r#"
  - container: alpine:3
    run: echo 1 >> ran
  - if: ${{ eq previous_step.stdout "never" }}
    container: capstan-test/bash
    run: echo 2 >> ran
  - if: ${{ eq previous_step.stdout "never" }}
    container: capstan-test/nonroot
    run: echo 3 >> ran
  - container: alpine:3
    run: echo 4 >> ran
  - container: alpine:3
    run: exit 1
  - container: alpine:3
    run: echo 6 >> ran
"#;
    for ahead in ["0", "1", "3", "100"] {
        let output = scene
            .yaml(steps)
            .args(["--no-cache", "--prepare-ahead", ahead])
            .run();
        output.assert_code(1);
        let stderr = output.stderr();
        for told in ["step 2/6: skipped", "step 3/6: skipped", "step 5 failed"] {
            assert!(stderr.contains(told), "{ahead}: {stderr}");
        }
        scene.engine.assert_nothing_left(&scene.world);
    }
}

#[test]
fn settings_come_from_the_file_then_the_environment_then_the_flags() {
    let scene = Scene::new();
    let steps = yaml(&[("capstan-test/nonroot", "sleep 1000")]);
    let limit = |command: capstan_tests::Capstan<'_>| {
        let output = command.run();
        output.assert_code(1);
        let raw = String::from_utf8_lossy(output.raw_stderr()).into_owned();
        let (_, rest) = raw.rsplit_once("Execution took longer than ").expect(&raw);
        rest.split_once(".\n").expect(&raw).0.to_owned()
    };
    scene.world.write("capstan.toml", "timeout = \"301ms\"\n");
    assert_eq!(limit(scene.yaml(&steps)), "301ms");
    let by_environment = || scene.yaml(&steps).env("CAPSTAN_TIMEOUT", "302ms");
    assert_eq!(limit(by_environment()), "302ms");
    let by_flag = by_environment().args(["--timeout", "303ms"]);
    assert_eq!(limit(by_flag), "303ms");
    let empty = scene.yaml(&steps).env("CAPSTAN_TIMEOUT", "");
    assert_eq!(limit(empty), "301ms");
}

#[test]
fn every_limit_can_be_a_setting() {
    let scene = Scene::new();
    let given = scene.world.write("given/file", "from the host\n");
    let mount = format!("{}:/given/file", given.display());
    scene.world.write(
        "capstan.toml",
        format!("run-as-root = true\nnetwork = \"none\"\nmounts = [\"{mount}\"]\n"),
    );
    let script = "{ id -u; ls /sys/class/net | tr '\\n' ' '; cat /given/file; } > seen";
    let steps = [("capstan-test/nonroot", script)];
    scene.batch(&steps).run().assert_code(0);
    let from_file = scene.diff();
    assert!(from_file.contains("\n+0\n+"), "{from_file}");
    assert!(!from_file.contains("eth0"), "{from_file}");
    assert!(from_file.ends_with("from the host\n"), "{from_file}");

    scene.world.write("capstan.toml", "");
    scene
        .batch(&steps)
        .arg("--no-cache")
        .env("CAPSTAN_RUN_AS_ROOT", "true")
        .env("CAPSTAN_NETWORK", "none")
        .env("CAPSTAN_MOUNTS", &mount)
        .run()
        .assert_code(0);
    assert_eq!(scene.diff(), from_file);
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let scene = Scene::new();
    for (flag, value) in [
        ("--memory", "lots"),
        ("--cpus", "-1"),
        ("--pids", "0"),
        ("--timeout", "soon"),
        ("--prepare-ahead", "some"),
    ] {
        let command = scene.batch(&[("alpine:3", "true")]);
        let output = command.arg(format!("{flag}={value}")).run();
        output.assert_code(2);
        let stderr = output.stderr();
        assert!(
            stderr.contains(flag) && stderr.contains(value),
            "{flag} {value}: {stderr}"
        );
    }
}
