//! `capstan plugin bench`: what calls cost, against what they may.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capstan_core::plugin::Limits;
use capstan_plugin_host::{CallLimits, Component, Usage};
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};

use super::component::{Built, settings};
use super::fixture::{self, Fixture};
use super::measure::{bytes, time};
use crate::args::plugin::{Bench, ResultFormat};
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{plugin_host, printer, text};

/// What the calls of one fixture cost.
struct Measured<'a> {
    fixture: &'a Fixture,
    limits: CallLimits,
    /// From the beginning of a call to its end, shortest first.
    took: Vec<Duration>,
    /// The most of each that one call used.
    most: Usage,
}

/// What loading costs. Compiling is done once on a machine; what it leaves is loaded once in a run.
struct Loading {
    /// The first time: compiled, unless that was done before.
    first: Duration,
    /// With compiled code in the cache.
    cached: Duration,
}

pub(super) async fn run(
    args: &Bench,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let built = Built::find(&args.plugin)?;
    let directory = args.fixtures.clone().unwrap_or_else(|| built.fixtures());
    let fixtures = fixture::read_all(&directory, &args.only)?;
    let config = settings(config_file, environment)?;
    let host = plugin_host::open(&config)?;
    let begun = Instant::now();
    let component = built.load(&host).await?;
    let first = begun.elapsed();
    // A host of its own has nothing in memory.
    let host = plugin_host::open(&config)?;
    let content = built.read()?;
    let begun = Instant::now();
    host.load(&content, None).await.map_err(Failed::run)?;
    let loading = Loading {
        first,
        cached: begun.elapsed(),
    };
    let mut all = Vec::new();
    for fixture in &fixtures {
        if !component.inspection().hooks.contains(&fixture.call.hook()) {
            let hook = fixture.call.hook();
            let message = format!(
                "{} calls the {hook} hook, which the plugin has not",
                fixture.name
            );
            return Err(Failed::usage(message).hint("name the others with --fixture"));
        }
        all.push(measure(args.calls, fixture, &built.name, &component).await?);
    }
    let shown = match args.format {
        ResultFormat::Json => {
            let fixtures: Vec<Value> = all.iter().map(Measured::for_programs).collect();
            let report = json!({
                "plugin": built.name,
                "size": content.len(),
                "load": {
                    "first-ms": milliseconds(loading.first),
                    "cached-ms": milliseconds(loading.cached),
                },
                "fixtures": fixtures,
            });
            serde_json::to_string_pretty(&report).map_err(Failed::environment)?
        }
        ResultFormat::Text => for_people(&built, content.len(), &loading, &all),
    };
    printer::result_line(shown).map_err(Failed::environment)?;
    Ok(Exit::Success)
}

async fn measure<'a>(
    calls: u32,
    fixture: &'a Fixture,
    name: &str,
    component: &Arc<Component>,
) -> Result<Measured<'a>, Failed> {
    let mut measured = Measured {
        fixture,
        limits: CallLimits::of(fixture.call.hook(), &Limits::default()),
        took: Vec::new(),
        most: Usage::default(),
    };
    for _ in 0..calls {
        let played = fixture::play(fixture, name, component).await?;
        if measured.took.is_empty() && !fixture::compare(fixture, &played)?.is_empty() {
            let message = format!("{} does not do what is expected", fixture.name);
            return Err(Failed::run(message).hint("make `capstan plugin test` pass first"));
        }
        measured.took.push(played.took);
        measured.most = Usage {
            cpu: measured.most.cpu.max(played.usage.cpu),
            wall: measured.most.wall.max(played.usage.wall),
            memory: measured.most.memory.max(played.usage.memory),
        };
    }
    measured.took.sort();
    Ok(measured)
}

impl Measured<'_> {
    /// The time that this share of the calls, in hundredths, did not exceed.
    fn percentile(&self, share: usize) -> Duration {
        let last = self.took.len().saturating_sub(1);
        let rank = (self.took.len() * share).div_ceil(100).saturating_sub(1);
        let found = self.took.get(rank.min(last));
        found.copied().unwrap_or_default()
    }

    fn for_people(&self) -> String {
        let name = text::name(&self.fixture.name);
        let call = self.fixture.call.name();
        let limits = &self.limits;
        let mut lines = vec![format!(
            "{} {call}, {}",
            name.bold(),
            text::plural(self.took.len(), "call")
        )];
        lines.push(format!(
            "  time    median {}, p95 {}, longest {}{}",
            time(self.percentile(50)),
            time(self.percentile(95)),
            time(self.percentile(100)),
            against_time(self.percentile(100), limits.wall),
        ));
        lines.push(format!(
            "  cpu     {}{}",
            match self.most.cpu {
                // It is counted in steps of 10 ms.
                Duration::ZERO => "less than 10ms".to_owned(),
                cpu => time(cpu),
            },
            against_time(self.most.cpu, limits.cpu),
        ));
        lines.push(format!(
            "  memory  {}{}",
            bytes(self.most.memory),
            against(self.most.memory as f64, limits.memory as f64, || bytes(
                limits.memory
            )),
        ));
        lines.join("\n")
    }

    fn for_programs(&self) -> Value {
        json!({
            "name": self.fixture.name,
            "call": self.fixture.call.name(),
            "calls": self.took.len(),
            "median-ms": milliseconds(self.percentile(50)),
            "p95-ms": milliseconds(self.percentile(95)),
            "longest-ms": milliseconds(self.percentile(100)),
            "cpu-ms": milliseconds(self.most.cpu),
            "memory-bytes": self.most.memory,
            "limits": {
                "wall-ms": self.limits.wall.map(milliseconds),
                "cpu-ms": self.limits.cpu.map(milliseconds),
                "memory-bytes": self.limits.memory,
            },
        })
    }
}

fn for_people(built: &Built, size: usize, loading: &Loading, all: &[Measured<'_>]) -> String {
    let mut parts = vec![format!(
        "{}: {}; loaded in {}, from the cache in {}",
        text::name(&built.name).bold(),
        bytes(size as u64),
        time(loading.first),
        time(loading.cached)
    )];
    parts.extend(all.iter().map(Measured::for_people));
    parts.join("\n")
}

fn against_time(used: Duration, limit: Option<Duration>) -> String {
    match limit {
        Some(limit) => against(used.as_secs_f64(), limit.as_secs_f64(), || time(limit)),
        None => String::new(),
    }
}

/// ` of 64 MiB`, marked from half of it on.
fn against(used: f64, limit: f64, limit_text: impl FnOnce() -> String) -> String {
    let share = used / limit;
    let of = format!(" of {}", limit_text());
    let percent = (share * 100.0).round();
    if share > 1.0 {
        format!(
            "{of} {}",
            format_args!("! {percent}%, over its limit").red().bold()
        )
    } else if share > 0.5 {
        format!("{of} {}", format_args!("! {percent}%").yellow())
    } else {
        of
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_near_a_limit_is_marked() {
        let mark = |used: f64| text::lines(&against(used, 100.0, || "100".to_owned()));
        assert_eq!(mark(50.0), " of 100");
        assert_eq!(mark(51.0), " of 100 ! 51%");
        assert_eq!(mark(120.0), " of 100 ! 120%, over its limit");
    }
}
