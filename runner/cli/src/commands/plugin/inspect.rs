//! `capstan plugin inspect`: what a component is, what it may do, and whether it runs here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use capstan_core::plugin::Limits;
use capstan_plugin_host::CallLimits;
use capstan_plugin_store::{Digest, Source};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::anatomy::{Anatomy, Kind};
use super::capability::{self, Capability, Standing};
use super::component::Built;
use super::measure::{bytes, time};
use super::supply::Supply;
use crate::args::plugin::{Inspect, ResultFormat};
use crate::config::{Config, Environment};
use crate::failure::{Exit, Failed};
use crate::{plugin_host, printer, text};

/// What is told of a component. The names of the fields are promised to programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    /// Where it was read from.
    source: String,
    digest: String,
    size: u64,
    #[serde(skip)]
    kind: Kind,
    hooks: BTreeSet<&'static str>,
    /// Whether it can be a step.
    command: bool,
    /// Version of the contract.
    api: Option<String>,
    capabilities: Vec<Capability>,
    exports: BTreeSet<String>,
    limits: BTreeMap<&'static str, HookLimits>,
    producers: BTreeMap<String, BTreeSet<String>>,
    /// Whether this host can run it.
    runs: bool,
    /// Why not.
    reason: Option<String>,
}

/// The limits of a hook where the operator sets no others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct HookLimits {
    memory_bytes: u64,
    cpu_ms: Option<u64>,
    wall_ms: Option<u64>,
}

pub(super) async fn run(
    args: &Inspect,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let supply = Supply::open(None, config_file, environment)?;
    let (source, content) = read(&args.plugin, &supply).await?;
    let report = report(source, &content, &supply.config).await?;
    let shown = match args.format {
        ResultFormat::Json => serde_json::to_string_pretty(&report).map_err(Failed::environment)?,
        ResultFormat::Text => report.for_people(),
    };
    printer::result_line(shown).map_err(Failed::environment)?;
    Ok(if report.runs {
        Exit::Success
    } else {
        Exit::Failed
    })
}

/// A component, and what to call it: of a path, or of a source on another machine, as it is locked or else as it is now.
async fn read(plugin: &str, supply: &Supply) -> Result<(String, Vec<u8>), Failed> {
    let source: Source = plugin.parse().map_err(Failed::usage)?;
    if let Source::Path(path) = &source {
        let built = Built::find(path)?;
        return Ok((built.path.display().to_string(), built.read()?));
    }
    let digest = match supply.lock.get(&source) {
        Some(locked) => {
            supply.get(&source, &locked.digest).await?;
            locked.digest.clone()
        }
        None => {
            let fetched = supply.fetcher.fetch(&source, &supply.store).await?;
            printer::note(format_args!(
                "{source} is not locked; this is what it stands for now"
            ));
            fetched.digest
        }
    };
    Ok((source.to_string(), supply.read(&digest)?))
}

/// Looks at a component, and whether this host can run it.
async fn report(source: String, bytes: &[u8], config: &Config) -> Result<Report, Failed> {
    let anatomy = Anatomy::read(bytes);
    let loaded = plugin_host::open(config)?.load(bytes, None).await;
    let reason = loaded.err().map(|error| error.to_string());
    let hooks = anatomy.hooks();
    let limits = hooks.iter().map(|hook| {
        let limits = CallLimits::of(*hook, &Limits::default());
        let limits = HookLimits {
            memory_bytes: limits.memory,
            cpu_ms: limits.cpu.map(milliseconds),
            wall_ms: limits.wall.map(milliseconds),
        };
        (hook.name(), limits)
    });
    Ok(Report {
        source,
        digest: Digest::of(bytes).to_string(),
        size: bytes.len() as u64,
        kind: anatomy.kind,
        command: anatomy.is_command(),
        api: anatomy.api(),
        capabilities: capability::of(&anatomy.imports, &hooks),
        limits: limits.collect(),
        hooks: hooks.iter().map(|hook| hook.name()).collect(),
        exports: anatomy.exports,
        producers: anatomy.producers,
        runs: reason.is_none(),
        reason,
    })
}

impl Report {
    fn for_people(&self) -> String {
        let mut text = format!("{}: {}\n", text::name(&self.source).bold(), self.what());
        let mut field = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<9} {value}");
        };
        field("digest", &self.digest);
        field("size", &bytes(self.size));
        if let Some(api) = &self.api {
            field("contract", &format!("capstan:plugin@{}", text::name(api)));
        }
        let made_by = self.made_by();
        if !made_by.is_empty() {
            field("made by", &made_by);
        }
        for (hook, limits) in &self.limits {
            field("limits", &format!("{hook}: {}", limits.for_people()));
        }
        if !self.capabilities.is_empty() {
            text.push_str("\nWhat it imports, and so can do:\n");
            for capability in &self.capabilities {
                let _ = writeln!(text, "  {}", line(capability));
            }
        }
        if let Some(reason) = &self.reason {
            let reason = text::lines(reason).replace('\n', "\n  ");
            let _ = writeln!(text, "\n{} {reason}", "It does not run here:".red().bold());
        }
        text.trim_end().to_owned()
    }

    /// What it is, in a few words.
    fn what(&self) -> String {
        match self.kind {
            Kind::Other => return "not WebAssembly".to_owned(),
            Kind::Module => return "a core module, not a component".to_owned(),
            Kind::Component => {}
        }
        let hooks: Vec<_> = self.hooks.iter().copied().collect();
        let plugin = match hooks.as_slice() {
            [] => None,
            [hook] => Some(format!("a plugin with the hook {hook}")),
            [first @ .., last] => Some(format!(
                "a plugin with the hooks {} and {last}",
                first.join(", ")
            )),
        };
        match (plugin, self.command) {
            (Some(plugin), true) => format!("{plugin}; also a command, for steps"),
            (Some(plugin), false) => plugin,
            (None, true) => "a command, for steps".to_owned(),
            (None, false) => "a component with no hook and no command".to_owned(),
        }
    }

    /// Languages and tools, from the component's own account.
    fn made_by(&self) -> String {
        let all = ["language", "processed-by"]
            .iter()
            .filter_map(|field| self.producers.get(*field))
            .flatten();
        text::printable(&all.cloned().collect::<Vec<_>>().join(", "), 200)
    }
}

impl HookLimits {
    fn for_people(&self) -> String {
        let mut text = format!("memory {}", bytes(self.memory_bytes));
        for (name, limit) in [("cpu", self.cpu_ms), ("wall", self.wall_ms)] {
            if let Some(milliseconds) = limit {
                let limit = time(Duration::from_millis(milliseconds));
                let _ = write!(text, ", {name} {limit}");
            }
        }
        text
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn line(capability: &Capability) -> String {
    let what = capability.what;
    match capability.standing {
        Standing::Given => format!("{} {what}", "✓".green()),
        Standing::Grant => format!(
            "{} {what}: nothing, unless grants = {{ {} }}",
            "!".yellow(),
            capability.grant.unwrap_or_default()
        ),
        Standing::Missing => {
            let names: Vec<_> = capability
                .imports
                .iter()
                .map(|name| text::name(name))
                .collect();
            format!("{} {what}: {}", "✗".red(), names.join(", "))
        }
    }
}
