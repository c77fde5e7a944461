//! `capstan plugin build`: sources into a component, with the language's own tools.

mod c;
mod javascript;
mod python;
mod rust;
mod toolchain;

use std::path::{Path, PathBuf};

use self::toolchain::absolute;
use super::component::settings;
use super::manifest::Manifest;
use super::measure;
use super::wit::WitDirectory;
use crate::args::plugin::{Build, Language};
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{plugin_host, printer};

/// What every language's build needs.
struct Job<'a> {
    manifest: &'a Manifest,
    /// The plugin's directory, absolute.
    directory: &'a Path,
    /// Its WIT, absolute.
    wit: &'a Path,
    /// Where the component goes, absolute.
    output: PathBuf,
    environment: &'a Environment,
    /// Whether missing tools are to be installed.
    install: bool,
}

impl Job<'_> {
    /// Where tools are installed that are for this plugin only.
    fn tools(&self) -> PathBuf {
        self.directory.join(".tools")
    }
}

pub(super) async fn run(
    args: &Build,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let manifest = Manifest::read(&args.directory)?;
    let directory = absolute(&args.directory)?;
    let wit = WitDirectory::of(&directory)?;
    let job = Job {
        manifest: &manifest,
        directory: &directory,
        wit: &wit.path,
        output: manifest.component(&directory),
        environment,
        install: args.install,
    };
    match manifest.language {
        Language::Rust => rust::build(&job).await?,
        Language::Python => python::build(&job).await?,
        Language::Js => javascript::build(&job).await?,
        Language::C => c::build(&job).await?,
    }
    check(&manifest, &args.directory, config_file, environment).await
}

/// Whether what was built is the plugin that it claims to be, and runs here.
async fn check(
    manifest: &Manifest,
    directory: &Path,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let path = manifest.component(directory);
    let bytes = fs_err::read(&path).map_err(Failed::environment)?;
    let place = path.display();
    let host = plugin_host::open(&settings(config_file, environment)?)?;
    let loaded = host.load(&bytes, None).await;
    let component = loaded.map_err(|error| {
        Failed::run(format!("{place} was built, but does not run here: {error}"))
            .hint(format!("`capstan plugin inspect {place}` tells more"))
    })?;
    let inspection = component.inspection();
    if !inspection.hooks.contains(&manifest.hook) {
        let message = format!("{place} was built, but has no {} hook", manifest.hook);
        return Err(
            Failed::run(message).hint("export the hook, or correct `hook` in capstan-plugin.toml")
        );
    }
    let hooks: Vec<_> = inspection.hooks.iter().map(|hook| hook.name()).collect();
    let size = measure::bytes(inspection.size);
    printer::result_line(format_args!("built {place}: {size}, {}", hooks.join(", ")))
        .map_err(Failed::environment)?;
    Ok(Exit::Success)
}
