//! The table of settings, from which the file's keys, the environment's names and the documentation come.

use super::{Origin, Values};
use crate::args::SettingFlags;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Key in `capstan.toml`, and the flag's name where there is one.
    pub(crate) key: &'static str,
    /// Environment variable. A list is separated by commas there.
    pub(crate) environment: &'static str,
    /// Default, as text; `None` if unset or computed.
    pub(crate) default: Option<&'static str>,
    /// Whether it is a list.
    pub(crate) list: bool,
    /// What it is.
    pub(crate) about: &'static str,
}

const fn one(
    key: &'static str,
    environment: &'static str,
    default: Option<&'static str>,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        environment,
        default,
        list: false,
        about,
    }
}

/// All settings, in the order of the documentation.
pub(crate) const SETTINGS: &[Setting] = &[
    one(
        "jobs",
        "CAPSTAN_JOBS",
        None,
        "Workspaces at a time; unset, 0 or auto: the engine's processors.",
    ),
    one(
        "timeout",
        "CAPSTAN_TIMEOUT",
        Some("1h"),
        "Longest run of one workspace.",
    ),
    one(
        "step-timeout",
        "CAPSTAN_STEP_TIMEOUT",
        None,
        "Longest run of one step; unset: bounded by the workspace's.",
    ),
    one(
        "cpus",
        "CAPSTAN_CPUS",
        None,
        "Processors that a step may use.",
    ),
    one(
        "memory",
        "CAPSTAN_MEMORY",
        None,
        "Memory that a step may use, swap included.",
    ),
    one(
        "pids",
        "CAPSTAN_PIDS",
        None,
        "Processes and threads that a step may have.",
    ),
    one(
        "network",
        "CAPSTAN_NETWORK",
        None,
        "Network mode of the containers; unset: the engine's default.",
    ),
    one(
        "platform",
        "CAPSTAN_PLATFORM",
        None,
        "Platform of the containers, as OS/ARCH; unset: the engine's own.",
    ),
    Setting {
        key: "mounts",
        environment: "CAPSTAN_MOUNTS",
        default: None,
        list: true,
        about: "Host paths shown to every step, each as HOST:CONTAINER or HOST:CONTAINER:rw.",
    },
    one(
        "run-as-root",
        "CAPSTAN_RUN_AS_ROOT",
        Some("false"),
        "Whether steps run as root instead of as the image's own user.",
    ),
    one(
        "prepare-ahead",
        "CAPSTAN_PREPARE_AHEAD",
        Some("4"),
        "Most containers that are made ready before their step is due; long steps and memory limits make it fewer.",
    ),
    one(
        "output-limit",
        "CAPSTAN_OUTPUT_LIMIT",
        Some("8MiB"),
        "How much of each output stream of a step is kept for templates, outputs and results.",
    ),
    one(
        "log-limit",
        "CAPSTAN_LOG_LIMIT",
        Some("64MiB"),
        "How much output of one step goes to the log file.",
    ),
    one(
        "diff-limit",
        "CAPSTAN_DIFF_LIMIT",
        Some("512MiB"),
        "Largest diff of a workspace.",
    ),
    one(
        "keep-logs",
        "CAPSTAN_KEEP_LOGS",
        Some("20"),
        "Runs whose logs are kept.",
    ),
    one(
        "cache-dir",
        "CAPSTAN_CACHE_DIR",
        None,
        "Cached repositories and step results; unset: capstan in the user's cache directory.",
    ),
    one(
        "cache-size",
        "CAPSTAN_CACHE_SIZE",
        Some("20GiB"),
        "How much of repositories and their files is kept; what was not used for longest goes first.",
    ),
    one(
        "workspaces",
        "CAPSTAN_WORKSPACES",
        Some("auto"),
        "How workspaces get their files: overlay, volume, reflink, checkout, or auto for the fastest that is possible.",
    ),
    one(
        "state-dir",
        "CAPSTAN_STATE_DIR",
        None,
        "Workspaces and logs; unset: capstan in the user's state directory.",
    ),
    one(
        "docker-host",
        "DOCKER_HOST",
        None,
        "Socket of the engine; unset: Docker's current context, then the usual places.",
    ),
    Setting {
        key: "secrets",
        environment: "CAPSTAN_SECRETS",
        default: None,
        list: true,
        about: "Names of environment variables whose values are taken out of logs and output.",
    },
    one(
        "plugins",
        "CAPSTAN_PLUGINS",
        None,
        "File whose `[[plugin]]` tables count instead of those of the settings file.",
    ),
    one(
        "plugins-audit",
        "CAPSTAN_PLUGINS_AUDIT",
        Some("false"),
        "Whether what plugins refuse is only logged.",
    ),
];

/// What the flags say.
pub(super) fn from_flags(flags: &SettingFlags) -> Values {
    let mut values = Values::new();
    let single = [
        ("jobs", &flags.jobs),
        ("timeout", &flags.timeout),
        ("step-timeout", &flags.step_timeout),
        ("cpus", &flags.cpus),
        ("memory", &flags.memory),
        ("pids", &flags.pids),
        ("network", &flags.network),
        ("platform", &flags.platform),
        ("prepare-ahead", &flags.prepare_ahead),
        ("cache-dir", &flags.cache_dir),
        ("state-dir", &flags.state_dir),
        ("plugins", &flags.plugins),
    ];
    for (key, value) in single {
        if let Some(value) = value {
            values.insert(key, (value.clone(), Origin::Flag(key)));
        }
    }
    if !flags.mounts.is_empty() {
        values.insert("mounts", (flags.mounts.join("\n"), Origin::Flag("mount")));
    }
    if flags.run_as_root {
        values.insert(
            "run-as-root",
            ("true".to_owned(), Origin::Flag("run-as-root")),
        );
    }
    if flags.audit {
        values.insert("plugins-audit", ("true".to_owned(), Origin::Flag("audit")));
    }
    values
}
