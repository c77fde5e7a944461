use std::fs;
use std::path::Path;

use capstan_plugin::{Job, Result, Workspace, log};

use crate::Probe;
use crate::config::Config;

impl Workspace for Probe {
    /// Logs what there is, writes what it is told to, and only then does what it is asked to.
    fn prepare(_job: &Job, root: &Path) -> Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(root)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        log::info!("found {}", names.join(" "));
        let config: Config = capstan_plugin::config()?;
        for (path, content) in &config.write {
            fs::write(root.join(path), content)?;
        }
        Config::of("prepare").map(drop)
    }
}
