//! The component that a command is about.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstan_plugin_host::{Component, Host};

use super::manifest::{FILE, Manifest, shown};
use super::supply::in_registry;
use crate::args::SettingFlags;
use crate::config::{Config, Environment};
use crate::failure::Failed;

/// A component's file, with what is known of it from where it lies.
#[derive(Debug)]
pub(super) struct Built {
    /// What errors call it: the name of the plugin, or of the file.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The directory it lies in.
    pub(super) directory: PathBuf,
}

impl Built {
    /// The component of a plugin's directory, or the file itself.
    pub(super) fn find(path: &Path) -> Result<Self, Failed> {
        if path.is_dir() {
            let manifest = Manifest::read(path)?;
            let component = manifest.component(path);
            if !component.is_file() {
                let message = format!("{} has not been built", manifest.name);
                return Err(Failed::usage(message)
                    .hint(format!("run `capstan plugin build` in {}", shown(path))));
            }
            return Ok(Self {
                name: manifest.name,
                path: component,
                directory: path.to_owned(),
            });
        }
        if !path.exists() {
            let message = format!("{} does not exist", path.display());
            let hint = path.to_str().and_then(in_registry);
            return Err(Failed::usage(message).hint(
                hint.unwrap_or_else(|| format!("name a component, or a directory with a {FILE}")),
            ));
        }
        let name = path.file_stem().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            path: path.to_owned(),
            directory: path.parent().unwrap_or(Path::new(".")).to_owned(),
        })
    }

    /// Where its fixtures are, unless somebody says otherwise.
    pub(super) fn fixtures(&self) -> PathBuf {
        self.directory.join("fixtures")
    }

    /// Loads it.
    pub(super) async fn load(&self, host: &Host) -> Result<Arc<Component>, Failed> {
        let place = self.path.display();
        let loaded = host.load(&self.read()?, None).await;
        loaded.map_err(|error| {
            Failed::usage(format!("{place} does not run here: {error}"))
                .hint(format!("`capstan plugin inspect {place}` tells more"))
        })
    }

    /// Its bytes.
    pub(super) fn read(&self) -> Result<Vec<u8>, Failed> {
        fs_err::read(&self.path).map_err(Failed::usage)
    }
}

/// The settings, for commands that have no flags for them.
pub(super) fn settings(
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Config, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let flags = SettingFlags::default();
    Ok(Config::load(config_file, environment, &flags, &directory)?)
}
