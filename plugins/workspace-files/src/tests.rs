use std::fs;
use std::path::PathBuf;

use capstan_plugin::test;

use super::*;
use crate::archive::tests::{gzipped, tar_entry, zipped};

struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self { root }
    }

    fn prepare(&self, config: &str) -> std::result::Result<(), String> {
        test::config(config);
        let job = test::Job {
            repository: "github.com/acme/widgets".to_owned(),
            branch: "main".to_owned(),
            ..test::Job::default()
        };
        test::prepare::<WorkspaceFiles>(job, self.root.path()).map_err(|error| error.message)
    }

    /// All files, with `*` behind those that can be executed.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(self.root.path().join(&directory)).unwrap() {
                let entry = entry.unwrap();
                let path = directory.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    waiting.push(path);
                    continue;
                }
                #[cfg(unix)]
                let executable = {
                    use std::os::unix::fs::PermissionsExt;
                    entry.metadata().unwrap().permissions().mode() & 0o100 != 0
                };
                #[cfg(not(unix))]
                let executable = false;
                let mark = if executable { "*" } else { "" };
                files.push(format!("{}{mark}", path.display()));
            }
        }
        files.sort();
        files
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap()
    }
}

#[test]
fn archives_are_unpacked() {
    let tar = [
        tar_entry("top/", b'5', 0o755, b""),
        tar_entry("top/a.txt", b'0', 0o644, b"a"),
        tar_entry("top/bin/run", b'0', 0o755, b"r"),
        vec![0; 1024],
    ]
    .concat();
    let zip = zipped(&[("b.txt", 0o100_644, true, b"b")]);
    let world = World::new(&[
        ("assets/x.tar.gz", &gzipped(&tar)),
        ("assets/x.tar", &tar),
        ("assets/x.zip", &zip),
    ]);
    world
        .prepare(
            r#"{"unpack": [
                {"archive": "assets/x.tar.gz", "into": "out", "strip": 1, "remove": true},
                {"archive": "assets/x.tar", "remove": true},
                {"archive": "assets/x.zip"},
                {"archive": "not/there.zip", "optional": true}
            ]}"#,
        )
        .unwrap();
    assert_eq!(
        world.files(),
        [
            "assets/b.txt",
            "assets/top/a.txt",
            "assets/top/bin/run*",
            "assets/x.zip",
            "out/a.txt",
            "out/bin/run*",
        ]
    );
    assert_eq!(world.text("assets/b.txt"), "b");
}

#[test]
fn archives_do_not_escape() {
    for (path, kind, reason) in [
        ("../evil", b'0', "leads upwards"),
        ("/etc/evil", b'0', "is absolute"),
        (".git/hooks/post-checkout", b'0', "git directory"),
        ("link", b'2', "link or a device"),
        ("hard", b'1', "link or a device"),
        ("fifo", b'6', "link or a device"),
    ] {
        let tar = [tar_entry(path, kind, 0o644, b""), vec![0; 1024]].concat();
        let world = World::new(&[("a.tar", &tar)]);
        let error = world
            .prepare(r#"{"unpack": [{"archive": "a.tar"}]}"#)
            .unwrap_err();
        assert!(
            error.starts_with("a.tar: ") && error.contains(reason),
            "{error}"
        );
        assert_eq!(world.files(), ["a.tar"]);
    }
    for (archive, reason) in [
        ("a.rar", "is a .tar, .tar.gz, .tgz or .zip"),
        ("b.tar", "cannot be opened"),
        ("../b.tar", "leads upwards"),
    ] {
        let world = World::new(&[("a.rar", b"x")]);
        let config = format!(r#"{{"unpack": [{{"archive": "{archive}"}}]}}"#);
        let error = world.prepare(&config).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn files_are_written() {
    let world = World::new(&[("kept", b"old"), ("replaced", b"old")]);
    world
        .prepare(
            r#"{"write": [
                {"path": "ci/{{branch}}.txt", "content": "for {{repository}}\n"},
                {"path": "raw", "content": "{{repository}}", "template": false},
                {"path": "run", "content": "", "executable": true},
                {"path": "kept", "content": "new", "overwrite": false},
                {"path": "replaced", "content": "new"}
            ]}"#,
        )
        .unwrap();
    assert_eq!(
        world.files(),
        ["ci/main.txt", "kept", "raw", "replaced", "run*"]
    );
    assert_eq!(world.text("ci/main.txt"), "for github.com/acme/widgets\n");
    assert_eq!(world.text("raw"), "{{repository}}");
    assert_eq!(world.text("kept"), "old");
    assert_eq!(world.text("replaced"), "new");
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_links() {
    let outside = tempfile::tempdir().unwrap();
    let world = World::new(&[]);
    std::os::unix::fs::symlink(outside.path(), world.root.path().join("link")).unwrap();
    let error = world
        .prepare(r#"{"write": [{"path": "link/x", "content": "x"}]}"#)
        .unwrap_err();
    assert!(error.contains("symbolic link"), "{error}");
    world.prepare(r#"{"remove": ["**"]}"#).unwrap();
    assert!(world.files().is_empty());
    assert!(outside.path().exists());
}

#[test]
fn files_are_removed_with_the_directories_that_are_left_empty() {
    let world = World::new(&[
        ("a.rs", b""),
        ("docs/a.md", b""),
        ("docs/deep/er/b.md", b""),
        ("docs/keep.md", b""),
        ("other/c.md", b""),
        ("other/only/d.txt", b""),
    ]);
    fs::create_dir(world.root.path().join("empty")).unwrap();
    world
        .prepare(r#"{"remove": ["/docs/", "d.txt"], "keep": ["keep.md"]}"#)
        .unwrap();
    assert_eq!(world.files(), ["a.rs", "docs/keep.md", "other/c.md"]);
    assert!(!world.root.path().join("docs/deep").exists());
    assert!(!world.root.path().join("other/only").exists());
    // What was empty before is not ours.
    assert!(world.root.path().join("empty").exists());
}
