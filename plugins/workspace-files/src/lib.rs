//! Workspace plugin: unpacks, writes and removes files before the first step.

mod archive;
mod config;
mod place;
mod remove;
mod template;
mod unpack;
mod write;

use std::path::Path;

use capstan_plugin::{Job, Result, Workspace};

use crate::config::Config;

struct WorkspaceFiles;

impl Workspace for WorkspaceFiles {
    fn prepare(job: &Job, root: &Path) -> Result<()> {
        let config: Config = capstan_plugin::config()?;
        for unpack in &config.unpack {
            unpack::unpack(root, unpack)?;
        }
        for file in &config.write {
            write::write(root, job, file)?;
        }
        if !config.remove.is_empty() {
            remove::remove(root, &config.remove, &config.keep)?;
        }
        Ok(())
    }
}

capstan_plugin::export!(WorkspaceFiles: workspace);

#[cfg(test)]
mod tests;
