//! What tests of plugins want: a world whose steps are components, and tables that configure plugins.

use std::fs;
use std::path::Path;

use capstan_tests::{
    Capstan, Output, Repository, World, component, frozen_plugin, official_plugin, probe_plugin,
};
use serde_json::Value;

use crate::scene::{last_log, spec};

/// An address without a container engine.
pub(super) const NOWHERE: &str = "unix:///nonexistent/docker.sock";

/// A world with the repository `widgets` and `tool.wasm` for its steps, on a machine without any container engine. When dropped, asserts
/// that nothing was left behind.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) widgets: Repository,
}

impl Stage {
    /// `widgets` has a README; these plugins are in `capstan.toml`.
    pub(super) fn new(plugins: &[String]) -> Self {
        Self::of(&[("README.md", "hi\n")], plugins)
    }

    /// `widgets` has these files.
    pub(super) fn of(files: &[(&str, &str)], plugins: &[String]) -> Self {
        let world = World::new();
        let widgets = world.repository("widgets", files);
        let stage = Self { world, widgets };
        stage.world.write("tool.wasm", tool());
        stage.configure(plugins);
        stage
    }

    /// Writes `capstan.toml`.
    pub(super) fn configure(&self, plugins: &[String]) {
        self.world.write("capstan.toml", plugins.concat());
    }

    /// `batch run --output out` of the text of a spec's `steps` on `widgets`.
    pub(super) fn yaml(&self, steps: &str) -> Capstan<'_> {
        self.spec(&spec(steps)).arg("widgets")
    }

    /// The same of a whole spec, without a repository.
    pub(super) fn spec(&self, spec: &str) -> Capstan<'_> {
        self.world.write("spec.yaml", spec);
        self.world
            .capstan(["batch", "run", "--output", "out", "-f", "spec.yaml"])
            .env("DOCKER_HOST", NOWHERE)
    }

    /// The same, of steps that run the tool with each of these texts, on `widgets`.
    pub(super) fn tool(&self, runs: &[&str]) -> Capstan<'_> {
        self.yaml(&steps(runs))
    }

    /// The diff of `widgets` that the last run wrote; empty if there was none.
    pub(super) fn diff(&self) -> String {
        match &*self.world.files("out") {
            files if files.iter().any(|file| file == "widgets/test.patch") => {
                self.world.read("out/widgets/test.patch")
            }
            _ => String::new(),
        }
    }

    /// The logs of the last run, without times and without what calls used.
    pub(super) fn log(&self) -> String {
        let log = last_log(&self.world);
        let lines = log.lines().filter(|line| !line.contains(" took "));
        let lines = lines.map(|line| match line.split_once(" complete in ") {
            Some((step, _)) => format!("{step} complete\n"),
            None => format!("{line}\n"),
        });
        lines.collect()
    }

    /// The calls of the last run in order: `PLUGIN FUNCTION`.
    pub(super) fn calls(&self) -> Vec<String> {
        let log = last_log(&self.world);
        let calls = log.lines().filter_map(|line| {
            let (call, _) = line.strip_prefix("[Plugin ")?.split_once(" took ")?;
            Some(call.replace(']', ""))
        });
        calls.collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for directory in [
            self.world.home().join(".local/state/capstan/runs"),
            self.world.root().join("tmp"),
        ] {
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let left: Vec<_> = entries.map(|entry| entry.path()).collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

/// The component that most steps run.
pub(super) fn tool() -> Vec<u8> {
    let flags = ["--check-cfg", "cfg(second)"];
    fs::read(component("tests/e2e/components/tool.rs", &flags)).expect("it was compiled")
}

/// The text of `steps` that run the tool.
pub(super) fn steps(runs: &[&str]) -> String {
    let step = |run: &&str| {
        let run = serde_json::json!(run);
        format!("  - container: wasm://./tool.wasm\n    run: {run}\n")
    };
    runs.iter().map(step).collect()
}

/// The table of a plugin. More keys may follow it.
pub(super) fn table(name: &str, source: &Path, config: &str) -> String {
    format!("[[plugin]]\nname = {name:?}\nsource = {source:?}\nconfig = {config}\n")
}

/// An official plugin under its own name, with this inline table as its configuration.
pub(super) fn official(name: &str, config: &str) -> String {
    let grants = match name {
        "workspace-files" => "grants = { workspace = \"write\" }\n",
        _ => "",
    };
    table(name, &official_plugin(name), config) + grants
}

/// The probe as a policy.
pub(super) fn policy(name: &str, config: &str) -> String {
    table(name, &probe_plugin("policy"), config)
}

/// The probe with all other hooks.
pub(super) fn others(name: &str, config: &str) -> String {
    table(name, &probe_plugin("others"), config) + "grants = { workspace = \"write\" }\n"
}

/// The plugin of version 0.1.0 with every hook.
pub(super) fn frozen(name: &str, config: &str) -> String {
    table(name, &frozen_plugin(), config) + "grants = { workspace = \"write\" }\n"
}

/// The metadata of the `TASK_PLUGIN` events of a run with `--format json`, each after its status.
pub(super) fn plugin_events(output: &Output) -> Vec<(String, Value)> {
    let text = String::from_utf8_lossy(output.raw_stdout()).into_owned();
    let events = text.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    events
        .filter(|event| event["operation"] == "TASK_PLUGIN")
        .map(|mut event| {
            let status = event["status"].as_str().unwrap_or_default().to_owned();
            (status, event["metadata"].take())
        })
        .collect()
}
