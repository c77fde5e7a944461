//! How workspaces get their files: in every way that this machine allows, with the same results.

use capstan_tests::{Engine, Running, Signal, World};

use crate::specs;

/// What is hard to read off a layer of changes.
const EDITS: [&str; 3] = [
    "echo more >> README.md; rm -r dir/old; mkdir dir/old; echo new > dir/old/new; mv script.sh told-again.sh; chmod 755 README.md",
    "rm -r was-dir; echo file > was-dir; rm was-file; mkdir was-file; echo inside > was-file/inside; mkdir -p build; echo x > build/out; echo x > a.log; touch dir/kept",
    "echo more >> README.md; chmod 644 README.md; ln -s dir link; chmod 600 dir/kept; echo '*.tmp' >> .gitignore; echo x > b.tmp; mkdir empty; rm dir/old/new; echo last > dir/old/last",
];

fn repository(world: &World) {
    world.repository(
        "widgets",
        &[
            (".gitignore", "build/\n*.log\n"),
            ("README.md", "hi\n"),
            ("dir/kept", "kept\n"),
            ("dir/old/one", "1\n"),
            ("dir/old/two", "2\n"),
            (
                "script.sh",
                "#!/bin/sh\necho a script that can be told again\n",
            ),
            ("was-dir/x", "x\n"),
            ("was-file", "x\n"),
        ],
    );
}

/// Runs the edits in workspaces that get their files in this way; tells the diff, or why there is none.
fn changes(world: &World, way: &str) -> Result<String, String> {
    let spec = world.write("spec.yaml", specs::of(&EDITS));
    let out = format!("out-{way}");
    let mut command = world
        .capstan(["batch", "run", "--no-cache", "--output", &out, "-f"])
        .arg(spec)
        .arg("widgets")
        .env("CAPSTAN_WORKSPACES", way);
    let elsewhere = std::env::var_os("CAPSTAN_TEST_REFLINK").filter(|_| way == "reflink");
    let elsewhere = elsewhere.map(|directory| tempfile::tempdir_in(directory).unwrap());
    if let Some(directory) = &elsewhere {
        command = command
            .env("CAPSTAN_CACHE_DIR", directory.path().join("cache"))
            .env("CAPSTAN_STATE_DIR", directory.path().join("state"));
    }
    let output = command.run();
    match output.code() {
        0 => Ok(world.read(format!("{out}/widgets/change.patch"))),
        3 => Err(output.stderr()),
        _ => panic!("{output}"),
    }
}

#[test]
fn all_ways_lead_to_the_same_changes() {
    let engine = Engine::require();
    let world = World::new();
    repository(&world);
    let expected = changes(&world, "checkout").unwrap();
    for part in [
        "rename from script.sh",
        "deleted file mode 100644",
        "new file mode 120000",
        "dir/old/last",
        "was-file/inside",
    ] {
        assert!(expected.contains(part), "{expected}");
    }
    assert!(!expected.contains("build/out"), "{expected}");
    for way in ["overlay", "volume", "reflink", "auto"] {
        match changes(&world, way) {
            Ok(found) => assert_eq!(found, expected, "{way}"),
            Err(reason) => {
                eprintln!("not tested here: {reason}");
                let asked = format!("workspaces = {way:?} is not possible here: ");
                assert!(way != "auto" && reason.contains(&asked), "{reason}");
            }
        }
    }
    engine.assert_nothing_left(&world);
}

/// A run whose only step sleeps.
fn sleeping(world: &World, way: &str) -> Running {
    let spec = world.write("spec.yaml", specs::of(&["echo asleep; sleep 1000"]));
    let mut running = world
        .capstan(["batch", "run", "-v", "-f"])
        .arg(spec)
        .arg("widgets")
        .env("CAPSTAN_WORKSPACES", way)
        .spawn();
    running.wait_for("| asleep");
    running
}

#[test]
fn what_a_killed_run_has_mounted_is_swept_by_the_next() {
    let engine = Engine::require();
    for way in ["overlay", "volume"] {
        let world = World::new();
        repository(&world);
        if let Err(reason) = changes(&world, way) {
            eprintln!("not tested here: {reason}");
            continue;
        }
        let mut running = sleeping(&world, way);
        running.signal(Signal::KILL);
        running.wait().assert_code(128 + 9);
        let left = match way {
            "overlay" => world.overlays().len(),
            _ => engine.volumes(&world).len(),
        };
        assert_eq!(left, 1);
        changes(&world, way).unwrap();
        engine.assert_nothing_left(&world);
    }
}

#[test]
fn jobs_of_one_commit_share_its_files() {
    Engine::require();
    let world = World::new();
    repository(&world);
    if let Err(reason) = changes(&world, "overlay") {
        eprintln!("not tested here: {reason}");
        return;
    }
    let trees = world.home().join(".cache/capstan/checkouts/trees");
    let entries = || {
        let names = std::fs::read_dir(&trees).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.contains('.')).count()
    };
    assert_eq!(entries(), 1);
    changes(&world, "overlay").unwrap();
    assert_eq!(entries(), 1);
    // Nothing of what was done there has reached them.
    let shared = std::fs::read_dir(&trees).unwrap();
    let shared = shared.map(|entry| entry.unwrap().path());
    let tree = shared
        .into_iter()
        .find(|path| path.is_dir())
        .unwrap()
        .join("tree");
    assert_eq!(
        std::fs::read_to_string(tree.join("README.md")).unwrap(),
        "hi\n"
    );
    assert!(tree.join("dir/old/one").exists() && !tree.join("link").exists());
}

#[test]
fn a_way_that_is_not_possible_is_explained() {
    let world = World::new();
    repository(&world);
    let output = world
        .capstan(["doctor"])
        .env("CAPSTAN_WORKSPACES", "volume")
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .run();
    output.assert_code(3);
    let text = output.stdout();
    let expected = "✗ workspaces: workspaces = \"volume\" is not possible here: there is no container engine to do it";
    assert!(text.contains(expected), "{text}");
    let output = world
        .capstan(["doctor"])
        .env("CAPSTAN_WORKSPACES", "overlays")
        .run();
    output.assert_code(2);
    let text = output.stderr();
    assert!(
        text.contains("expected auto, or one of overlay, volume, reflink, checkout"),
        "{text}"
    );
}
