//! Payloads that want out: each is refused with a clear error, and nothing is written outside of the job's workspace.

use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;

/// What is changed in a job that is in order, and what is said of it.
type Case = (&'static str, fn(&mut Job), &'static str);

fn file(job: &mut Job, path: &str) {
    job.files.insert(path.to_owned(), inline("owned"));
}

fn stored(job: &mut Job, bucket: &str, key: &str) {
    let content = Content::Stored {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    };
    let stored = File {
        content,
        modified_at: None,
    };
    job.files.insert("stored".to_owned(), stored);
}

const CASES: &[Case] = &[
    (
        "parent",
        |job| file(job, "../escaped"),
        r#"refusing the file "../escaped": it leads out of its directory by .."#,
    ),
    (
        "parent inside",
        |job| file(job, "a/../../escaped"),
        r#"refusing the file "a/../../escaped": it leads out of its directory by .."#,
    ),
    (
        "parent that stays inside",
        |job| file(job, "a/../b"),
        r#"refusing the file "a/../b": it leads out of its directory by .."#,
    ),
    (
        "only parents",
        |job| file(job, ".."),
        r#"refusing the file "..": it leads out of its directory by .."#,
    ),
    (
        "deep parents",
        |job| file(job, "x/../../../../../../../tmp/escaped"),
        r#"refusing the file "x/../../../../../../../tmp/escaped": it leads out of its directory by .."#,
    ),
    (
        "absolute",
        |job| file(job, "/tmp/escaped"),
        r#"refusing the file "/tmp/escaped": it is absolute"#,
    ),
    (
        "double slash",
        |job| file(job, "//tmp/escaped"),
        r#"refusing the file "//tmp/escaped": it is absolute"#,
    ),
    (
        "root",
        |job| file(job, "/"),
        r#"refusing the file "/": it ends with a slash, so it is no file"#,
    ),
    (
        "device",
        |job| file(job, "/dev/sda"),
        r#"refusing the file "/dev/sda": it is absolute"#,
    ),
    (
        "process",
        |job| file(job, "/proc/self/mem"),
        r#"refusing the file "/proc/self/mem": it is absolute"#,
    ),
    (
        "empty",
        |job| file(job, ""),
        r#"refusing the file "": it is empty"#,
    ),
    (
        "dot",
        |job| file(job, "."),
        r#"refusing the file ".": it is empty"#,
    ),
    (
        "a directory",
        |job| file(job, "a/b/"),
        r#"refusing the file "a/b/": it ends with a slash, so it is no file"#,
    ),
    (
        "nul",
        |job| file(job, "a\0b"),
        r#"refusing the file "a\0b": it holds a NUL byte"#,
    ),
    (
        "nul after parent",
        |job| file(job, "../\0"),
        r#"refusing the file "../\0": it holds a NUL byte"#,
    ),
    (
        "line break",
        |job| file(job, "a\nWrote /etc/passwd in 1s"),
        r#"refusing the file "a\nWrote /etc/passwd in 1s": it holds a control character"#,
    ),
    (
        "terminal",
        |job| file(job, "\u{1b}[2J"),
        r#"refusing the file "\u{1b}[2J": it holds a control character"#,
    ),
    (
        "huge name",
        |job| file(job, &"n".repeat(256)),
        "a name in it is longer than 255 bytes",
    ),
    (
        "huge path",
        |job| file(job, &"n/".repeat(2048)),
        "it ends with a slash",
    ),
    (
        "huger path",
        |job| file(job, &"nn/n".repeat(2048)),
        "it is longer than 4095 bytes",
    ),
    (
        "repository above",
        |job| job.repository_directory = "..".to_owned(),
        r#"refusing the repository directory "..": it leads out of its directory by .."#,
    ),
    (
        "repository elsewhere",
        |job| job.repository_directory = "/tmp".to_owned(),
        r#"refusing the repository directory "/tmp": it is absolute"#,
    ),
    (
        "repository beside",
        |job| job.repository_directory = "a/../../b".to_owned(),
        r#"refusing the repository directory "a/../../b": it leads out of its directory by .."#,
    ),
    (
        "repository nul",
        |job| job.repository_directory = "a\0".to_owned(),
        r#"refusing the repository directory "a\0": it holds a NUL byte"#,
    ),
    (
        "dir above",
        |job| job.docker_steps[1].dir = "../..".to_owned(),
        r#"refusing the directory of a step "../..": it leads out of its directory by .."#,
    ),
    (
        "dir elsewhere",
        |job| job.docker_steps[1].dir = "/etc".to_owned(),
        r#"refusing the directory of a step "/etc": it is absolute"#,
    ),
    (
        "dir huge",
        |job| job.docker_steps[1].dir = "d".repeat(300),
        "a name in it is longer than 255 bytes",
    ),
    (
        "key above",
        |job| job.docker_steps[0].key = "../../x".to_owned(),
        r#"refusing the key of a step "../../x": it leads out of its directory by .."#,
    ),
    (
        "key with a line break",
        |job| job.docker_steps[0].key = "a\nb".to_owned(),
        "it holds a character other than",
    ),
    (
        "huge key",
        |job| job.docker_steps[0].key = "k".repeat(10_000),
        "it is longer than 255 bytes",
    ),
    (
        "stored elsewhere",
        |job| stored(job, "batch-changes", "../../queue/batches/dequeue"),
        "it leads out of its directory by ..",
    ),
    (
        "bucket elsewhere",
        |job| stored(job, "..", "a/b"),
        r#"refusing the bucket of a file "..": it leads out of its directory by .."#,
    ),
    (
        "stored with a query",
        |job| stored(job, "batch-changes", "a?b=c"),
        "it holds a character other than",
    ),
    (
        "env without a value",
        |job| job.docker_steps[0].env = vec!["s3cret-value".to_owned()],
        r#"refusing the environment variable "": it is not in the form NAME=VALUE"#,
    ),
    (
        "env without a name",
        |job| job.docker_steps[0].env = vec!["=s3cret-value".to_owned()],
        r#"refusing the environment variable "": it is empty"#,
    ),
    (
        "env nul",
        |job| job.docker_steps[0].env = vec!["A=b\0c".to_owned()],
        r#"refusing the environment variable "A": it holds a NUL byte"#,
    ),
    (
        "env with a line break",
        |job| job.docker_steps[0].env = vec!["A\nB=c".to_owned()],
        r#"refusing the environment variable "A\nB": it holds a control character"#,
    ),
    (
        "env huge",
        |job| job.docker_steps[0].env = vec![format!("A={}", "v".repeat(200_000))],
        "it is longer than 131071 bytes",
    ),
    (
        "repository's name above",
        |job| job.repository_name = "../../queue".to_owned(),
        r#"refusing the repository "../../queue": it leads out of its directory by .."#,
    ),
    (
        "repository's name an option",
        |job| job.repository_name = "--upload-pack=id".to_owned(),
        r#"refusing the repository "--upload-pack=id": it begins with a dash"#,
    ),
    (
        "commit an option",
        |job| job.commit = "--upload-pack=id".to_owned(),
        r#"refusing the commit "--upload-pack=id": it is no full commit id"#,
    ),
    (
        "commit a branch",
        |job| job.commit = "HEAD".to_owned(),
        r#"refusing the commit "HEAD": it is no full commit id"#,
    ),
    (
        "pattern with a line break",
        |job| job.sparse_checkout = vec!["a\n!b".to_owned()],
        r#"refusing the pattern "a\n!b": it holds a control character"#,
    ),
];

