//! The container engine, looked at from outside the binary under test.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::world::World;

/// The label that every container made by capstan carries.
const LABEL: &str = "io.capstan.run";

/// How long the engine may need to forget a container whose removal it has begun.
const FORGETTING: Duration = Duration::from_secs(10);

/// A container engine that answers.
#[derive(Clone)]
pub struct Engine {
    /// `DOCKER_HOST` of its client; `None` for the one of the environment.
    host: Option<String>,
}

impl Engine {
    /// The engine. Panics, saying what to do, if there is none: a test that needs one never passes without.
    pub fn require() -> Self {
        static ANSWERS: OnceLock<bool> = OnceLock::new();
        let answers = ANSWERS.get_or_init(|| {
            Command::new("docker")
                .args(["version", "--format", "{{.Server.Version}}"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        });
        assert!(
            answers,
            "no container engine answers: run `make test`, or `tests/scripts/docker-engine` and `tests/scripts/images --test`"
        );
        Self { host: None }
    }

    /// The engine at an address, as `DOCKER_HOST` takes it.
    pub fn at(host: impl Into<String>) -> Self {
        Self {
            host: Some(host.into()),
        }
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        self.output(&["version", "--format", "{{.Server.Version}}"])
            .1
    }

    /// Asserts that runs in this world have left nothing: no container, no volume, no overlay, no directory of a run, no temporary file.
    #[track_caller]
    pub fn assert_nothing_left(&self, world: &World) {
        // The engine lists a container for a moment after it has said that it is removed.
        let deadline = Instant::now() + FORGETTING;
        let mut containers = self.all_containers(world);
        while !containers.is_empty() && Instant::now() < deadline {
            containers = self.all_containers(world);
        }
        assert!(containers.is_empty(), "containers are left: {containers:?}");
        let volumes = self.volumes(world);
        assert!(volumes.is_empty(), "volumes are left: {volumes:?}");
        let overlays = world.overlays();
        assert!(overlays.is_empty(), "overlays are left: {overlays:?}");
        for directory in [
            world.home().join(".local/state/capstan/runs"),
            world.root().join("tmp"),
        ] {
            let left: Vec<_> = fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }

    /// Ids of the containers that capstan made for the steps of a world and that are still there, running or not. Those that hold a network go by
    /// themselves, a moment after the run.
    pub fn containers(&self, world: &World) -> Vec<String> {
        let all = self.all_containers(world).into_iter();
        let of_steps = all.filter(|line| !line.contains(r#""io.capstan.role":"network""#));
        ids(of_steps)
    }

    /// Waits a moment, as the engine removes the last of them while capstan ends.
    ///
    /// # Panics
    /// When some of [`Engine::containers`] are left.
    pub fn assert_no_containers(&self, world: &World) {
        let mut left = self.containers(world);
        for _ in 0..100 {
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
            left = self.containers(world);
        }
        panic!("containers are left: {left:?}");
    }

    /// What the engine says of the containers that capstan made for a world, one line for each.
    fn all_containers(&self, world: &World) -> Vec<String> {
        let ids = self.docker(&[
            "ps",
            "--all",
            "--quiet",
            "--filter",
            &format!("label={LABEL}"),
        ]);
        if ids.is_empty() {
            return Vec::new();
        }
        // Tests share the engine, so those of other worlds are told apart by what is mounted into them.
        let mut arguments = vec![
            "inspect",
            "--format",
            "{{.Id}} {{json .HostConfig.Binds}} {{json .Mounts}} {{json .Config.Labels}}",
        ];
        arguments.extend(ids.lines());
        let root = world.root().to_string_lossy();
        // A container that is gone by now makes `inspect` fail, after it has told of the others.
        self.output(&arguments)
            .0
            .lines()
            .filter(|line| line.contains(&*root))
            .map(str::to_owned)
            .collect()
    }

    /// Names of the volumes that capstan had made for a world and that are still there.
    pub fn volumes(&self, world: &World) -> Vec<String> {
        let label = format!("label={LABEL}");
        let names = self.docker(&["volume", "ls", "--quiet", "--filter", &label]);
        if names.is_empty() {
            return Vec::new();
        }
        let mut arguments = vec![
            "volume",
            "inspect",
            "--format",
            "{{.Name}} {{json .Options}}",
        ];
        arguments.extend(names.lines());
        let root = world.root().to_string_lossy();
        let found = self.output(&arguments).0;
        let ours = found.lines().filter(|line| line.contains(&*root));
        let names = ours.filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect()
    }

    /// Whether the engine has an image.
    pub fn has_image(&self, name: &str) -> bool {
        self.output(&["image", "inspect", "--format", "{{.Id}}", name])
            .1
    }

    /// Removes an image, if it is there.
    pub fn remove_image(&self, name: &str) {
        if self.has_image(name) {
            self.docker(&["image", "rm", "--force", name]);
        }
    }

    /// Runs the engine's own client, asserts that it succeeds, and returns its standard output.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let (stdout, success, stderr) = self.output(arguments);
        assert!(success, "docker {arguments:?}: {stderr}");
        stdout
    }

    /// The engine's own client, asked this.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Standard output, whether it succeeded, standard error.
    fn output(&self, arguments: &[&str]) -> (String, bool, String) {
        let output = self
            .command(arguments)
            .output()
            .expect("the docker client runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        (
            text(&output.stdout),
            output.status.success(),
            text(&output.stderr),
        )
    }
}

fn ids(lines: impl Iterator<Item = String>) -> Vec<String> {
    let first = |line: String| line.split_whitespace().next().map(str::to_owned);
    lines.filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::{Engine, LABEL};
    use crate::World;

    #[test]
    fn containers_are_told_apart_by_world() {
        let engine = Engine::require();
        let (mine, other) = (World::new(), World::new());
        let mount = format!("{}:/work", mine.work().display());
        let label = format!("{LABEL}=test");
        let created = engine.docker(&[
            "create",
            "--label",
            &label,
            "-v",
            &mount,
            "busybox:stable",
            "true",
        ]);
        let found = (engine.containers(&mine), engine.containers(&other));
        engine.docker(&["rm", "--force", &created]);
        assert_eq!(found, (vec![created], vec![]));
        assert!(engine.containers(&mine).is_empty());
    }
}
