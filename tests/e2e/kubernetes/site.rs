//! A cluster, a server with a repository, and executors between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use capstan_tests::{
    Capstan, Cluster, Entry, JobState, Repository, Running, Signal, Sourcegraph, World, image,
};
use serde_json::{Value, json};

use crate::executor::{REPOSITORY, executor, listening, of_image};

/// After this long a test gives up on a real cluster.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where pods run.
enum Where {
    StandIn(Box<Cluster>),
    /// The one that `KUBECONFIG` names: `tests/scripts/kubernetes` says so.
    Real {
        kubeconfig: PathBuf,
    },
}

pub(crate) struct Site {
    place: Where,
    pub(crate) world: World,
    pub(crate) server: Sourcegraph,
    _app: Repository,
    pub(crate) commit: String,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Site {
    pub(crate) fn new() -> Self {
        let place = match variable("CAPSTAN_TEST_KUBECONFIG") {
            Some(kubeconfig) => Where::Real {
                kubeconfig: kubeconfig.into(),
            },
            None => Where::StandIn(Box::new(Cluster::start())),
        };
        let server = match variable("CAPSTAN_TEST_ADDRESS") {
            // As pods reach this machine.
            Some(address) => Sourcegraph::start_at(&address),
            None => Sourcegraph::start(),
        };
        let world = World::new();
        let app = world.repository("app", &[("README.md", "hi\n")]);
        server.repository(REPOSITORY, app.path());
        let commit = app.head();
        Self {
            place,
            world,
            server,
            _app: app,
            commit,
        }
    }

    /// The stand-in, for tests of what cannot be had of a real cluster; `None`: it is real, and the test is passed over.
    #[expect(
        clippy::print_stderr,
        reason = "whoever runs the tests on a cluster is told what was not tested"
    )]
    pub(crate) fn stand_in(&self) -> Option<&Cluster> {
        match &self.place {
            Where::StandIn(cluster) => Some(cluster),
            Where::Real { .. } => {
                eprintln!("skipped: a real cluster cannot be made to do that");
                None
            }
        }
    }

    /// `capstan executor` with the least configuration.
    pub(crate) fn executor(&self, command: &str) -> Capstan<'_> {
        let kubeconfig = match &self.place {
            Where::StandIn(cluster) => cluster.kubeconfig(),
            Where::Real { kubeconfig } => kubeconfig,
        };
        executor(&self.world, &self.server, command)
            .env("EXECUTOR_BACKEND", "kubernetes")
            .env("EXECUTOR_KUBERNETES_CONFIG_PATH", kubeconfig)
            .env("EXECUTOR_KUBERNETES_RUNNER_IMAGE", image())
            .env("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", "256Mi")
    }

    pub(crate) fn started(&self) -> Running {
        listening(self.executor("run"))
    }

    /// Puts a job into the queue, with steps of an image that has git, or of this name for another.
    pub(crate) fn enqueue(&self, job: &Value) -> i64 {
        let image = variable("CAPSTAN_TEST_STEP_IMAGE");
        let image = image.as_deref().unwrap_or("alpine/git:latest");
        self.server.enqueue(of_image(job, image))
    }

    #[track_caller]
    pub(crate) fn completed(&self, id: i64) {
        let state = self.server.wait_for(id);
        assert_eq!(state, JobState::Completed, "{:#?}", self.server.log(id));
    }

    #[track_caller]
    pub(crate) fn errored(&self, id: i64) -> String {
        match self.server.wait_for(id) {
            JobState::Errored(message) => message,
            other => panic!("job {id} is {other:?}: {:#?}", self.server.log(id)),
        }
    }

    #[track_caller]
    pub(crate) fn entry(&self, id: i64, key: &str) -> Entry {
        let log = self.server.log(id);
        let found = log.iter().find(|entry| entry.key == key);
        found
            .unwrap_or_else(|| panic!("{key} is missing in {log:#?}"))
            .clone()
    }

    #[track_caller]
    pub(crate) fn wait_for_output(&self, id: i64, text: &str) {
        self.server
            .wait_until(&format!("job {id} says {text}"), |server| {
                server.log(id).iter().any(|entry| entry.out.contains(text))
            });
    }

    /// A volume, as pods name it, that has the files of this directory.
    pub(crate) fn volume_of(&self, name: &str, directory: &Path) -> Value {
        let Where::Real { kubeconfig } = &self.place else {
            return json!({"name": name, "hostPath": {"path": directory}});
        };
        let kubectl = |arguments: &[&str]| {
            let mut kubectl = Command::new("kubectl");
            kubectl.arg("--kubeconfig").arg(kubeconfig).args(arguments);
            kubectl
        };
        // One of an earlier run may be there.
        let _ = kubectl(&["delete", "configmap", name]).output();
        let from = format!("--from-file={}", directory.display());
        let made = kubectl(&["create", "configmap", name, &from]).status();
        assert!(made.unwrap().success());
        json!({"name": name, "configMap": {"name": name}})
    }

    /// Names of the Jobs that there are of executors.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let names = |list: &[Value]| {
            let names = list.iter().map(|job| job["metadata"]["name"].as_str());
            names.flatten().map(str::to_owned).collect()
        };
        match &self.place {
            Where::StandIn(cluster) => names(&cluster.jobs()),
            Where::Real { kubeconfig } => {
                let mut kubectl = Command::new("kubectl");
                kubectl.arg("--kubeconfig").arg(kubeconfig);
                kubectl.args(["get", "jobs", "-o", "json"]);
                kubectl.args(["-l", "app.kubernetes.io/managed-by=capstan"]);
                let output = kubectl.output().unwrap();
                let list: Value = serde_json::from_slice(&output.stdout).unwrap();
                names(list["items"].as_array().unwrap())
            }
        }
    }

    /// Waits until nothing is left of any job.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let deadline = Instant::now() + PATIENCE;
        let is_empty = || match &self.place {
            Where::StandIn(cluster) => {
                cluster.jobs().is_empty()
                    && cluster.pods().is_empty()
                    && cluster.secrets().is_empty()
            }
            Where::Real { .. } => self.jobs().is_empty(),
        };
        while !is_empty() {
            assert!(Instant::now() < deadline, "left: {:?}", self.jobs());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.server.assert_pleased();
        if let Where::StandIn(cluster) = &self.place {
            cluster.assert_pleased();
        }
    }

    /// Stops an executor that has nothing left to do.
    #[track_caller]
    pub(crate) fn stop(&self, mut running: Running) -> String {
        running.signal(Signal::TERM);
        let output = running.wait();
        output.assert_code(0);
        self.assert_nothing_left();
        let text = String::from_utf8_lossy;
        format!("{}{}", text(output.raw_stdout()), text(output.raw_stderr()))
    }
}
