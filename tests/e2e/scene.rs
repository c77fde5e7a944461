//! What most tests of steps want: a world with one repository, an engine, and specs made from steps.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, thread};

use capstan_tests::{Capstan, Engine, Output, World};

/// A world with the repository `widgets`. When dropped, asserts that nothing was left behind.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) engine: Engine,
}

impl Scene {
    /// `widgets` has a README.
    pub(crate) fn new() -> Self {
        Self::of(&[("README.md", "hi\n")])
    }

    /// `widgets` has these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::on(Engine::require(), files)
    }

    /// On an engine of one's own.
    pub(crate) fn on(engine: Engine, files: &[(&str, &str)]) -> Self {
        let world = World::new();
        world.repository("widgets", files);
        Self { world, engine }
    }

    /// `batch run --output out` of these steps (image, script) on `widgets`.
    pub(crate) fn batch(&self, steps: &[(&str, &str)]) -> Capstan<'_> {
        self.yaml(&yaml(steps))
    }

    /// The same, of the text of a spec's `steps`, and of other top-level fields below them.
    pub(crate) fn yaml(&self, steps: &str) -> Capstan<'_> {
        self.command(steps).arg("widgets")
    }

    /// The same, without a repository.
    pub(crate) fn command(&self, steps: &str) -> Capstan<'_> {
        let spec = self.world.write("spec.yaml", spec(steps));
        self.world
            .capstan(["batch", "run", "--output", "out", "-f"])
            .arg(spec)
    }

    /// Runs steps that must succeed, and returns their diff.
    #[track_caller]
    pub(crate) fn diff_of(&self, steps: &[(&str, &str)]) -> String {
        self.batch(steps).run().assert_code(0);
        self.diff()
    }

    /// The diff of `widgets` that the last run wrote; empty if there was none.
    pub(crate) fn diff(&self) -> String {
        match &*self.world.files("out") {
            files if files.iter().any(|file| file == "widgets/test.patch") => {
                self.world.read("out/widgets/test.patch")
            }
            _ => String::new(),
        }
    }

    /// Asserts that running these steps fails with a code, and returns what was said.
    #[track_caller]
    pub(crate) fn failure_of(&self, code: i32, steps: &[(&str, &str)]) -> String {
        let output = self.batch(steps).run();
        output.assert_code(code);
        story(&output)
    }

    /// The logs of all runs, times left out.
    pub(crate) fn logs(&self) -> String {
        let logs = self.world.home().join(".local/state/capstan/logs");
        logs_under(&self.world, &logs)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.engine.assert_nothing_left(&self.world);
        }
    }
}

/// The logs of a world's last run, times left out; empty if there was none.
pub(crate) fn last_log(world: &World) -> String {
    let logs = world.home().join(".local/state/capstan/logs");
    let runs = fs::read_dir(logs).into_iter().flatten().flatten();
    let last = runs.max_by_key(|run| run.metadata().and_then(|run| run.modified()).ok());
    last.map_or_else(String::new, |run| logs_under(world, &run.path()))
}

/// What the logs in a directory say, times left out.
fn logs_under(world: &World, directory: &Path) -> String {
    let mut text = String::new();
    for file in world.files(directory) {
        for line in world.read(directory.join(file)).lines() {
            let (_, line) = line.split_once(' ').unwrap_or(("", line));
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// A spec with these steps.
pub(crate) fn spec(steps: &str) -> String {
    format!(
        "\
version: 2
name: test
description: A test
steps:
{steps}
changesetTemplate:
  title: Test
  body: Test
  branch: test
  commit:
    message: Test
"
    )
}

/// The text of a spec's `steps`.
pub(crate) fn yaml(steps: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (image, script) in steps {
        // JSON strings are YAML.
        let (image, script) = (serde_json::json!(image), serde_json::json!(script));
        let _ = writeln!(text, "  - container: {image}\n    run: {script}");
    }
    text
}

/// What was said of failures: all from the first mark on, paths of logs and the total left out.
pub(crate) fn story(output: &Output) -> String {
    let stderr = output.stderr();
    let lines = stderr
        .lines()
        .skip_while(|line| !line.starts_with("✗"))
        .filter(|line| !line.starts_with("  log: ") && !line.starts_with("wrote "));
    let mut lines: Vec<_> = lines.collect();
    lines.pop();
    lines.join("\n")
}

/// Asserts that a text contains these, in this order.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => panic!("{part:?} is missing, or not in its place, in\n{text}"),
        }
    }
}
