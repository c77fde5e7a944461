//! `capstan pod` in the shape of a pod without a cluster: its containers are made of what `prepare` says, before `run` begins.

use std::path::PathBuf;

use capstan_tests::{Output, Signal};
use serde_json::Value;

use crate::executor::{REPOSITORY, Station, container, legacy, native, of_image};

const EXECUTOR: &str = "executor-in-the-cluster";

/// A job in its pod.
struct Pod<'s> {
    at: &'s Station,
    job: PathBuf,
    volume: PathBuf,
}

/// An entry of the log, as the pod has told it.
#[derive(Debug, Default)]
struct Told {
    key: String,
    text: String,
    exit_code: Option<i64>,
}

impl<'s> Pod<'s> {
    /// Takes the job from the server.
    fn of(at: &'s Station, job: Value) -> Self {
        at.server.enqueue(job);
        let job = at.server.hand_out(EXECUTOR);
        let job = at.world.write("job.json", job.to_string());
        let volume = at.world.root().join("volume");
        std::fs::create_dir(&volume).unwrap();
        Self { at, job, volume }
    }

    fn capstan(&self, command: &str) -> capstan_tests::Capstan<'_> {
        let (job, volume) = (self.job.as_os_str(), self.volume.as_os_str());
        self.at
            .world
            .capstan(["pod", command])
            .args(["--frontend", self.at.server.url(), "--executor", EXECUTOR])
            .arg("--job")
            .arg(job)
            .arg("--volume")
            .arg(volume)
    }

    /// Lays out the volume and starts the containers of the steps. Each goes when it has ended.
    fn start(&self) {
        let prepared = self.capstan("prepare").run();
        prepared.assert_code(0);
        for line in String::from_utf8_lossy(prepared.raw_stdout()).lines() {
            let slot: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let mut arguments = ["run", "--detach", "--rm", "--network", "none"]
                .map(str::to_owned)
                .to_vec();
            for mount in slot["mounts"].as_array().unwrap() {
                let mode = match mount["read_only"].as_bool().unwrap() {
                    true => "ro",
                    false => "rw",
                };
                let (source, target) = (text(&mount["source"]), text(&mount["target"]));
                arguments.extend(["--volume".to_owned(), format!("{source}:{target}:{mode}")]);
            }
            if slot["user"] == "root" {
                arguments.extend(["--user", "0:0"].map(str::to_owned));
            }
            let command: Vec<_> = slot["command"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect();
            arguments.extend(["--entrypoint".to_owned(), command[0].clone()]);
            arguments.extend([text(&slot["image"]), command[1].clone()]);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.at.engine.docker(&arguments);
        }
    }

    /// Runs the job to its end; what was told of the log, and of the ending.
    fn run(&self) -> (Vec<Told>, Value) {
        self.start();
        told(&self.capstan("run").run())
    }
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
    let pod = Pod::of(
        &at,
        of_image(&native(&at.commit, &runs), "alpine/git:latest"),
    );
    let (told, ending) = pod.run();
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
    let (told, ending) = Pod::of(&at, job).run();
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
    let (told, ending) = Pod::of(&at, job).run();
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
    let pod = Pod::of(&at, native(&at.commit, &["echo begun; sleep 600"]));
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
    let refused = Pod::of(&at, job).capstan("prepare").run();
    refused.assert_code(3);
    let text = String::from_utf8_lossy(refused.raw_stderr()).into_owned();
    assert!(text.contains("depends on what steps do"), "{text}");
}
