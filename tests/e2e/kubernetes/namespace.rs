//! A namespace of a real cluster, as long as one test has it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use capstan_tests::World;
use serde_json::{Value, json};

use crate::manifests::deploy;

/// After this long a test gives up on a cluster.
const PATIENCE: Duration = Duration::from_secs(300);

/// What of the examples each namespace has: the least level of pod security, and what the executor may do.
const EXAMPLES: [&str; 3] = ["namespace.yaml", "service-account.yaml", "role.yaml"];

/// The executor's service account, and its role.
pub(super) const EXECUTOR: &str = "capstan-executor";

pub(crate) struct Namespace {
    name: String,
    /// Whoever runs the tests.
    owner: PathBuf,
    /// An executor, as it is deployed.
    executor: PathBuf,
}

impl Namespace {
    /// A new one, with the executor's service account and role.
    pub(super) fn new(owner: PathBuf, world: &World) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = Self {
            name: format!("capstan-test-{}-{number}", std::process::id()),
            owner,
            executor: world.root().join("kubeconfig"),
        };
        for file in EXAMPLES {
            let path = deploy().join("kubernetes").join(file);
            let manifest = std::fs::read_to_string(path).unwrap();
            let name = &namespace.name;
            let manifest = manifest
                .replace("namespace: capstan\n", &format!("namespace: {name}\n"))
                .replace("name: capstan\n", &format!("name: {name}\n"));
            let manifest = world.write(file, manifest);
            namespace.kubectl(&["apply", "-f", manifest.to_str().unwrap()]);
        }
        let token = namespace.kubectl(&["create", "token", EXECUTOR, "--duration=2h"]);
        let config = namespace.kubectl(&["config", "view", "--minify", "--raw", "-o", "json"]);
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        std::fs::write(&namespace.executor, config.to_string()).unwrap();
        // Pods are refused before it is there.
        namespace.wait_until("there is a service account for pods", |namespace| {
            let accounts = namespace.all("serviceaccounts");
            accounts
                .iter()
                .any(|found| found["metadata"]["name"] == "default")
        });
        namespace
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file with which an executor finds the cluster.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.executor
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.owner);
        kubectl.args(["--namespace", &self.name]).args(arguments);
        kubectl
    }

    /// What kubectl says.
    #[track_caller]
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        match self.ask(arguments) {
            Ok(said) => said,
            Err(said) => panic!("kubectl {arguments:?}: {said}"),
        }
    }

    /// What kubectl says, or complains of.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// Gives the executor a right of its role, or takes it.
    #[track_caller]
    pub(super) fn change_right(&self, verb: &str, resource: &str, is_given: bool) {
        let rules = self.kubectl(&["get", "role", EXECUTOR, "-o", "jsonpath={.rules}"]);
        let mut rules: Vec<Value> = serde_json::from_str(&rules).unwrap();
        let of_resource = |rule: &&mut Value| rule["resources"] == json!([resource]);
        let rule = rules.iter_mut().find(of_resource).unwrap();
        // A rule has to have a verb, so one that nobody knows takes its place.
        let nothing = format!("no-{verb}");
        let (was, is) = match is_given {
            true => (nothing.as_str(), verb),
            false => (verb, nothing.as_str()),
        };
        for one in rule["verbs"].as_array_mut().unwrap() {
            if one == was {
                *one = json!(is);
            }
        }
        let patch = json!({"rules": rules}).to_string();
        self.kubectl(&["patch", "role", EXECUTOR, "--type=merge", "-p", &patch]);
        // Whoever decides hears of it a little later.
        let who = format!("--as=system:serviceaccount:{}:{EXECUTOR}", self.name);
        let (of, part) = resource.split_once('/').unwrap_or((resource, ""));
        let part = format!("--subresource={part}");
        let asked = ["auth", "can-i", verb, of, &part, &who];
        self.wait_until("the right has changed", |namespace| {
            namespace.ask(&asked).is_ok() == is_given
        });
    }

    /// All that there is of a resource.
    #[track_caller]
    pub(super) fn all(&self, resource: &str) -> Vec<Value> {
        let list = self.kubectl(&["get", resource, "-o", "json"]);
        let mut list: Value = serde_json::from_str(&list).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}; {}",
                self.kubectl(&["get", "all,events"])
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut delete = self.command(&["delete", "namespace", &self.name, "--wait=false"]);
        let _ = delete.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
