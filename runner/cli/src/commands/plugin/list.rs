//! `capstan plugin list`: the plugins of the settings, where they come from, and whether they are here.

use std::path::Path;

use capstan_core::plugin::Hook;
use capstan_plugin_store::{Digest, Source};
use serde::Serialize;

use super::supply::{Supply, inspection};
use crate::args::plugin::{List, ResultFormat};
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

/// One row. The names of the fields are promised to programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    /// `None` for what is locked and no plugin of the settings: a step, or something forgotten.
    name: Option<String>,
    source: String,
    digest: Option<String>,
    hooks: Vec<String>,
    state: State,
}

/// Whether a run can use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// A file that is there.
    File,
    /// Locked, and on this machine.
    Locked,
    /// Locked or pinned; a run downloads it.
    Remote,
    /// Pinned in the settings with another digest than in the lock, or a file with another digest than in the settings.
    Changed,
    /// Nobody has said which bytes it is.
    NotLocked,
    /// A file that is not there.
    Missing,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Locked => "locked",
            Self::Remote => "not fetched",
            Self::Changed => "changed",
            Self::NotLocked => "not locked",
            Self::Missing => "missing",
        }
    }
}

pub(super) fn run(
    args: &List,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let supply = Supply::open(args.lock.as_deref(), config_file, environment)?;
    let rows = rows(&supply)?;
    let shown = match args.format {
        ResultFormat::Json => serde_json::to_string_pretty(&rows).map_err(Failed::environment)?,
        ResultFormat::Text if rows.is_empty() => {
            printer::note("no plugin is configured: [[plugin]] in capstan.toml names one");
            return Ok(Exit::Success);
        }
        ResultFormat::Text => table(&rows),
    };
    printer::result_line(shown).map_err(Failed::environment)?;
    Ok(Exit::Success)
}

fn rows(supply: &Supply) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    for (entry, source) in supply.configured()? {
        let pinned: Option<Digest> = entry.digest.as_deref().and_then(|text| text.parse().ok());
        rows.push(row(
            supply,
            Some(entry.name.clone()),
            &source,
            pinned.as_ref(),
        )?);
        sources.push(source.to_string());
    }
    for source in supply.lock.entries.keys() {
        if !sources.contains(source) {
            let source = source.parse().map_err(Failed::usage)?;
            rows.push(row(supply, None, &source, None)?);
        }
    }
    Ok(rows)
}

fn row(
    supply: &Supply,
    name: Option<String>,
    source: &Source,
    pinned: Option<&Digest>,
) -> Result<Row, Failed> {
    let locked = supply.lock.get(source);
    let mut row = Row {
        name,
        source: source.to_string(),
        digest: pinned.map(Digest::to_string),
        hooks: Vec::new(),
        state: State::NotLocked,
    };
    if let Source::Path(path) = source {
        row.state = State::Missing;
        if let Ok(bytes) = fs_err::read(path) {
            let actual = Digest::of(&bytes);
            row.state = match pinned {
                Some(pinned) if *pinned != actual => State::Changed,
                _ => State::File,
            };
            row.digest = Some(actual.to_string());
            // What is no component is told when it is used.
            if let Ok(inspection) = inspection(&row.source, &bytes) {
                row.hooks = inspection
                    .hooks
                    .iter()
                    .map(|hook| hook.name().to_owned())
                    .collect();
            }
        }
        return Ok(row);
    }
    if let Some(locked) = locked {
        row.hooks = locked.hooks.iter().cloned().collect();
        // In the order in which a run calls them, as those of a file.
        row.hooks
            .sort_by_key(|name| (Hook::from_name(name).is_none(), Hook::from_name(name)));
        row.digest.get_or_insert_with(|| locked.digest.to_string());
    }
    let digest = pinned.or(locked.map(|locked| &locked.digest));
    row.state = match (digest, locked) {
        (None, _) => State::NotLocked,
        (Some(digest), Some(locked)) if *digest != locked.digest => State::Changed,
        (Some(digest), _) if supply.store.read(digest)?.is_some() => State::Locked,
        (Some(_), _) => State::Remote,
    };
    Ok(row)
}

/// Columns as wide as their widest value.
fn table(rows: &[Row]) -> String {
    const SHORT: usize = "sha256:".len() + 12;
    let heads = ["NAME", "STATE", "HOOKS", "DIGEST", "SOURCE"].map(str::to_owned);
    let mut lines = vec![heads];
    lines.extend(rows.iter().map(|row| {
        let or_dash = |text: String| match text.is_empty() {
            true => "-".to_owned(),
            false => text::name(&text),
        };
        let digest = row.digest.clone().unwrap_or_default();
        [
            or_dash(row.name.clone().unwrap_or_default()),
            row.state.name().to_owned(),
            or_dash(row.hooks.join(",")),
            or_dash(digest.chars().take(SHORT).collect()),
            text::name(&row.source),
        ]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<_> = (0..4)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let lines = lines.iter().map(|line| {
        let cells = widths
            .iter()
            .zip(line)
            .map(|(width, cell)| format!("{cell:width$}  "));
        cells.collect::<String>() + &line[4]
    });
    lines.collect::<Vec<_>>().join("\n")
}
