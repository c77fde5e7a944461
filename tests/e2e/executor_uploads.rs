//! Indexes of code intelligence, from the container that makes them to the server's upload endpoint.

use std::io::Write as _;
use std::process::{Command, Stdio};

use capstan_tests::{SECRET, Upload};
use serde_json::{Value, json};

use crate::executor::{REPOSITORY, Station, listening};

/// The image that servers name for uploads. Nobody ever gets it.
const SRC: &str = "127.0.0.1:1/sourcegraph/src-cli:5";

/// A job that makes an index by these lines and uploads it with these flags.
fn job(at: &Station, lines: &[&str], flags: &str) -> Value {
    let commit = &at.commit;
    let command = format!(
        "src code-intel upload -no-progress -repo {REPOSITORY} -commit {commit} -root . -upload-route /.executors/scip/upload -file index.scip -associated-index-id 42 {flags}"
    );
    let header = format!("token-executor {SECRET}");
    json!({
        "version": 2,
        "queue": "codeintel",
        "repositoryName": REPOSITORY,
        "commit": commit,
        "shallowClone": true,
        "dockerSteps": [
            {"key": "indexer", "image": "alpine:3", "commands": lines, "dir": "", "env": ["VM_CPUS=4"]},
            {"key": "upload", "image": SRC, "commands": [command], "dir": "", "env": [
                "SRC_ENDPOINT=https://sourcegraph.example.com",
                format!("SRC_HEADER_AUTHORIZATION={header}"),
            ]},
        ],
        "redactedValues": {header: "token-executor REDACTED", SECRET: "PASSWORD_REMOVED"},
    })
}

fn unpacked(upload: &Upload) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["--decompress", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip is there");
    let mut stdin = gzip.stdin.take().expect("it is a pipe");
    let bytes = upload.bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = gzip.wait_with_output().expect("it is our own child");
    writer.join().unwrap().expect("it reads to the end");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn a_small_index_is_uploaded_at_once_and_a_large_one_in_parts() {
    let at = Station::new();
    let small = at
        .server
        .enqueue(job(&at, &["cp README.md index.scip"], ""));
    // What nobody can compress.
    let large = ["head -c 2500000 /dev/urandom > index.scip"];
    let large = at.server.enqueue(job(&at, &large, "-max-payload-size 1"));
    at.server.fail("/scip/upload", 503, 1);
    let running = listening(at.executor());
    at.completed(small);
    at.completed(large);
    let said = at.stop(running);
    at.server.assert_pleased();
    let uploads = at.server.uploads();
    let [first, second] = &uploads[..] else {
        panic!("{} uploads", uploads.len());
    };
    assert_eq!((first.parts, &*unpacked(first)), (1, &b"hi\n"[..]));
    assert_eq!((second.parts, second.uncompressed_size), (3, 2_500_000));
    assert_eq!(unpacked(second).len(), 2_500_000);
    for upload in [first, second] {
        for (name, value) in [
            ("repository", REPOSITORY),
            ("commit", &at.commit),
            ("root", "."),
            ("associatedIndexId", "42"),
        ] {
            assert_eq!(upload.query[name], value);
        }
    }
    // The secret that the payload holds is in no log.
    let log = format!("{:?}{:?}", at.server.log(small), at.server.log(large));
    assert!(!log.contains(SECRET) && !said.contains(SECRET));
    assert!(
        log.contains("SRC_HEADER_AUTHORIZATION=token-executor REDACTED"),
        "{log}"
    );
    assert!(at.entry(small, "step.docker.upload").out.contains("503"));
}

#[test]
fn an_upload_that_is_refused_fails_the_job() {
    let at = Station::new();
    let id = at
        .server
        .enqueue(job(&at, &["cp README.md index.scip"], ""));
    at.server.fail("/scip/upload", 401, usize::MAX);
    let running = listening(at.executor());
    let message = at.errored(id);
    assert!(
        message.contains("\"step.docker.upload\": command failed with exit code 1"),
        "{message}"
    );
    let said = at.entry(id, "step.docker.upload").out;
    assert!(
        said.contains("the server does not accept the executor's secret (401)"),
        "{said}"
    );
    at.stop(running);
    assert!(at.server.uploads().is_empty());
}
