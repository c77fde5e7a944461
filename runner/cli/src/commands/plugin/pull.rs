//! `capstan plugin pull`: gets plugins and locks what they are and what they may ask for.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use capstan_plugin_store::{Digest, Locked, Source, Widened};

use super::supply::{Supply, in_registry, inspection};
use crate::args::plugin::Pull;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

/// Something to get.
struct Wanted {
    source: Source,
    /// What the settings pin.
    digest: Option<Digest>,
}

/// What came of getting it.
enum Outcome {
    /// It is as it was.
    Same,
    /// The lock has changed.
    Locked,
    /// It asks for more than was accepted, and nobody did.
    Refused,
}

pub(super) async fn run(
    args: &Pull,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let mut supply = Supply::open(args.lock.as_deref(), config_file, environment)?;
    let wanted = wanted(&supply, &args.plugins)?;
    let mut refused = 0;
    for wanted in &wanted {
        match pull(&mut supply, wanted, args).await? {
            Outcome::Same => {}
            // At once, so that what was got is not lost if the next one fails.
            Outcome::Locked => supply
                .lock
                .write(&supply.lock_path)
                .map_err(Failed::environment)?,
            Outcome::Refused => refused += 1,
        }
    }
    if refused > 0 {
        let lock = supply.lock_path.display();
        let message = match refused {
            1 => format!("1 plugin asks for more than {lock} accepts, and stays as it was"),
            _ => {
                format!("{refused} plugins ask for more than {lock} accepts, and stay as they were")
            }
        };
        return Err(
            Failed::usage(message).hint("if that is as it should be, accept it with --accept")
        );
    }
    Ok(Exit::Success)
}

/// What is asked for: plugins of the settings by name, and sources; all plugins that are not files where nothing is.
fn wanted(supply: &Supply, asked: &[String]) -> Result<Vec<Wanted>, Failed> {
    let mut all = Vec::new();
    for (entry, source) in supply.configured()? {
        let digest = entry.digest.as_deref().map(str::parse).transpose();
        let digest = digest.map_err(Failed::usage)?;
        all.push((entry.name.as_str(), Wanted { source, digest }));
    }
    if asked.is_empty() {
        let remote = all.into_iter().map(|(_, wanted)| wanted);
        let remote: Vec<_> = remote.filter(|wanted| wanted.source.is_remote()).collect();
        if remote.is_empty() {
            printer::note(
                "no plugin of the settings comes from elsewhere; there is nothing to get",
            );
        }
        return Ok(remote);
    }
    let mut chosen = Vec::new();
    for text in asked {
        if let Some(at) = all.iter().position(|(name, _)| name == text) {
            let (name, wanted) = all.swap_remove(at);
            if !wanted.source.is_remote() {
                return Err(Failed::usage(format!(
                    "the plugin {name} is a file; there is nothing to get"
                )));
            }
            chosen.push(wanted);
        } else if text.contains("://") {
            let source: Source = text.parse().map_err(Failed::usage)?;
            // The settings may pin it.
            let at = all.iter().position(|(_, wanted)| wanted.source == source);
            let known = at.map(|at| all.swap_remove(at).1);
            chosen.push(known.unwrap_or(Wanted {
                source,
                digest: None,
            }));
        } else {
            let hint = if Path::new(text).is_file() {
                "a file is used as it is, and not locked: name it as the source of a [[plugin]] in capstan.toml".to_owned()
            } else {
                in_registry(text).unwrap_or_else(|| {
                    "name one of `capstan plugin list`, or a source: https://... or oci://..."
                        .to_owned()
                })
            };
            let message = format!("the settings have no plugin {text:?}");
            return Err(Failed::usage(message).hint(hint));
        }
    }
    Ok(chosen)
}

async fn pull(supply: &mut Supply, wanted: &Wanted, args: &Pull) -> Result<Outcome, Failed> {
    let Wanted { source, digest } = wanted;
    let old = supply.lock.get(source).cloned();
    let exactly = match (digest, &old) {
        (Some(pinned), _) => Some(pinned),
        (None, Some(old)) if !args.update => Some(&old.digest),
        _ => None,
    };
    let (digest, manifest) = match exactly {
        Some(digest) => {
            supply.get(source, digest).await?;
            let known = old.as_ref().filter(|old| old.digest == *digest);
            (digest.clone(), known.and_then(|old| old.manifest.clone()))
        }
        None => {
            let fetched = supply.fetcher.fetch(source, &supply.store).await?;
            (fetched.digest, fetched.manifest)
        }
    };
    let bytes = supply.read(&digest)?;
    let inspection = inspection(&source.to_string(), &bytes)?;
    let new = Locked::of(&inspection, digest, manifest);
    match &old {
        Some(old) if *old == new => {
            say(source, &new, "is locked already")?;
            return Ok(Outcome::Same);
        }
        Some(old) => {
            let widened = old.widened_by(source, &new);
            if let Some(widened) = &widened
                && !accepted(widened, args.accept)
            {
                return Ok(Outcome::Refused);
            }
            say(source, &new, "is locked anew")?;
        }
        None => {
            say(source, &new, "is locked")?;
            tell_rights(&new)?;
        }
    }
    supply.lock.entries.insert(source.to_string(), new);
    Ok(Outcome::Locked)
}

fn say(source: &Source, locked: &Locked, what: &str) -> Result<(), Failed> {
    let line = format!("{source} {what} as {}", locked.digest);
    printer::result_line(line).map_err(Failed::environment)
}

/// What was accepted by locking it for the first time.
fn tell_rights(locked: &Locked) -> Result<(), Failed> {
    let names = |names: &BTreeSet<String>| match names.is_empty() {
        true => vec!["none".to_owned()],
        false => names.iter().map(|name| text::name(name)).collect(),
    };
    let lines = format!(
        "  hooks: {}\n  imports:\n    {}",
        names(&locked.hooks).join(", "),
        names(&locked.imports).join("\n    ")
    );
    printer::result_line(lines).map_err(Failed::environment)
}

/// Tells what is new, and asks whoever sits at the terminal unless it is accepted `already`.
fn accepted(widened: &Widened, already: bool) -> bool {
    printer::warning(widened);
    if already {
        return true;
    }
    if !io::stdin().is_terminal() || !printer::live() {
        return false;
    }
    printer::note("Accept it? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
