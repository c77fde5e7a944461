//! Settings: defaults, then a file, then the environment, then flags. Every value knows where it came from.

mod executor;
mod file;
mod plugins;
mod registry;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use capstan_core::plugin::Entry;
use capstan_engine::sandbox::BindMount;
use capstan_engine::workspace::Method;

pub(crate) use self::executor::{ClusterConfig, ExecutorConfig, Problems};
pub(crate) use self::registry::SETTINGS;
pub(crate) use self::units::duration;

use crate::args::SettingFlags;

/// The environment that Capstan was started in; read once, so that nothing else looks at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Of this process. Variables that are not UTF-8 are left out.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables }
    }

    /// Of these variables alone.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            variables: variables.iter().map(owned).collect(),
        }
    }

    /// The same with these variables, which take the place of others.
    pub(crate) fn with<const N: usize>(&self, variables: [(&str, String); N]) -> Self {
        let mut all = self.variables.clone();
        all.extend(variables.map(|(name, value)| (name.to_owned(), value)));
        Self { variables: all }
    }

    /// The value of a variable; an empty one counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables, empty ones included.
    pub(crate) fn all(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(&'static str),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag(name) => write!(f, "the flag --{name}"),
        }
    }
}

/// Something in the configuration that stops the program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("reading the settings file: {0}")]
    Read(#[from] std::io::Error),
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    #[error("{}:{line}: {message}", path.display())]
    At {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{key} = {value:?} from {origin}: {message}")]
    Value {
        key: &'static str,
        value: String,
        origin: Origin,
        message: String,
    },
}

/// All settings, typed.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) jobs: Option<usize>,
    pub(crate) timeout: Duration,
    pub(crate) step_timeout: Option<Duration>,
    pub(crate) cpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    pub(crate) pids: Option<u32>,
    pub(crate) network: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) mounts: Vec<BindMount>,
    pub(crate) run_as_root: bool,
    pub(crate) prepare_ahead: usize,
    pub(crate) output_limit: u64,
    pub(crate) log_limit: u64,
    pub(crate) diff_limit: u64,
    pub(crate) keep_logs: usize,
    pub(crate) cache_dir: PathBuf,
    pub(crate) cache_size: u64,
    /// How workspaces get their files; `None`: the fastest way.
    pub(crate) workspaces: Option<Method>,
    pub(crate) state_dir: PathBuf,
    /// Directory of the key that authenticates compiled code: the state directory that the user has, also where a command keeps its
    /// state elsewhere. The code is in the cache directory, and a key made anew would make it worthless.
    pub(crate) key_dir: PathBuf,
    pub(crate) docker_host: Option<String>,
    /// Names of environment variables whose values are secrets.
    pub(crate) secrets: Vec<String>,
    /// The plugins, in the order in which they are called.
    pub(crate) plugins: Vec<Entry>,
    /// The file that the plugins are from; `None` if there is no file.
    pub(crate) plugins_file: Option<PathBuf>,
    /// Whether what all plugins refuse is only logged.
    pub(crate) plugins_audit: bool,
    /// What is set, in text, and where it came from.
    pub(crate) origins: BTreeMap<&'static str, (String, Origin)>,
    /// What people should be told about the configuration.
    pub(crate) warnings: Vec<String>,
}

/// Name of the file, beside the batch spec or the file that names the plugins, that pins components from elsewhere.
pub(crate) const LOCK: &str = "capstan.lock";

/// Values by key, as text; lists have one entry per line.
type Values = BTreeMap<&'static str, (String, Origin)>;

