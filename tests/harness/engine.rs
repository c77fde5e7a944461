//! The container engine, looked at from outside the binary under test.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::world::World;

/// The label that every container made by capstan carries.
const LABEL: &str = "io.capstan.run";

/// A container engine that answers.
#[derive(Clone, Copy)]
pub struct Engine(());

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
        Self(())
    }

    /// Ids of the containers that capstan made for a world and that are still there, running or not.
    pub fn containers(self, world: &World) -> Vec<String> {
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
            "{{.Id}} {{json .HostConfig.Binds}} {{json .Mounts}}",
        ];
        arguments.extend(ids.lines());
        let root = world.root().to_string_lossy();
        // A container that is gone by now makes `inspect` fail, after it has told of the others.
        output(&arguments)
            .0
            .lines()
            .filter(|line| line.contains(&*root))
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }

    /// Whether the engine has an image.
    pub fn has_image(self, name: &str) -> bool {
        output(&["image", "inspect", "--format", "{{.Id}}", name]).1
    }

    /// Removes an image, if it is there.
    pub fn remove_image(self, name: &str) {
        if self.has_image(name) {
            self.docker(&["image", "rm", "--force", name]);
        }
    }

    /// Runs the engine's own client, asserts that it succeeds, and returns its standard output.
    pub fn docker(self, arguments: &[&str]) -> String {
        let (stdout, success, stderr) = output(arguments);
        assert!(success, "docker {arguments:?}: {stderr}");
        stdout
    }
}

/// Standard output, whether it succeeded, standard error.
fn output(arguments: &[&str]) -> (String, bool, String) {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the docker client runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (
        text(&output.stdout),
        output.status.success(),
        text(&output.stderr),
    )
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
