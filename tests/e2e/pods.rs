//! `capstan pod` in the shape of a pod without a cluster: its containers are made of what `prepare` says, before `run` begins.

use capstan_tests::{Output, Pod, Signal};
use serde_json::Value;

use crate::executor::{REPOSITORY, Station, container, legacy, native, of_image};

/// An entry of the log, as the pod has told it.
#[derive(Debug, Default)]
struct Told {
    key: String,
    text: String,
    exit_code: Option<i64>,
}

/// Takes the job from the server.
fn pod(at: &Station, job: Value) -> Pod<'_> {
    at.server.enqueue(job);
    Pod::of(&at.world, &at.server)
}

/// Runs the job to its end; what was told of the log, and of the ending.
fn run(pod: &Pod<'_>) -> (Vec<Told>, Value) {
    pod.start();
    told(&pod.capstan("run").run())
}

fn told(output: &Output) -> (Vec<Told>, Value) {
    output.assert_code(0);
    let mut entries: Vec<Told> = Vec::new();
    let mut ending = Value::Null;
    for line in String::from_utf8_lossy(output.raw_stdout()).lines() {
        assert_eq!(ending, Value::Null, "something comes after the ending");
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("line");
        let (what, told) = line.as_object().unwrap().iter().next().unwrap();
        let number = || usize::try_from(told["entry"].as_u64().unwrap()).unwrap();
        match what.as_str() {
            "begin" => entries.push(Told {
                key: told["key"].as_str().unwrap().to_owned(),
                ..Told::default()
            }),
            "more" => entries[number()]
                .text
                .push_str(told["text"].as_str().unwrap()),
            "end" => entries[number()].exit_code = told["exitCode"].as_i64(),
            "ending" => ending = told.clone(),
            other => panic!("{other}"),
        }
    }
    (entries, ending)
}

#[track_caller]
fn entry<'t>(told: &'t [Told], key: &str) -> &'t Told {
    let found = told.iter().find(|entry| entry.key == key);
    found.unwrap_or_else(|| panic!("{key} is missing in {told:#?}"))
}

#[test]
fn a_native_job_in_a_pod() {
    let at = Station::new();
    let runs = [
        "echo one s3cret-value; git log --oneline | wc -l; echo more >> README.md",
        "cat README.md",
    ];
    let pod = pod(
        &at,
        of_image(&native(&at.commit, &runs), "alpine/git:latest"),
    );
    let (told, ending) = run(&pod);
    assert_eq!(ending, "complete", "{told:#?}");
    let first = entry(&told, "step.docker.step.0.run");
    assert_eq!(first.exit_code, Some(0));
    assert!(
        first.text.contains("stdout: one ${{ secrets.TOKEN }}\n"),
        "{first:?}"
    );
    assert!(first.text.contains("stdout: 1\n"), "{first:?}");
    let second = entry(&told, "step.docker.step.1.run");
    assert!(
        second.text.contains("stdout: hi\nstdout: more\n"),
        "{second:?}"
    );
    let result = entry(&told, "step.docker.step.1.post");
    let changed = r#""changedFiles":{"modified":["README.md"]"#;
    assert!(result.text.contains(changed), "{result:?}");
}

#[test]
fn a_legacy_job_in_a_pod() {
    let at = Station::new();
    let job = legacy(&at.commit, &["id -u; echo more >> README.md", "exit 7"]);
    let (told, ending) = run(&pod(&at, job));
    let said = entry(&told, "step.src.batch-exec");
    assert_eq!(said.exit_code, Some(1), "{told:#?}");
    assert!(
        ending["errored"]
            .as_str()
            .unwrap()
            .contains("command failed with exit code 1")
    );
    assert!(said.text.contains("+more"), "{said:?}");
}

#[test]
fn a_plain_step_in_a_pod() {
    let at = Station::new();
    let mut job = container(&["cat README.md > out", "pwd; exit 3"]);
    job["repositoryName"] = REPOSITORY.into();
    job["commit"] = at.commit.clone().into();
    let (told, ending) = run(&pod(&at, job));
    let said = entry(&told, "step.docker.indexer");
    assert_eq!(said.exit_code, Some(3), "{told:#?}");
    assert!(said.text.contains("stdout: /data\n"), "{said:?}");
    assert!(
        ending["errored"].as_str().unwrap().contains("exit code 3"),
        "{ending}"
    );
}

#[test]
fn a_pod_that_is_told_to_stop_ends_its_steps() {
    let at = Station::new();
    let pod = pod(&at, native(&at.commit, &["echo begun; sleep 600"]));
    pod.start();
    let mut running = pod.capstan("run").spawn();
    running.wait_for("begun");
    running.signal(Signal::TERM);
    let (_, ending) = told(&running.wait());
    assert!(
        ending["errored"].as_str().unwrap().contains("was stopped"),
        "{ending}"
    );
}

#[test]
fn what_no_pod_can_run_is_refused_before_anything_starts() {
    let at = Station::new();
    let job = of_image(&native(&at.commit, &["true"]), "alpine:${{ outputs.tag }}");
    let refused = pod(&at, job).capstan("prepare").run();
    refused.assert_code(3);
    let text = String::from_utf8_lossy(refused.raw_stderr()).into_owned();
    assert!(text.contains("depends on what steps do"), "{text}");
}
