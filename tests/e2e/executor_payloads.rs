//! Payloads that want out of their workspace, from the wire to the error that a user sees. All of them are tried over an engine of shells in
//! the executor's own tests; these are some of each kind.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::executor::{Station, container, listening, native};

type Change = fn(&mut Value);

/// What is changed in a job that is in order, and what is said of it.
const REFUSED: &[(Change, &str)] = &[
    (
        |job| job["files"]["../escaped"] = json!({"content": "eA=="}),
        r#"refusing the file "../escaped": it leads out of its directory by .."#,
    ),
    (
        |job| job["files"]["a/../../../escaped"] = json!({"content": "eA=="}),
        r#"refusing the file "a/../../../escaped": it leads out of its directory by .."#,
    ),
    (
        |job| job["files"]["/tmp/capstan-test-escaped"] = json!({"content": "eA=="}),
        r#"refusing the file "/tmp/capstan-test-escaped": it is absolute"#,
    ),
    (
        |job| job["files"]["/dev/null"] = json!({"content": "eA=="}),
        r#"refusing the file "/dev/null": it is absolute"#,
    ),
    (
        |job| job["files"]["a\u{0}b"] = json!({"content": "eA=="}),
        r#"refusing the file "a\0b": it holds a NUL byte"#,
    ),
    (
        |job| job["files"]["n".repeat(300)] = json!({"content": "eA=="}),
        "a name in it is longer than 255 bytes",
    ),
    (
        |job| job["files"]["x"] = json!({"bucket": "../queue", "key": "batches/dequeue"}),
        r#"refusing the bucket of a file "../queue": it leads out of its directory by .."#,
    ),
    (
        |job| job["repositoryDirectory"] = "../../escaped".into(),
        r#"refusing the repository directory "../../escaped": it leads out of its directory by .."#,
    ),
    (
        |job| job["repositoryName"] = "../../.api/graphql".into(),
        r#"refusing the repository "../../.api/graphql": it leads out of its directory by .."#,
    ),
    (
        |job| job["commit"] = "--upload-pack=touch /tmp/capstan-test-escaped".into(),
        "it is no full commit id",
    ),
    (
        |job| job["dockerSteps"][1]["dir"] = "/etc".into(),
        r#"refusing the directory of a step "/etc": it is absolute"#,
    ),
    (
        |job| job["dockerSteps"][0]["key"] = "../../step".into(),
        r#"refusing the key of a step "../../step": it leads out of its directory by .."#,
    ),
    (
        |job| job["dockerSteps"][0]["env"] = json!(["LD_PRELOAD\n=x"]),
        r#"refusing the environment variable "LD_PRELOAD\n": it holds a control character"#,
    ),
    (
        |job| job["dockerSteps"][0]["env"] = json!([format!("A={}", "v".repeat(200_000))]),
        "it is longer than 131071 bytes",
    ),
];

#[test]
fn payloads_that_want_out_are_refused_and_nothing_is_written() {
    let at = Station::new();
    let running = listening(at.executor());
    let before = at.world.files(at.world.root());
    for (change, expected) in REFUSED {
        let mut job = native(&at.commit, &["true"]);
        change(&mut job);
        let id = at.server.enqueue(job);
        let message = at.errored(id);
        assert!(message.contains(expected), "{message}");
        let keys: Vec<String> = at
            .server
            .log(id)
            .into_iter()
            .map(|entry| entry.key)
            .collect();
        assert_eq!(keys, ["setup.fs.extras"], "{expected}");
    }
    assert_eq!(at.server.count("/.executors/git/"), 0);
    assert_eq!(at.server.count("/.executors/files/"), 0);
    assert!(!fs::exists("/tmp/capstan-test-escaped").unwrap());
    assert_eq!(at.world.files(at.world.root()), before);
    // It goes on with others.
    let id = at.native(&["true"]);
    at.completed(id);
    at.stop(running);
    at.server.assert_pleased();
}

#[test]
fn what_lies_in_the_way_in_a_repository_is_not_followed() {
    let at = Station::new();
    let outside = at.world.root().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    let app = at.app.path();
    symlink(&outside, app.join("link")).unwrap();
    symlink(outside.join("file"), app.join("dangling")).unwrap();
    symlink("/dev/zero", app.join("device")).unwrap();
    let commit = at.app.commit("links");
    let running = listening(at.executor());
    let plain = || {
        let mut job = container(&["cat link/file"]);
        job["repositoryName"] = crate::executor::REPOSITORY.into();
        job["commit"] = commit.clone().into();
        job
    };
    for (path, expected) in [
        (
            "link/file",
            r#"writing link/file: "link" is no directory, or a symbolic link"#,
        ),
        (
            "dangling",
            "writing dangling: a symbolic link is in its place",
        ),
        ("device", "writing device: a symbolic link is in its place"),
    ] {
        let mut job = plain();
        job["files"] = json!({path: {"content": "b3duZWQ="}});
        let id = at.server.enqueue(job);
        let message = at.errored(id);
        assert!(message.contains(expected), "{message}");
    }
    let mut job = plain();
    job["dockerSteps"][0]["dir"] = "link".into();
    let id = at.server.enqueue(job);
    let message = at.errored(id);
    assert!(
        message.contains("is no directory, or a symbolic link"),
        "{message}"
    );
    // The container sees the link, and nothing behind it.
    let id = at.server.enqueue(plain());
    let message = at.errored(id);
    assert!(message.contains("exit code 1"), "{message}");
    // An index that is a link is not uploaded.
    let mut job = plain();
    let command = format!(
        "src code-intel upload -repo r -commit {commit} -upload-route /.executors/lsif/upload -file index"
    );
    job["dockerSteps"] = json!([
        {"key": "indexer", "image": "alpine:3", "commands": ["ln -s /etc/passwd index"]},
        {"key": "upload", "image": "alpine:3", "commands": [command]},
    ]);
    let id = at.server.enqueue(job);
    at.errored(id);
    assert!(at.server.uploads().is_empty());
    assert_eq!(
        fs::read_to_string(outside.join("file")).unwrap(),
        "untouched"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    at.stop(running);
    at.server.assert_pleased();
}
