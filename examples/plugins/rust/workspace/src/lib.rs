//! Prepares a workspace: leaves a note of what it is for. The plugin needs the grant `workspace = "write"`.

use std::fs;
use std::path::Path;

use capstan_plugin::{Error, Job, Result, Workspace};
use serde::Deserialize;

struct Plugin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The note's name.
    #[serde(default = "notice")]
    file: String,
}

fn notice() -> String {
    "NOTICE".to_owned()
}

impl Workspace for Plugin {
    fn prepare(job: &Job, root: &Path) -> Result<()> {
        let config: Config = capstan_plugin::config()?;
        let note = root.join(&config.file);
        if note.exists() {
            return Ok(());
        }
        fs::write(note, format!("Prepared for {}\n", job.repository()))
            .map_err(|error| Error::new("io", format!("{}: {error}", config.file)))
    }
}

capstan_plugin::export!(Plugin: workspace);
