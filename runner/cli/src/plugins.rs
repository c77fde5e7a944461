//! The plugins of a run, and the secrets that must not be seen in it.

use std::collections::BTreeSet;

use capstan_core::redact::{MIN_LENGTH, Secrets, is_known_public, is_short};
use capstan_core::spec::{EnvVar, Step};
use capstan_engine::plugins::Plugins;

use crate::config::{Config, Environment};
use crate::engines::{self, HostOpener};
use crate::failure::Failed;
use crate::printer;
use crate::report::{Phase, Reporter};

/// Loads the plugins that are configured. What the lock beside the file that names them does not pin is not downloaded.
pub(crate) async fn load(
    config: &Config,
    environment: &Environment,
    host: &HostOpener,
    reporter: &dyn Reporter,
) -> Result<Plugins, Failed> {
    if config.plugins.is_empty() {
        return Ok(Plugins::default());
    }
    reporter.phase(Phase::LoadingPlugins);
    let loaded = |name: &str| reporter.phase(Phase::LoadedPlugin { name });
    load_and_tell(config, environment, host, loaded).await
}

/// The same where nobody looks on.
pub(crate) async fn load_quietly(
    config: &Config,
    environment: &Environment,
    host: &HostOpener,
) -> Result<Plugins, Failed> {
    if config.plugins.is_empty() {
        return Ok(Plugins::default());
    }
    let loaded = |name: &str| tracing::info!(plugin = name, "plugin loaded");
    load_and_tell(config, environment, host, loaded).await
}

async fn load_and_tell(
    config: &Config,
    environment: &Environment,
    host: &HostOpener,
    loaded: impl Fn(&str),
) -> Result<Plugins, Failed> {
    let engine_environment = engines::environment_of(config, environment);
    let resolver = engines::resolver(config, &engine_environment, &config.lock_path())?;
    let mut entries = config.plugins.clone();
    for entry in &mut entries {
        entry.audit |= config.plugins_audit;
    }
    let value = |name: &str| environment.get(name).map(str::to_owned);
    Ok(Plugins::load(entries, &resolver, &host()?, value, loaded).await?)
}

/// Names of the variables of this machine's environment that steps ask for.
pub(crate) fn forwarded(steps: &[Step]) -> impl Iterator<Item = &String> {
    let variables = steps.iter().flat_map(|step| &step.env.vars);
    variables.filter_map(|variable| match variable {
        EnvVar::Forwarded { name } => Some(name),
        EnvVar::Static { .. } => None,
    })
}

/// The secrets of a run of these steps: the values of variables that the batch spec forwards or a plugin is granted, except for those that are known
/// to be none, and of those that the configuration names.
pub(crate) fn secrets(
    steps: &[Step],
    config: &Config,
    environment: &Environment,
) -> Result<Secrets, Failed> {
    let forwarded = forwarded(steps);
    let granted = config.plugins.iter().flat_map(|entry| &entry.grants.env);
    let mut names: BTreeSet<&str> = forwarded
        .chain(granted)
        .map(String::as_str)
        .filter(|name| !is_known_public(name))
        .collect();
    for name in &config.secrets {
        match environment.get(name) {
            None => printer::warning(format_args!("the secret {name} is not set")),
            Some(value) if is_short(value) => printer::warning(format_args!(
                "the secret {name} has less than {MIN_LENGTH} characters, and is not taken out of anything"
            )),
            Some(_) => {}
        }
        names.insert(name);
    }
    let values = names.into_iter().filter_map(|name| environment.get(name));
    Secrets::new(values).map_err(Failed::usage)
}
