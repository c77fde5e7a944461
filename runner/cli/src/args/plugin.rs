//! The command line of `capstan plugin`.

use std::path::PathBuf;

use capstan_core::plugin::Hook;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Writes a starter: a plugin that builds and passes its test at once.
    #[command(after_help = NEW_EXAMPLES)]
    New(New),
    /// Builds the plugin in a directory with its language's own tools.
    #[command(after_help = BUILD_EXAMPLES)]
    Build(Build),
    /// Runs a plugin on fixtures and compares what it does with what is expected. Needs no engine.
    #[command(after_help = TEST_EXAMPLES)]
    Test(Test),
    /// Shows what a component is and what it may do: hooks, rights, size, limits.
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(Inspect),
    /// Measures a plugin's calls against its limits.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Bench),
    /// Gets plugins from where the settings say, and locks what they are and what they may ask for.
    #[command(after_help = PULL_EXAMPLES)]
    Pull(Pull),
    /// Publishes a component in a registry.
    #[command(after_help = PUSH_EXAMPLES)]
    Push(Push),
    /// Lists the plugins of the settings, where they come from, and whether they are here.
    List(List),
    /// Removes fetched components that neither the lock nor the settings name.
    ///
    /// They are shared by all projects of this user; a run or `pull` of another project fetches its own again.
    Prune(Prune),
}

const NEW_EXAMPLES: &str = "\
Examples:
  capstan plugin new image-rules --lang rust --hook policy
  capstan plugin new tidy-diff --lang python --hook diff --dir plugins/tidy-diff";

const BUILD_EXAMPLES: &str = "\
Examples:
  capstan plugin build              the plugin in the current directory
  capstan plugin build tidy-diff    the one in ./tidy-diff; makes tidy-diff/tidy-diff.wasm";

const TEST_EXAMPLES: &str = "\
Examples:
  capstan plugin test               the plugin in the current directory on ./fixtures
  capstan plugin test --update      writes down what it does now as what is expected
  capstan plugin test rules.wasm --fixtures cases

Ends with 1 if a fixture fails.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  capstan plugin inspect rules.wasm
  capstan plugin inspect oci://registry.example/policies/image:1.2 --format json";

const BENCH_EXAMPLES: &str = "\
Examples:
  capstan plugin bench rules.wasm
  capstan plugin bench tidy-diff --fixture large -n 1000";

const PULL_EXAMPLES: &str = "\
Examples:
  capstan plugin pull                   all plugins of capstan.toml, as capstan.lock has them
  capstan plugin pull --update rules    the plugin `rules`, as its tag is now
  capstan plugin pull oci://registry.example/tools/format:1    for a step: container: wasm://registry.example/tools/format:1

Registries are signed in to with what `docker login` has stored. Ends with 2 if a plugin asks for more than capstan.lock accepts.";

const PUSH_EXAMPLES: &str = "\
Examples:
  capstan plugin push rules.wasm registry.example/policies/rules:1.0
  capstan plugin push tidy-diff ghcr.io/acme/tidy-diff:2.1 -a version=2.1 -a source=https://github.com/acme/tidy

The same component with the same annotations and SOURCE_DATE_EPOCH has the same digest.";

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its name: lower-case letters, digits and hyphens.
    pub(crate) name: String,

    /// The language it is written in.
    #[arg(long, value_enum)]
    pub(crate) lang: Language,

    /// What it does; more hooks can be added later.
    #[arg(long, value_enum)]
    pub(crate) hook: HookName,

    /// Where to write it; default: a directory with its name.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// For Rust: a checkout's plugins/sdk to build with, instead of the published one.
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<PathBuf>,
}

/// A language of the starters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust.
    Rust,
    /// Python, with componentize-py.
    Python,
    /// JavaScript, with componentize-js.
    #[value(alias = "javascript")]
    Js,
    /// C, with clang and wasi-libc.
    C,
}

/// A hook, as `--hook` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HookName {
    /// Decides what may run and what may leave.
    Policy,
    /// Prepares workspaces.
    Workspace,
    /// Filters what steps print, and derives outputs from it.
    Output,
    /// Post-processes diffs.
    Diff,
}

impl From<HookName> for Hook {
    fn from(name: HookName) -> Self {
        match name {
            HookName::Policy => Self::Policy,
            HookName::Workspace => Self::Workspace,
            HookName::Output => Self::Output,
            HookName::Diff => Self::Diff,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Directory of the plugin, with its capstan-plugin.toml.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    /// Gets missing tools of the language into DIR/.tools: componentize-py or componentize-js.
    #[arg(long)]
    pub(crate) install: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Directory of a plugin that has been built, or a component.
    #[arg(value_name = "DIR|FILE.wasm", default_value = ".")]
    pub(crate) plugin: PathBuf,

    /// Directory of fixtures, one directory each; default: `fixtures` beside the component.
    #[arg(long, value_name = "DIR")]
    pub(crate) fixtures: Option<PathBuf>,

    /// Writes what the plugin does now into the fixtures, as what is expected from now on.
    #[arg(long)]
    pub(crate) update: bool,

    /// Runs every fixture twice and fails where the two differ.
    #[arg(long)]
    pub(crate) twice: bool,

    /// How results are shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ResultFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A component, a plugin's directory, or a source as the configuration names it: https://..., oci://...
    #[arg(value_name = "FILE|DIR|SOURCE", default_value = ".")]
    pub(crate) plugin: String,

    /// How it is shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ResultFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Directory of a plugin that has been built, or a component.
    #[arg(value_name = "DIR|FILE.wasm", default_value = ".")]
    pub(crate) plugin: PathBuf,

    /// Directory of fixtures; default: `fixtures` beside the component.
    #[arg(long, value_name = "DIR")]
    pub(crate) fixtures: Option<PathBuf>,

    /// Measures this fixture only; may be repeated.
    #[arg(long = "fixture", value_name = "NAME")]
    pub(crate) only: Vec<String>,

    /// Calls of each fixture.
    #[arg(short = 'n', long = "calls", value_name = "N", default_value = "100",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) calls: u32,

    /// How results are shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ResultFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Plugins of the settings, or sources: https://..., oci://...; default: all plugins that are not files.
    #[arg(value_name = "NAME|SOURCE")]
    pub(crate) plugins: Vec<String>,

    /// Accepts what they ask for, also where it is more than the lock has.
    #[arg(long)]
    pub(crate) accept: bool,

    /// Looks at their sources anew, instead of getting what is locked.
    #[arg(long)]
    pub(crate) update: bool,

    /// The lock file; default: capstan.lock beside the settings file.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// A component, or the directory of a plugin that has been built.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub(crate) plugin: PathBuf,

    /// Where to: REGISTRY/PATH:TAG.
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,

    /// Says something about it: version, description, source, licenses, ... or any key with a dot. May be repeated.
    #[arg(short, long = "annotation", value_name = "KEY=VALUE")]
    pub(crate) annotations: Vec<String>,

    /// Who made it.
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,

    /// How the result is shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ResultFormat,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The lock file; default: capstan.lock beside the settings file.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,

    /// How they are shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ResultFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// The lock file; default: capstan.lock beside the settings file.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
}

/// How a command that looks at plugins shows its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultFormat {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}