/// All files below a directory, but for the caches.
fn everything(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs_err::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => pending.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_payload_that_wants_out_is_refused() {
    let bench = Bench::new().await;
    let before = everything(bench.directory.path());
    for (name, change, said) in CASES {
        let mut job = native(bench.job(), &json!([step("true")]), &[], &[]);
        change(&mut job);
        let ended = bench.run(&job).await;
        let Ending::Errored(message) = &ended.ending else {
            panic!("{name}: {:?}", ended.ending);
        };
        assert!(message.contains(said), "{name}: {message}");
        assert!(message.len() < 400, "{name}: {message}");
        assert!(!message.contains("s3cret-value"), "{name}: {message}");
        assert_eq!(ended.keys(), "setup.fs.extras 1", "{name}");
        assert_eq!(
            ended.out("setup.fs.extras"),
            format!("{message}\n"),
            "{name}"
        );
    }
    assert_eq!(everything(bench.directory.path()), before);
    assert_eq!(bench.images(), Vec::<String>::new());
}

#[tokio::test]
async fn links_in_a_repository_lead_nowhere() {
    let bench = Bench::new().await;
    let outside = bench.directory.path().join("outside");
    fs_err::create_dir(&outside).unwrap();
    let repository = bench
        .directory
        .path()
        .join("server/.executors/git")
        .join(REPOSITORY);
    symlink(&outside, repository.join("link")).unwrap();
    symlink(outside.join("file"), repository.join("dangling")).unwrap();
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "links"]);
    for (path, said) in [
        (
            "link/file",
            "writing link/file: \"link\" is no directory, or a symbolic link",
        ),
        (
            "dangling",
            "writing dangling: a symbolic link is in its place",
        ),
        ("sub", "writing sub: a directory is in its place"),
        (
            "README/file",
            "writing README/file: \"README\" is no directory, or a symbolic link",
        ),
    ] {
        let mut job = bench.job();
        job.commit = git(&repository, &["rev-parse", "HEAD"]);
        job.docker_steps.push(DockerStep {
            key: "indexer".to_owned(),
            image: "alpine:3".to_owned(),
            commands: vec!["true".to_owned()],
            ..DockerStep::default()
        });
        file(&mut job, path);
        let ended = bench.run(&job).await;
        let Ending::Errored(message) = &ended.ending else {
            panic!("{path}: {:?}", ended.ending);
        };
        assert!(message.contains(said), "{message}");
        assert_eq!(ended.entry("setup.fs.extras").exit_code, Some(1));
        assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0);
        // A step may not be led there either.
        job.files.clear();
        job.docker_steps[0].dir = "link".to_owned();
        let ended = bench.run(&job).await;
        assert!(
            matches!(&ended.ending, Ending::Errored(text) if text.contains("is no directory, or a symbolic link")),
            "{:?}",
            ended.ending
        );
    }
}

