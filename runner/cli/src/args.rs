//! The command line. Doc comments are the help text.

pub(crate) mod hub;
pub(crate) mod plugin;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Runs batch changes: a batch spec in containers, diffs and changeset specs out.
///
/// Results go to standard output, progress and messages to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "capstan",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub(crate) struct Cli {
    /// Settings file; default: ./capstan.toml if there is one, then the user's own.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,

    /// Tells more on standard error; twice: even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    all workspaces done
  1    at least one workspace failed; the others were finished and their results written
  2    bad arguments, spec or configuration; nothing was run
  3    the environment is not fit (Docker unreachable, no disk)
  4    refused by a plugin; what was not refused is done
  130  interrupted; containers and workspaces are cleaned up";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs, checks and shows batch specs.
    #[command(
        subcommand,
        visible_alias = "batches",
        aliases = ["batchchange", "batch-change", "batchchanges", "batch-changes"]
    )]
    Batch(Batch),
    /// Makes, builds, tests and looks at plugins.
    #[command(subcommand, visible_alias = "plugins")]
    Plugin(plugin::Plugin),
    /// Runs a queue for executors without Sourcegraph, and submits batch specs to one.
    #[command(subcommand)]
    Hub(hub::Hub),
    /// Takes jobs from Sourcegraph, or from a hub, and runs them; in place of Sourcegraph's executor.
    ///
    /// It is configured by the same environment variables, see docs/executor.md.
    Executor {
        #[command(subcommand)]
        command: Option<Executor>,
    },
    /// Runs one job in the containers of a pod: what an executor on Kubernetes has its pods do.
    #[command(subcommand, hide = true)]
    Pod(Pod),
    /// Tells what is wrong with this machine, and how to mend it.
    Doctor(Box<Doctor>),
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page, or writes one page per command.
    Man {
        /// Directory to write all pages to, instead of printing the first.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Compiles a component from standard input to standard output: the process that the host of plugins starts.
    #[command(name = crate::plugin_host::COMPILE_COMMAND, hide = true)]
    CompilePlugin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pod {
    /// Lays out the volume that the pod's containers share, before any of them starts, and tells on standard output what each has to be, a line of JSON
    /// for each.
    Prepare(PodJob),
    /// Runs the job, and tells on standard output what it says and how it ends, a line of JSON for each thing.
    Run(PodJob),
}

#[derive(Debug, Args)]
pub(crate) struct PodJob {
    /// The job, as the server has handed it out.
    #[arg(long, value_name = "FILE")]
    pub(crate) job: PathBuf,

    /// Where the volume of the pod is.
    #[arg(long, value_name = "DIR")]
    pub(crate) volume: PathBuf,

    /// The server.
    #[arg(long, value_name = "URL")]
    pub(crate) frontend: String,

    /// The name of the executor that took the job.
    #[arg(long, value_name = "NAME")]
    pub(crate) executor: String,

    /// Tries first whether the server can be reached at all.
    #[arg(long)]
    pub(crate) try_server: bool,

    /// File with the URL that the repository is cloned from; default: the server has it.
    #[arg(long, value_name = "FILE")]
    pub(crate) clone_from: Option<PathBuf>,

    /// Longest run of the job.
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Executor {
    /// Takes and runs jobs until it is told to stop; this is also done without a command.
    ///
    /// The first SIGINT, SIGTERM or SIGHUP lets running jobs finish, the second stops them.
    Run {
        /// Checks everything first, as `validate` does.
        #[arg(long)]
        verify: bool,
    },
    /// Checks the configuration, this machine, and whether the server accepts the secret.
    Validate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Batch {
    /// Runs a batch spec here: on repositories given as arguments, or on those its `on` names.
    Run(Box<Run>),
    /// Runs the steps of one workspace for a Sourcegraph executor, in place of `src batch exec`.
    ///
    /// Takes the flags of `src batch exec`, with one dash or two. See `capstan batch exec -help`.
    #[command(disable_help_flag = true)]
    Exec {
        /// Flags of `src batch exec`.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAGS"
        )]
        flags: Vec<OsString>,
    },
    /// Checks a batch spec and points at every mistake.
    Validate(Validate),
    /// Shows what each step would run, without running anything.
    Render(Box<Render>),
}

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// Batch spec; `-` reads it from standard input.
    #[arg(short = 'f', long = "file", value_name = "SPEC")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The same, as the other commands take it.
    #[arg(
        short = 'f',
        long = "file",
        value_name = "SPEC",
        required_unless_present = "positional",
        conflicts_with = "positional"
    )]
    pub(crate) file: Option<PathBuf>,

    /// Batch spec; `-` reads it from standard input.
    #[arg(value_name = "SPEC")]
    pub(crate) positional: Option<PathBuf>,

    /// Prints the problems as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(flatten)]
    pub(crate) spec: Spec,

    /// Local repositories (paths) or git URLs that replace the spec's `on`; `#REF` names a branch or commit.
    #[arg(value_name = "REPO")]
    pub(crate) repositories: Vec<String>,

    /// Directory of cached repositories.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<String>,

    /// Prints the rendering as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) spec: Spec,

    /// Local repositories (paths) or git URLs that replace the spec's `on`; `#REF` names a branch or commit.
    #[arg(value_name = "REPO")]
    pub(crate) repositories: Vec<String>,

    /// Writes DIR/changesets.json and DIR/REPOSITORY/BRANCH.patch, instead of printing the diffs.
    #[arg(short, long, value_name = "DIR", help_heading = "Results")]
    pub(crate) output: Option<PathBuf>,

    /// Creates the branch and the commit in each local repository. Its working tree is not touched.
    #[arg(long, help_heading = "Results")]
    pub(crate) apply: bool,

    /// With --apply: replaces branches that exist with another content.
    #[arg(long, requires = "apply", help_heading = "Results")]
    pub(crate) force: bool,

    /// With --apply: also where the working tree has uncommitted changes, which are not part of the run.
    #[arg(long, requires = "apply", help_heading = "Results")]
    pub(crate) allow_dirty: bool,

    /// How progress is shown: live, as plain lines, or as the JSON lines of `src batch exec`.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Results")]
    pub(crate) format: Format,

    /// Where steps run: on this machine's container engine, or each workspace in a pod of a Kubernetes cluster.
    ///
    /// Pods clone by URL, so repositories have to be named by theirs. The cluster is the one of KUBECONFIG; EXECUTOR_KUBERNETES_RUNNER_IMAGE names
    /// an image that has capstan. docs/kubernetes.md has more.
    #[arg(long, value_enum, default_value = "docker", help_heading = "Running")]
    pub(crate) engine: EngineKind,

    /// Runs every step, even where its result is known, and remembers nothing.
    #[arg(long, help_heading = "Running")]
    pub(crate) no_cache: bool,

    /// Stops all workspaces when one fails.
    #[arg(long, help_heading = "Running")]
    pub(crate) fail_fast: bool,

    /// Leaves the workspaces on disk and says where.
    #[arg(long, help_heading = "Running")]
    pub(crate) keep_workspaces: bool,

    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}

