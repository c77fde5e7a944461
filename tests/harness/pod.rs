//! A pod without a cluster: its containers are made, by the engine of the tests, of what `capstan pod prepare` says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{Capstan, Sourcegraph, World};

/// The executor that has taken the job.
const EXECUTOR: &str = "executor-in-the-cluster";

/// A job in its pod.
pub struct Pod<'w> {
    world: &'w World,
    frontend: String,
    job: PathBuf,
    volume: PathBuf,
}

impl<'w> Pod<'w> {
    /// Takes the next job from the server. A world has one pod.
    ///
    /// # Panics
    /// When there is no job.
    pub fn of(world: &'w World, server: &Sourcegraph) -> Self {
        let job = server.hand_out(EXECUTOR);
        let job = world.write("job.json", job.to_string());
        let volume = world.root().join("volume");
        fs::create_dir(&volume).expect("the world is writable");
        Self {
            world,
            frontend: server.url().to_owned(),
            job,
            volume,
        }
    }

    /// `capstan pod`.
    pub fn capstan(&self, command: &str) -> Capstan<'_> {
        self.world
            .capstan(["pod", command])
            .args(["--frontend", &self.frontend, "--executor", EXECUTOR])
            .arg("--job")
            .arg(&self.job)
            .arg("--volume")
            .arg(&self.volume)
    }

    /// Lays out the volume and starts the containers of the steps. Each goes when it has ended.
    ///
    /// # Panics
    /// When one of them cannot be started.
    pub fn start(&self) {
        let prepared = self.capstan("prepare").run();
        prepared.assert_code(0);
        for line in String::from_utf8_lossy(prepared.raw_stdout()).lines() {
            let slot: Value = serde_json::from_str(line).expect("a line of JSON");
            let started = Command::new("docker").args(arguments(&slot)).output();
            let started = started.expect("the docker client runs");
            let complaint = String::from_utf8_lossy(&started.stderr);
            assert!(started.status.success(), "{complaint}");
        }
    }
}

/// Of `docker`, for the container of a step.
fn arguments(slot: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |name: &str| slot[name].as_array().expect("a list");
    let mut arguments = ["run", "--detach", "--rm", "--network", "none"]
        .map(str::to_owned)
        .to_vec();
    for mount in list("mounts") {
        let mode = match mount["read_only"] == true {
            true => "ro",
            false => "rw",
        };
        let (source, target) = (text(&mount["source"]), text(&mount["target"]));
        arguments.extend(["--volume".to_owned(), format!("{source}:{target}:{mode}")]);
    }
    if slot["user"] == "root" {
        arguments.extend(["--user", "0:0"].map(str::to_owned));
    }
    let command: Vec<String> = list("command").iter().map(text).collect();
    arguments.extend(["--entrypoint".to_owned(), command[0].clone()]);
    arguments.extend([text(&slot["image"]), command[1].clone()]);
    arguments
}
