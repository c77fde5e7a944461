//! Many workspaces at a time.

use std::fs;

use capstan_tests::{Engine, Repository, World};

use crate::specs;

fn repositories(world: &World, count: usize) -> Vec<Repository> {
    (1..=count)
        .map(|n| world.repository(&format!("r{n:02}"), &[("README.md", "hi\n")]))
        .collect()
}

/// What a finished run leaves behind: directories of runs, and files in the temporary directory.
pub(crate) fn leftovers(world: &World) -> Vec<String> {
    let runs = world.files(world.home().join(".local/state/capstan/runs"));
    runs.into_iter()
        .chain(world.files(world.root().join("tmp")))
        .collect()
}

#[test]
fn a_failing_workspace_does_not_stop_the_others() {
    let engine = Engine::require();
    let world = World::new();
    let repositories = repositories(&world, 8);
    let script = "case ${{ repository.name }} in
        r03) echo to stdout; echo it went wrong >&2; exit 42;;
        esac; echo more >> README.md";
    let spec = world.write("spec.yaml", specs::of(&["true", script]));
    let output = world
        .capstan(["batch", "run", "-j", "4", "--output", "out", "-f"])
        .arg(spec)
        .args(repositories.iter().map(Repository::path))
        .run();
    output.assert_code(1);
    let names: Vec<_> = world
        .changesets("out")
        .iter()
        .map(|changeset| {
            changeset["baseRepository"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["r01", "r02", "r04", "r05", "r06", "r07", "r08"]);
    let stderr = output.stderr();
    let (_, summary) = stderr
        .split_once("✗ ")
        .expect("the failure is told after all that is done");
    insta::assert_snapshot!(summary, @r"
    r03: step 2 failed
      run: case r03 in
      	(... and 2 more lines)
      container: alpine:3

      standard out:
      	to stdout

      standard error:
      	it went wrong

      Command failed with exit code 42.
      log: $WORLD/home/.local/state/capstan/logs/<run>/0002-r03-b490fed1abace25d1a2b01dc984148bc9dc2558e.log
    wrote out/changesets.json
    8 workspaces: 7 done, 1 failed; 7 changesets; <time>
    ");
    let raw = String::from_utf8_lossy(output.raw_stderr()).into_owned();
    let (_, log) = raw.split_once("log: ").expect("it has been told");
    let log = fs::read_to_string(log.lines().next().unwrap_or_default()).expect("it is there");
    assert!(
        log.contains("to stdout") && log.contains("it went wrong"),
        "{log}"
    );
    assert_eq!(leftovers(&world), [""; 0]);
    engine.assert_no_containers(&world);
}

#[test]
fn fail_fast_stops_the_others() {
    let engine = Engine::require();
    let world = World::new();
    let repositories = repositories(&world, 6);
    let script = "if [ ${{ repository.name }} = r01 ]; then exit 42; fi; sleep 1000";
    let spec = world.write("spec.yaml", specs::of(&[script]));
    let output = world
        .capstan([
            "batch",
            "run",
            "-j",
            "2",
            "--fail-fast",
            "--output",
            "out",
            "-f",
        ])
        .arg(spec)
        .args(repositories.iter().map(Repository::path))
        .run();
    output.assert_code(1);
    let stderr = output.stderr();
    let last = stderr.lines().last().unwrap_or_default();
    insta::assert_snapshot!(last, @"6 workspaces: 0 done, 1 failed, 5 cancelled; 0 changesets; <time>");
    assert!(world.changesets("out").is_empty());
    assert_eq!(leftovers(&world), [""; 0]);
    engine.assert_no_containers(&world);
}

#[test]
fn sixty_workspaces_leave_nothing_behind() {
    let engine = Engine::require();
    let world = World::new();
    let files: Vec<String> = (1..=60).map(|n| format!("{n:02}/mod")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|file| (file.as_str(), "x\n")).collect();
    let mono = world.repository("mono", &files);
    let spec = specs::of(&["echo more >> mod"])
        .replace(
            r#""branch":"change""#,
            r#""branch":"change-${{ steps.path }}""#,
        )
        .replacen('{', r#"{"workspaces":[{"rootAtLocationOf":"mod"}],"#, 1);
    let spec = world.write("spec.yaml", spec);
    let mut running = world
        .capstan(["batch", "run", "-j", "4", "--output", "out", "-f"])
        .arg(&spec)
        .arg(mono.path())
        .spawn();
    let handles = format!("/proc/{}/fd", running.id());
    let mut most = 0;
    while running.is_running() {
        most = most.max(fs::read_dir(&handles).map_or(0, Iterator::count));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.wait().assert_code(0);
    assert!(most < 120, "{most} files were open at a time");
    let branches: Vec<_> = world
        .changesets("out")
        .iter()
        .map(|changeset| changeset["headRef"].as_str().unwrap_or_default().to_owned())
        .collect();
    let expected: Vec<_> = (1..=60)
        .map(|n| format!("refs/heads/change-{n:02}"))
        .collect();
    assert_eq!(branches, expected);
    assert_eq!(leftovers(&world), [""; 0]);
    engine.assert_no_containers(&world);

    // All of it is known now, and told in the same order.
    let first = world.read("out/changesets.json");
    world
        .capstan(["batch", "run", "--output", "out", "-f"])
        .arg(&spec)
        .arg(mono.path())
        .run()
        .assert_code(0);
    assert_eq!(world.read("out/changesets.json"), first);
}
