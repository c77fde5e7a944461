//! `capstan plugin push`: publishes a component in a registry.

use std::collections::BTreeMap;

use capstan_plugin_store::{Fetcher, Publication, Published, Source};
use jiff::Timestamp;
use serde_json::json;

use super::component::Built;
use super::supply::{credentials, inspection, told};
use crate::args::plugin::{Push, ResultFormat};
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::printer;

/// What stands before the names that registries know, as in `org.opencontainers.image.version`.
const KNOWN: &str = "org.opencontainers.image.";

pub(super) async fn run(args: &Push, environment: &Environment) -> Result<Exit, Failed> {
    let source = match args.reference.parse() {
        Ok(Source::Path(_)) => Source::of_step(&args.reference),
        other => other,
    };
    let source = source.map_err(Failed::usage)?;
    let Source::Oci(reference) = &source else {
        return Err(Failed::usage(format!("{source} is not in a registry"))
            .hint("name a place like registry.example/team/plugin:1.0"));
    };
    let built = Built::find(&args.plugin)?;
    let bytes = built.read()?;
    let inspection = inspection(&built.path.display().to_string(), &bytes)?;
    if inspection.hooks.is_empty() && !inspection.command {
        let message = format!(
            "{} has no hook and is no command, so it is of no use to Capstan",
            built.path.display()
        );
        return Err(Failed::usage(message).hint("`capstan plugin inspect` shows what it exports"));
    }
    let name = built.path.file_name().unwrap_or_default();
    let publication = Publication {
        bytes,
        inspection,
        created: created(environment)?,
        author: args.author.clone(),
        target: None,
        file_name: name.to_string_lossy().into_owned(),
        annotations: annotations(&args.annotations)?,
    };
    let fetcher = Fetcher::new(credentials(environment), told());
    let Published { manifest, digest } = fetcher.publish(reference, &publication).await?;
    let shown = match args.format {
        ResultFormat::Json => json!({
            "source": source.to_string(),
            "manifest": manifest.to_string(),
            "digest": digest.to_string(),
        })
        .to_string(),
        ResultFormat::Text => format!(
            "{source} is published; its manifest is {manifest}\n\nIn capstan.toml:\n\n[[plugin]]\nname = \"{}\"\nsource = \"{source}\"\ndigest = \"{digest}\"",
            built.name
        ),
    };
    printer::result_line(shown).map_err(Failed::environment)?;
    Ok(Exit::Success)
}

/// When it was made: `SOURCE_DATE_EPOCH` where it is to be reproducible, else now.
fn created(environment: &Environment) -> Result<Timestamp, Failed> {
    let Some(text) = environment.get("SOURCE_DATE_EPOCH") else {
        return Ok(Timestamp::now());
    };
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(|| {
            Failed::usage(format!(
                "SOURCE_DATE_EPOCH = {text:?} is no number of seconds since 1970"
            ))
        })
}

/// `KEY=VALUE` as annotations; a key without a dot is one that registries know.
fn annotations(texts: &[String]) -> Result<BTreeMap<String, String>, Failed> {
    let mut annotations = BTreeMap::new();
    for text in texts {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Failed::usage(format!("the annotation {text:?} is not KEY=VALUE")))?;
        let key = match key.contains('.') {
            true => key.to_owned(),
            false => format!("{KNOWN}{key}"),
        };
        annotations.insert(key, value.to_owned());
    }
    Ok(annotations)
}