/// Flags for what `capstan.toml` and the environment can set, too.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingFlags {
    /// Workspaces at a time; default: the engine's processors.
    #[arg(short, long, value_name = "N", help_heading = "Running")]
    pub(crate) jobs: Option<String>,

    /// Longest run of one workspace, for example 90s, 30m, 1h.
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(crate) timeout: Option<String>,

    /// Longest run of one step.
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(crate) step_timeout: Option<String>,

    /// Processors that a step may use, for example 1.5.
    #[arg(long, value_name = "N", help_heading = "Containers")]
    pub(crate) cpus: Option<String>,

    /// Memory that a step may use, for example 512MiB or 2g.
    #[arg(long, value_name = "SIZE", help_heading = "Containers")]
    pub(crate) memory: Option<String>,

    /// Processes and threads that a step may have.
    #[arg(long, value_name = "N", help_heading = "Containers")]
    pub(crate) pids: Option<String>,

    /// Network mode of the containers, as `docker run --network` takes it, for example none.
    #[arg(long, value_name = "MODE", help_heading = "Containers")]
    pub(crate) network: Option<String>,

    /// Shows a host path to every step; read-only unless `:rw` is added. May be repeated.
    #[arg(
        long = "mount",
        value_name = "HOST:CONTAINER[:rw]",
        help_heading = "Containers"
    )]
    pub(crate) mounts: Vec<String>,

    /// Platform of the containers, for example linux/arm64.
    #[arg(long, value_name = "OS/ARCH", help_heading = "Containers")]
    pub(crate) platform: Option<String>,

    /// Runs steps as root instead of as the image's own user.
    #[arg(long, help_heading = "Containers")]
    pub(crate) run_as_root: bool,

    /// Most containers that are made ready before their step is due.
    #[arg(long, value_name = "N", help_heading = "Containers")]
    pub(crate) prepare_ahead: Option<String>,

    /// File whose [[plugin]] tables count, instead of those of the settings file; nothing else in it is read.
    #[arg(long, value_name = "FILE", help_heading = "Plugins")]
    pub(crate) plugins: Option<String>,

    /// Logs what plugins would have refused, and lets it pass.
    #[arg(long, help_heading = "Plugins")]
    pub(crate) audit: bool,

    /// Directory of cached repositories and step results.
    #[arg(long, value_name = "DIR", help_heading = "Running")]
    pub(crate) cache_dir: Option<String>,

    /// Directory of workspaces and logs.
    #[arg(long, value_name = "DIR", help_heading = "Running")]
    pub(crate) state_dir: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Live on a terminal, plain elsewhere.
    Auto,
    /// One line for everything that happens.
    Plain,
    /// JSON lines on standard output.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineKind {
    /// A Docker engine, or Podman's.
    Docker,
    /// A Kubernetes cluster.
    Kubernetes,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Prints the findings as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) settings: SettingFlags,
}
