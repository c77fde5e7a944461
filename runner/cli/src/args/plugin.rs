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

/// How a command that looks at plugins shows its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultFormat {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}
