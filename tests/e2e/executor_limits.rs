//! Jobs that want more than there is: of the disk, of the log.

use capstan_tests::Running;

use crate::executor::{Station, container, legacy, listening, native};
use crate::hostile::SmallDisk;

/// The most memory that an executor may have had, in bytes.
const MEMORY: u64 = 256 << 20;

#[test]
fn a_full_disk_ends_the_job_and_not_the_executor() {
    let large = "0123456789abcdef".repeat(1 << 20);
    let at = Station::of(&[("README.md", "hi\n")]);
    let disk = SmallDisk::new(&at.world, "size=12m,mode=777");
    let running = listening(at.executor().env("TMPDIR", &disk.0));
    // The step fills it, and notices.
    let fill = "dd if=/dev/zero of=fill bs=64k count=512";
    let id = at.native(&[fill]);
    let message = at.errored(id);
    assert!(
        message.contains("command failed with exit code 1"),
        "{message}"
    );
    let run = at.entry(id, "step.docker.step.0.run");
    assert!(run.out.contains("No space left on device"), "{}", run.out);
    // The step fills it, and does not mind; then there is no room for the diff.
    let id = at.native(&[&format!("{fill} || true")]);
    let message = at.errored(id);
    assert!(message.contains("free some disk space"), "{message}");
    // There is no room for the repository.
    let app = at.world.repository("large", &[("large", &large)]);
    at.server.repository("github.com/acme/large", app.path());
    let mut job = native(&app.head(), &["true"]);
    job["repositoryName"] = "github.com/acme/large".into();
    let id = at.server.enqueue(job);
    let message = at.errored(id);
    assert!(message.contains("the disk is full"), "{message}");
    // There is no room for a file.
    at.server.file("spec/large", large.as_bytes());
    let mut job = native(&at.commit, &["true"]);
    job["files"]["workspace-files/large"] =
        serde_json::json!({"bucket": "batch-changes", "key": "spec/large"});
    let id = at.server.enqueue(job);
    let message = at.errored(id);
    assert!(message.contains("No space left on device"), "{message}");
    // Each has given back what it took.
    let id = at.native(&["dd if=/dev/zero of=fill bs=64k count=32"]);
    at.completed(id);
    at.stop(running);
    let runs = std::fs::read_dir(disk.0.join("capstan/runs")).unwrap();
    assert_eq!(runs.count(), 0);
    at.server.assert_pleased();
}

/// Prints 200 MB: lines, and then one line that does not end for long.
const FLOOD: &str = "yes 'a line of ordinary length, as programs print it when they work' | head -c 120000000; head -c 80000000 /dev/zero | tr '\\0' x; echo; echo the end";

/// Waits for a job to be complete, and tells how much memory the executor has had at most.
fn watched(at: &Station, running: &Running, id: i64) -> u64 {
    at.completed(id);
    running.peak_memory().expect("it runs")
}

#[test]
fn a_flood_of_output_is_bounded() {
    let at = Station::new();
    for (key, job) in [
        ("step.docker.indexer", container(&[FLOOD])),
        ("step.docker.step.0.run", native(&at.commit, &[FLOOD])),
        ("step.src.batch-exec", legacy(&at.commit, &[FLOOD])),
    ] {
        let id = at.server.enqueue(job);
        let running = listening(at.executor());
        let peak = watched(&at, &running, id);
        assert!(peak < MEMORY, "{key}: {} MiB", peak >> 20);
        let out = at.entry(id, key).out;
        assert!(out.len() < 64 << 20, "{key}: {}", out.len());
        assert!(out.contains("a line of ordinary length"), "{key}");
        assert!(
            out.contains("bytes of output are left out here]\n"),
            "{key}"
        );
        assert!(out.contains("the end"), "{key}");
        at.stop(running);
    }
    at.server.assert_pleased();
}
