//! A cluster, a server with a repository, and executors between them.

use std::io::Write as _;
use std::path::Path;

use capstan_tests::{
    Capstan, Cluster, Entry, JobState, Repository, Running, Signal, Sourcegraph, World, image,
};
use serde_json::{Value, json};

use super::namespace::Namespace;
use crate::executor::{REPOSITORY, executor, listening, of_image};
use crate::workspaces::HttpServer;

/// Where pods run.
enum Where {
    StandIn(Box<Cluster>),
    /// In the cluster that `KUBECONFIG` names: `tests/scripts/kubernetes` says so.
    Real(Namespace),
}

pub(crate) struct Site {
    place: Where,
    pub(crate) world: World,
    pub(crate) server: Sourcegraph,
    _app: Repository,
    pub(crate) commit: String,
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An image that has git, or another that goes by its name.
pub(crate) fn step_image() -> String {
    variable("CAPSTAN_TEST_STEP_IMAGE").unwrap_or_else(|| "alpine/git:latest".to_owned())
}

/// Says why a test is passed over: to whoever runs the tests, not into what a test has said, which nobody sees of one that passes.
fn pass_over(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "{name} is passed over: {why}");
}

impl Site {
    pub(crate) fn new() -> Self {
        let server = match variable("CAPSTAN_TEST_ADDRESS") {
            // As pods reach this machine.
            Some(address) => Sourcegraph::start_at(&address),
            None => Sourcegraph::start(),
        };
        let world = World::new();
        let place = match variable("CAPSTAN_TEST_KUBECONFIG") {
            Some(kubeconfig) => Where::Real(Namespace::new(kubeconfig.into(), &world)),
            None => Where::StandIn(Box::new(Cluster::start())),
        };
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
    pub(crate) fn stand_in(&self) -> Option<&Cluster> {
        match &self.place {
            Where::StandIn(cluster) => Some(cluster),
            Where::Real(_) => {
                pass_over("a real cluster cannot be made to do that");
                None
            }
        }
    }

    /// The namespace of a real cluster, for tests of what the stand-in does not have; `None`: they are passed over.
    pub(super) fn namespace(&self) -> Option<&Namespace> {
        match &self.place {
            Where::StandIn(_) => {
                pass_over("it takes a real cluster: see make test-kubernetes");
                None
            }
            Where::Real(namespace) => Some(namespace),
        }
    }

    /// A command with what it needs to find the cluster.
    pub(crate) fn in_cluster<'w>(&self, command: Capstan<'w>) -> Capstan<'w> {
        let (kubeconfig, namespace) = match &self.place {
            Where::StandIn(cluster) => (cluster.kubeconfig(), cluster.namespace()),
            Where::Real(namespace) => (namespace.kubeconfig(), namespace.name()),
        };
        command
            .env("KUBECONFIG", kubeconfig)
            .env("EXECUTOR_KUBERNETES_NAMESPACE", namespace)
            .env("EXECUTOR_KUBERNETES_RUNNER_IMAGE", image())
    }

    /// `capstan executor` with the least configuration.
    pub(crate) fn executor(&self, command: &str) -> Capstan<'_> {
        self.in_cluster(executor(&self.world, &self.server, command))
            .env("EXECUTOR_BACKEND", "kubernetes")
            .env("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", "256Mi")
    }

    pub(crate) fn started(&self) -> Running {
        listening(self.executor("run"))
    }

    /// Puts a job into the queue, with steps of an image that has git.
    pub(crate) fn enqueue(&self, job: &Value) -> i64 {
        self.server.enqueue(of_image(job, &step_image()))
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

    /// Asserts that a step that says `at` one number after another, from 1 to `last`, is told to have said each once, and in turn.
    #[track_caller]
    pub(crate) fn assert_counted(&self, id: i64, key: &str, last: u32) {
        let said = self.entry(id, key).out;
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("at ")).collect();
        let expected: Vec<String> = (1..=last).map(|at| format!("stdout: at {at}")).collect();
        assert_eq!(lines, expected);
    }

    /// Serves git repositories of the working directory, as pods reach them.
    pub(crate) fn repositories(&self) -> HttpServer {
        let host = variable("CAPSTAN_TEST_ADDRESS");
        HttpServer::start_at(host.as_deref().unwrap_or("127.0.0.1"), self.world.work())
    }

    /// A volume, as pods name it, that has the files of this directory.
    pub(crate) fn volume_of(&self, name: &str, directory: &Path) -> Value {
        let Where::Real(namespace) = &self.place else {
            return json!({"name": name, "hostPath": {"path": directory}});
        };
        let from = format!("--from-file={}", directory.display());
        namespace.kubectl(&["create", "configmap", name, &from]);
        json!({"name": name, "configMap": {"name": name}})
    }

    /// Lets no pod into the namespace but those that fit the level `restricted`. The stand-in knows no levels.
    pub(crate) fn restrict(&self) {
        if let Where::Real(namespace) = &self.place {
            let level = "pod-security.kubernetes.io/enforce=restricted";
            namespace.kubectl(&["label", "--overwrite", "namespace", namespace.name(), level]);
        }
    }

    /// Whether the cluster makes volumes for whoever asks for any; if not, the test is passed over.
    pub(crate) fn makes_volumes(&self) -> bool {
        let Where::Real(namespace) = &self.place else {
            return true;
        };
        let is_default = "storageclass.kubernetes.io/is-default-class";
        let classes = namespace.all("storageclasses");
        let makes = classes
            .iter()
            .any(|class| class["metadata"]["annotations"][is_default] == "true");
        if !makes {
            pass_over("the cluster has no default StorageClass");
        }
        makes
    }

    pub(crate) fn jobs(&self) -> Vec<Value> {
        match &self.place {
            Where::StandIn(cluster) => cluster.jobs(),
            Where::Real(namespace) => namespace.all("jobs"),
        }
    }

    pub(crate) fn pods(&self) -> Vec<Value> {
        match &self.place {
            Where::StandIn(cluster) => cluster.pods(),
            Where::Real(namespace) => namespace.all("pods"),
        }
    }

    pub(crate) fn secrets(&self) -> Vec<Value> {
        match &self.place {
            Where::StandIn(cluster) => cluster.secrets(),
            Where::Real(namespace) => namespace.all("secrets"),
        }
    }

    /// Deletes a pod as somebody would who has nothing to do with the executor.
    pub(crate) fn delete_pod(&self, name: &str) {
        match &self.place {
            Where::StandIn(cluster) => cluster.remove_pod(name),
            Where::Real(namespace) => {
                namespace.kubectl(&["delete", "pod", name, "--wait=false"]);
            }
        }
    }

    /// An image whose user is not root; `None`: none is named, and the test is passed over.
    pub(crate) fn image_with_user(&self) -> Option<String> {
        let named = variable("CAPSTAN_TEST_USER_IMAGE");
        match &self.place {
            Where::StandIn(_) => Some("capstan-test/nonroot:latest".to_owned()),
            Where::Real(_) => {
                if named.is_none() {
                    pass_over("CAPSTAN_TEST_USER_IMAGE names no image");
                }
                named
            }
        }
    }

    /// Gives the executor a right, or takes it.
    #[track_caller]
    pub(crate) fn change_right(&self, verb: &str, resource: &str, is_given: bool) {
        match (&self.place, is_given) {
            (Where::StandIn(cluster), true) => cluster.permit(verb, resource),
            (Where::StandIn(cluster), false) => cluster.forbid(verb, resource),
            (Where::Real(namespace), _) => namespace.change_right(verb, resource, is_given),
        }
    }

    /// Waits until a condition holds of the cluster.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        match &self.place {
            Where::StandIn(cluster) => cluster.wait_until(what, |_| condition(self)),
            Where::Real(namespace) => namespace.wait_until(what, |_| condition(self)),
        }
    }

    /// Waits until nothing is left of any job.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        self.wait_until("nothing is left", |site| {
            site.jobs().is_empty() && site.pods().is_empty() && site.secrets().is_empty()
        });
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
