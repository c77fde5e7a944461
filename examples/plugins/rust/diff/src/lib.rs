//! Post-processes diffs: takes out what changed below a directory.

use capstan_plugin::{Changes, Diff, Edits, Job, Outcome, Result, Shape, log};
use serde::Deserialize;

struct Plugin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Its path.
    #[serde(default = "vendor")]
    directory: String,
}

fn vendor() -> String {
    "vendor".to_owned()
}

impl Diff for Plugin {
    // The most it may do. The host proves it.
    const SHAPE: Shape = Shape::RemoveOnly;

    fn process(_job: &Job, changes: &Changes, edits: &Edits) -> Result<Outcome> {
        let config: Config = capstan_plugin::config()?;
        let directory = format!("{}/", config.directory.trim_end_matches('/'));
        for file in changes.files() {
            if file.path().starts_with(&directory) {
                log::info!("dropped {}", file.path());
                edits.drop_file(&file)?;
            }
        }
        Ok(Outcome::Done)
    }
}

capstan_plugin::export!(Plugin: diff);