impl Config {
    /// Reads all layers.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: &Environment,
        flags: &SettingFlags,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let mut values = Values::new();
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                values.insert(setting.key, (default.to_owned(), Origin::Default));
            }
        }
        let file = file::find(file, environment, directory);
        if let Some(path) = &file {
            values.extend(file::read(path, &mut warnings)?);
        }
        for setting in SETTINGS {
            if let Some(value) = environment.get(setting.environment) {
                let value = if setting.list {
                    value.replace(',', "\n")
                } else {
                    value.to_owned()
                };
                values.insert(
                    setting.key,
                    (value, Origin::Environment(setting.environment)),
                );
            }
        }
        values.extend(registry::from_flags(flags));
        let mut config = Self::typed(values, warnings, environment, directory)?;
        config.plugins_file = config.plugins_file.or(file);
        if let Some(path) = &config.plugins_file {
            config.plugins = plugins::read(path, &mut config.warnings)?;
        }
        Ok(config)
    }

    /// The lock beside the file that names the plugins; without such a file, the one of the working directory.
    pub(crate) fn lock_path(&self) -> PathBuf {
        match &self.plugins_file {
            Some(file) => file.with_file_name(LOCK),
            None => PathBuf::from(LOCK),
        }
    }

    fn typed(
        values: Values,
        warnings: Vec<String>,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let get = Getter { values: &values };
        let home = |variable: &str, under_home: &str| {
            let base = environment
                .get(variable)
                .map(PathBuf::from)
                .or_else(|| {
                    environment
                        .get("HOME")
                        .map(|home| Path::new(home).join(under_home))
                })
                .unwrap_or_else(std::env::temp_dir);
            base.join("capstan")
        };
        let path =
            |key, default: PathBuf| get.text(key).map_or(default, |text| directory.join(text));
        let state_dir = path("state-dir", home("XDG_STATE_HOME", ".local/state"));
        Ok(Self {
            jobs: get
                .parsed("jobs", |text| match text {
                    "0" | "auto" => Ok(None),
                    _ => units::count(text).map(Some),
                })?
                .flatten(),
            timeout: get
                .parsed("timeout", duration)?
                .unwrap_or(Duration::from_secs(3600)),
            step_timeout: get.parsed("step-timeout", duration)?,
            cpus: get.parsed("cpus", units::cpus)?,
            memory: get.parsed("memory", units::size)?,
            pids: get.parsed("pids", units::pids)?,
            network: get.text("network").map(str::to_owned),
            platform: get.text("platform").map(str::to_owned),
            mounts: get
                .parsed("mounts", |text| {
                    text.lines()
                        .map(|line| units::mount(line, directory))
                        .collect()
                })?
                .unwrap_or_default(),
            run_as_root: get.parsed("run-as-root", units::boolean)?.unwrap_or(false),
            prepare_ahead: get
                .parsed("prepare-ahead", units::count_or_zero)?
                .unwrap_or(4),
            output_limit: get.parsed("output-limit", units::size)?.unwrap_or(8 << 20),
            log_limit: get.parsed("log-limit", units::size)?.unwrap_or(64 << 20),
            diff_limit: get.parsed("diff-limit", units::size)?.unwrap_or(512 << 20),
            keep_logs: get.parsed("keep-logs", units::count_or_zero)?.unwrap_or(20),
            cache_dir: path("cache-dir", home("XDG_CACHE_HOME", ".cache")),
            cache_size: get.parsed("cache-size", units::size)?.unwrap_or(20 << 30),
            workspaces: get.parsed("workspaces", units::method)?.flatten(),
            key_dir: state_dir.clone(),
            state_dir,
            docker_host: get.text("docker-host").map(str::to_owned),
            secrets: get
                .text("secrets")
                .map(|names| names.lines().map(|name| name.trim().to_owned()).collect())
                .unwrap_or_default(),
            plugins: Vec::new(),
            plugins_file: get.text("plugins").map(|text| directory.join(text)),
            plugins_audit: get
                .parsed("plugins-audit", units::boolean)?
                .unwrap_or(false),
            origins: values,
            warnings,
        })
    }
}

struct Getter<'a> {
    values: &'a Values,
}

impl<'a> Getter<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.values
            .get(key)
            .map(|(value, _)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, origin)) = self.values.get(key) else {
            return Ok(None);
        };
        if value.is_empty() {
            return Ok(None);
        }
        parse(value)
            .map(Some)
            .map_err(|message| ConfigError::Value {
                key,
                value: value.clone(),
                origin: origin.clone(),
                message,
            })
    }
}

#[cfg(test)]
mod tests;
