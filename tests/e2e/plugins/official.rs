//! The official plugins as they are built: their fixtures, their sizes, and the tables that their READMEs show.

use std::fs;
use std::path::{Path, PathBuf};

use capstan_tests::{World, official_plugin};

use super::stage::Stage;

/// A plugin is fetched over a network and compiled before it runs.
const LARGEST: u64 = 300 * 1024;

/// The directories of all of them.
fn all() -> Vec<(String, PathBuf)> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let directories = fs::read_dir(plugins).expect("they are in the repository");
    let mut all: Vec<_> = directories
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.join("fixtures").is_dir())
        .map(|path| {
            (
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                path,
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn there_are_seven() {
    let names: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "ansi-strip",
        "diff-filter",
        "diff-normalize",
        "diff-policy",
        "image-policy",
        "json-outputs",
        "workspace-files",
    ];
    assert_eq!(names, expected);
}

#[test]
fn their_fixtures_pass_twice() {
    let world = World::new();
    for (name, directory) in all() {
        let output = world
            .capstan(["plugin", "test", "--twice"])
            .arg(official_plugin(&name))
            .arg("--fixtures")
            .arg(directory.join("fixtures"))
            .run();
        output.assert_code(0);
        let cases = fs::read_dir(directory.join("fixtures"))
            .expect("it is there")
            .count();
        let expected = format!("{cases} fixtures: {cases} passed, 0 failed\n");
        assert!(output.stdout().ends_with(&expected), "{name}: {output}");
    }
}

#[test]
fn they_are_small() {
    for (name, _) in all() {
        let size = fs::metadata(official_plugin(&name))
            .expect("it is there")
            .len();
        assert!(size < LARGEST, "{name} has {size} bytes");
    }
}

/// The first table of each README is one that works, once it names a file.
#[test]
fn their_readmes_show_what_works() {
    for (name, directory) in all() {
        let readme = fs::read_to_string(directory.join("README.md")).expect("it has one");
        let (_, rest) = readme.split_once("```toml\n").expect("it shows a table");
        let (table, _) = rest.split_once("```").expect("the table ends");
        let source = format!("oci://registry.example/capstan/{name}:0.1");
        assert!(table.contains(&source), "{table}");
        let table = table.replace(&source, &official_plugin(&name).to_string_lossy());
        let stage = Stage::new(&[table]);
        let output = stage.tool(&["write new 1"]).run();
        let stderr = output.stderr();
        assert!(
            !stderr.contains("warning") && !stderr.contains("cannot be used"),
            "{name}: {stderr}"
        );
        assert!([0, 4].contains(&output.code()), "{name}: {output}");
        assert!(!stderr.contains("(config)"), "{name}: {stderr}");
    }
}