#[tokio::test]
async fn a_mount_cannot_lead_out_of_the_workspace_files() {
    let bench = Bench::new().await;
    for path in ["../input.json", "/etc/passwd", "a/../../input.json", "gone"] {
        let mounting = json!({
            "run": "true", "container": "alpine:3", "env": {}, "mount": [{"mountpoint": "/m", "path": path}],
        });
        let mut job = native(bench.job(), &json!([mounting]), &[], &[]);
        file(&mut job, "workspace-files/a/b");
        let ended = bench.run(&job).await;
        assert!(
            matches!(&ended.ending, Ending::Errored(text) if text.starts_with("handling mount: step 1 mount path ")),
            "{:?}",
            ended.ending
        );
        assert!(bench.seen.preparations.lock().unwrap().is_empty());
    }
}

#[test]
fn good_names_are_good() {
    let mut job = Job {
        repository_directory: "./repository/".to_owned(),
        ..Job::default()
    };
    for path in [
        "a",
        "./a/b.txt",
        "workspace-files/ä ö/..x",
        "a//b",
        "-rf",
        "...",
        "c:\\x",
    ] {
        file(&mut job, path);
    }
    job.docker_steps.push(DockerStep {
        dir: ".".to_owned(),
        env: vec!["A=".to_owned(), "B=x=y\nz".to_owned()],
        ..DockerStep::default()
    });
    let checked = super::super::check::check(&job).unwrap();
    assert_eq!(checked.repository_directory.to_string(), "repository");
    let environment = &checked.docker_steps[0].environment;
    assert_eq!(*environment, map(&[("A", ""), ("B", "x=y\nz")]));
}
