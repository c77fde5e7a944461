//! The executor's configuration: the variables of Sourcegraph's executor (facts/executor-protocol.md 11).
//!
//! An empty variable counts as unset. All problems are collected and shown together.

mod cluster;
mod values;
mod variables;

use std::path::PathBuf;
use std::time::Duration;

use capstan_engine::docker::Mirror;
use capstan_engine::sandbox::BindMount;
use capstan_executor::client::{Queues, Secret, Url};
use capstan_protocol::{DockerAuthConfig, route};

pub(crate) use self::cluster::ClusterConfig;

use self::variables::{Effect, NO_CLUSTER, VARIABLES};
use super::{Environment, units};

/// What the variables say.
#[derive(Debug)]
pub(crate) struct ExecutorConfig {
    pub(crate) frontend: Url,
    pub(crate) secret: Secret,
    pub(crate) queues: Queues,
    pub(crate) poll: Duration,
    pub(crate) slots: usize,
    /// `None`: no limit.
    pub(crate) maximum_runtime: Option<Duration>,
    pub(crate) total: Option<u64>,
    pub(crate) active: Option<Duration>,
    pub(crate) cpus: Option<f64>,
    /// Processors as the server is told; 0: it is not.
    pub(crate) told_cpus: u32,
    pub(crate) memory: Option<u64>,
    /// Memory and disk as the server is told.
    pub(crate) told_memory: String,
    pub(crate) told_disk: String,
    pub(crate) keep_workspaces: bool,
    pub(crate) docker_auth: DockerAuthConfig,
    pub(crate) host_gateway: bool,
    /// As they were written, and what that means.
    pub(crate) mounts: Vec<(String, BindMount)>,
    /// Below which all that the container engine has to see is.
    pub(crate) workspaces: Option<PathBuf>,
    /// Where the container engine sees that.
    pub(crate) host_mount_path: Option<PathBuf>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) health: Option<String>,
    pub(crate) node_exporter: Option<Url>,
    pub(crate) registry_exporter: Option<Url>,
    pub(crate) tries: u32,
    /// Where jobs run as pods; `None`: they run on a container engine.
    pub(crate) cluster: Option<ClusterConfig>,
    /// What people should be told.
    pub(crate) warnings: Vec<String>,
}

/// All that is wrong with the variables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl ExecutorConfig {
    /// Reads all variables.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut reader = Reader {
            environment,
            problems: Vec::new(),
        };
        let config = reader.config();
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(Problems(reader.problems)),
        }
    }
}

struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// The value of a variable under its own name or another, and the name; its default if it is not set.
    fn find(&self, name: &'static str) -> (&'static str, Option<&'a str>) {
        if let (name, Some(value)) = self.set(name) {
            return (name, Some(value));
        }
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        let default = match variable.map(|variable| &variable.effect) {
            Some(Effect::Means { default, .. } | Effect::OfPods { default, .. })
                if !["", "required"].contains(default) =>
            {
                Some(*default)
            }
            _ => None,
        };
        (name, default)
    }

    /// What a variable is set to under its own name or another, and the name.
    fn set(&self, name: &'static str) -> (&'static str, Option<&'a str>) {
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        let aliases = variable.map_or(&[][..], |variable| variable.aliases);
        for name in [name].into_iter().chain(aliases.iter().copied()) {
            // A value for this program alone counts more.
            let own = format!("{name}_executor");
            if let Some(value) = self
                .environment
                .get(&own)
                .or_else(|| self.environment.get(name))
            {
                return (name, Some(value));
            }
        }
        (name, None)
    }

    fn text(&self, name: &'static str) -> Option<&'a str> {
        self.find(name).1
    }

    /// A value that may be wrong; then it is a problem. `None` also if it is not set.
    fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&'a str) -> Result<T, String>,
    ) -> Option<T> {
        let (name, value) = self.find(name);
        match parse(value?) {
            Ok(parsed) => Some(parsed),
            Err(reason) => {
                self.problems
                    .push(format!("invalid value for {name}: {reason}"));
                None
            }
        }
    }

    fn required(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.text(name);
        if value.is_none() {
            self.problems.push(format!("no value supplied for {name}"));
        }
        value
    }

    fn flag(&mut self, name: &'static str) -> bool {
        self.parsed(name, values::boolean).unwrap_or_default()
    }

    /// `None` if it is 0, which means that there is no limit.
    fn limit(&mut self, name: &'static str) -> Option<Duration> {
        self.parsed(name, values::duration)
            .filter(|limit| !limit.is_zero())
    }

    fn config(&mut self) -> Option<ExecutorConfig> {
        let host_gateway = self.flag("EXECUTOR_DOCKER_ADD_HOST_GATEWAY");
        let frontend = self.frontend(host_gateway);
        let secret = self.required("EXECUTOR_FRONTEND_PASSWORD");
        let queues = self.queues();
        let cpus = self.parsed("EXECUTOR_JOB_NUM_CPUS", |text| match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err("expected a number of processors, or 0".to_owned()),
        });
        let memory = self.parsed("EXECUTOR_JOB_MEMORY", |text| match text {
            "0" => Ok(None),
            _ => units::size(text).map(|bytes| Some((bytes, text))),
        });
        let memory = memory.flatten();
        let disk = self.parsed("EXECUTOR_FIRECRACKER_DISK_SPACE", |text| {
            units::size(text).map(|_| text.to_owned())
        });
        let docker_auth = self.parsed("EXECUTOR_DOCKER_AUTH_CONFIG", values::docker_auth);
        let poll = self.parsed(
            "EXECUTOR_QUEUE_POLL_INTERVAL",
            |text| match values::duration(text)? {
                Duration::ZERO => Err("expected a duration longer than 0".to_owned()),
                poll => Ok(poll),
            },
        );
        let slots = self.parsed("EXECUTOR_MAXIMUM_NUM_JOBS", |text| values::number(text, 1));
        let total = self.parsed("EXECUTOR_NUM_TOTAL_JOBS", |text| values::number(text, 0));
        let tries = self.parsed("SRC_HTTP_CLI_MAX_RETRIES", |text| values::number(text, 0));
        let mounts = self.parsed("EXECUTOR_DOCKER_ADDITIONAL_MOUNTS", values::mounts);
        let host_mount_path = self.parsed("EXECUTOR_DOCKER_HOST_MOUNT_PATH", values::absolute);
        let mirrors = self.parsed("EXECUTOR_DOCKER_REGISTRY_MIRROR_URL", values::mirrors);
        let workspaces = match (self.text("TMPDIR"), &host_mount_path) {
            (Some(directory), _) => Some(directory),
            // Where the original has them.
            (None, Some(_)) => Some("/tmp"),
            (None, None) => None,
        };
        let maximum_runtime = self.limit("EXECUTOR_MAXIMUM_RUNTIME_PER_JOB");
        let active = self.limit("EXECUTOR_MAX_ACTIVE_TIME");
        let keep_workspaces = self.flag("EXECUTOR_KEEP_WORKSPACES");
        let health = self.parsed("EXECUTOR_HEALTH_SERVER_ADDR", values::address);
        let node_exporter = self.parsed("NODE_EXPORTER_URL", url);
        let registry_exporter = self.parsed("DOCKER_REGISTRY_NODE_EXPORTER_URL", url);
        for (name, choices) in [
            (
                "SRC_LOG_LEVEL",
                &["dbug", "debug", "info", "warn", "error", "eror", "crit"][..],
            ),
            (
                "SRC_LOG_FORMAT",
                &["json", "json_gcp", "logfmt", "condensed"][..],
            ),
        ] {
            self.parsed(name, |text| match choices.contains(&text) {
                true => Ok(()),
                false => Err(format!("expected one of {}", choices.join(", "))),
            });
        }
        let cluster = self.uses_cluster().then(|| self.cluster());
        Some(ExecutorConfig {
            frontend: frontend?,
            secret: Secret::new(secret?.to_owned()),
            queues: queues?,
            poll: poll?,
            slots: usize::try_from(slots?).unwrap_or(usize::MAX),
            maximum_runtime,
            total: total.map(u64::from).filter(|total| *total > 0),
            active,
            cpus: cpus.filter(|cpus| *cpus > 0.0),
            told_cpus: cpus.map_or(0, |cpus| cpus.ceil() as u32),
            memory: memory.map(|(bytes, _)| bytes),
            told_memory: memory.map_or_else(String::new, |(_, text)| text.to_owned()),
            told_disk: disk.unwrap_or_default(),
            keep_workspaces,
            docker_auth: docker_auth.unwrap_or_default(),
            host_gateway,
            mounts: mounts.unwrap_or_default(),
            workspaces: workspaces.map(PathBuf::from),
            host_mount_path,
            mirrors: mirrors.unwrap_or_default(),
            health,
            node_exporter,
            registry_exporter,
            tries: tries?.max(1),
            warnings: self.warnings(cluster.is_some()),
            cluster,
        })
    }

    fn frontend(&mut self, host_gateway: bool) -> Option<Url> {
        const NAME: &str = "EXECUTOR_FRONTEND_URL";
        self.required(NAME)?;
        let frontend = self.parsed(NAME, url)?;
        if frontend.host_str() == Some("host.docker.internal") && !host_gateway {
            self.problems.push(format!(
                "{NAME} has the host host.docker.internal, for which EXECUTOR_DOCKER_ADD_HOST_GATEWAY must be true"
            ));
        }
        Some(frontend)
    }

    fn queues(&mut self) -> Option<Queues> {
        let known = route::QUEUES.join(", ");
        let single = self.text("EXECUTOR_QUEUE_NAME");
        let several = self.text("EXECUTOR_QUEUE_NAMES");
        match (single, several) {
            (Some(queue), None) if route::QUEUES.contains(&queue) => {
                Some(Queues::Single(queue.to_owned()))
            }
            (Some(_), None) => {
                let problem = format!("EXECUTOR_QUEUE_NAME must be set to one of '{known}'");
                self.problems.push(problem);
                None
            }
            (None, Some(list)) => {
                let names = list
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                let names: Vec<String> = names.map(str::to_owned).collect();
                let unknown = names
                    .iter()
                    .filter(|name| !route::QUEUES.contains(&&***name));
                let unknown: Vec<&str> = unknown.map(String::as_str).collect();
                if !unknown.is_empty() || names.is_empty() {
                    self.problems.push(format!(
                        "EXECUTOR_QUEUE_NAMES contains unknown names ({}); they must be of '{known}'",
                        unknown.join(", ")
                    ));
                }
                Some(Queues::Multi(names))
            }
            (None, None) => {
                let problem =
                    "neither EXECUTOR_QUEUE_NAME nor EXECUTOR_QUEUE_NAMES is set; set one of them";
                self.problems.push(format!(
                    "{problem}, for example EXECUTOR_QUEUE_NAME=batches"
                ));
                None
            }
            (Some(_), Some(_)) => {
                let problem =
                    "both EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES are set; set one of them";
                self.problems.push(problem.to_owned());
                None
            }
        }
    }

    fn warnings(&self, has_cluster: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        for variable in VARIABLES {
            let (harmless, reason) = match variable.effect {
                Effect::Unsupported { harmless, reason } => (harmless, reason),
                // Charts set some of them to what they are without.
                Effect::OfPods { .. } if !has_cluster => (&["-1", "false"][..], NO_CLUSTER),
                _ => continue,
            };
            if let (name, Some(value)) = self.set(variable.name)
                && !harmless.contains(&value)
            {
                warnings.push(format!("{name} is ignored: {reason}"));
            }
        }
        warnings
    }
}

/// A URL of a server, whatever path it has. Credentials in it are no way to sign in here.
fn url(text: &str) -> Result<Url, String> {
    const WRONG: &str = "expected scheme://host, for example https://sourcegraph.example.com";
    let url = Url::parse(text).map_err(|_| WRONG)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(WRONG.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("there must be no user and no password in it".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
