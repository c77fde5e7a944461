//! The plugins of a run: loaded once, then called in every job in the order of the configuration.

use std::fmt::Write as _;
use std::path::Path;

use capstan_core::plugin::{Access, Entry, Hook, OnFailure};
use capstan_plugin_host::{Host, LoadError, Plugin};
use capstan_plugin_store::{Class, Resolver, Source, SourceError, StoreError};
use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};

use crate::fault::{Fault, FaultClass};

/// Plugins in the order in which they are called. The default has none.
#[derive(Clone, Default)]
pub struct Plugins {
    plugins: Vec<Plugin>,
    fingerprint: Option<String>,
}

impl Plugins {
    /// Finds and loads the plugins of `entries`, all at once. `environment` gives the values of variables that are granted;
    /// `progress` is told the name of each that is ready.
    ///
    /// # Errors
    ///
    /// A fault that names the plugin and says what to do: of the workspace class if the configuration has to be changed, of the
    /// environment if the machine is to blame.
    pub async fn load(
        entries: Vec<Entry>,
        resolver: &Resolver,
        host: &Host,
        environment: impl Fn(&str) -> Option<String>,
        progress: impl Fn(&str),
    ) -> Result<Self, Fault> {
        let (environment, progress) = (&environment, &progress);
        let loading = entries.into_iter().map(async |entry: Entry| {
            let name = entry.name.clone();
            let plugin = load(entry, resolver, host, environment)
                .await
                .map_err(|fault| Fault {
                    message: format!("the plugin {name} cannot be used: {}", fault.message),
                    ..fault
                })?;
            progress(&name);
            Ok::<_, Fault>(plugin)
        });
        let plugins = try_join_all(loading).await?;
        let fingerprint = (!plugins.is_empty()).then(|| fingerprint(&plugins));
        Ok(Self {
            plugins,
            fingerprint,
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter()
    }

    /// Whether one of them has this hook.
    pub fn have(&self, hook: Hook) -> bool {
        self.plugins.iter().any(|plugin| plugin.has(hook))
    }

    /// What distinguishes results that these plugins had a hand in: their components, configurations and rights, in order. `None`
    /// without plugins.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }
}

async fn load(
    entry: Entry,
    resolver: &Resolver,
    host: &Host,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Plugin, Fault> {
    let source: Source = entry
        .source
        .parse()
        .map_err(|error: SourceError| Fault::workspace(error.to_string()))?;
    // Paths are absolute: the configuration knows what they start from.
    let digest = entry.digest.as_deref();
    let resolved = resolver.resolve(&source, digest, Path::new("/")).await;
    let resolved = resolved.map_err(explain)?;
    let component = host
        .load(&resolved.bytes, Some(&resolved.digest))
        .await
        .map_err(|error| {
            let text = format!("{}: {error}", entry.source);
            match error {
                LoadError::Io { .. } => Fault::environment(text),
                LoadError::Link(_) => Fault::workspace(text)
                    .hint("take a version of the plugin, or of Capstan, that fits the other"),
                _ => Fault::workspace(text),
            }
        })?;
    let inspection = component.inspection();
    resolver.check(&source, inspection).map_err(explain)?;
    let hooks = &inspection.hooks;
    let wrong = |message: &str, hint: &str| Err(Fault::workspace(message).hint(hint));
    if hooks.is_empty() {
        return wrong(
            "it has none of the hooks policy, workspace, output and diff",
            "a component that is a command can be a step: container: wasm://...",
        );
    }
    if hooks.contains(&Hook::Policy) && entry.on_failure == OnFailure::Skip {
        return wrong(
            "it is a policy, and a policy that fails refuses",
            "take on-failure = \"skip\" away; audit = true makes a policy log what it would refuse",
        );
    }
    if hooks.contains(&Hook::Workspace) && entry.grants.workspace == Access::None {
        return wrong(
            "it prepares workspaces, and is not granted to see them",
            "add grants = { workspace = \"write\" } if you trust it with them",
        );
    }
    Ok(Plugin::new(entry, component, environment))
}

fn explain(error: StoreError) -> Fault {
    Fault {
        class: match error.class {
            Class::Configuration => FaultClass::Workspace,
            Class::Environment => FaultClass::Environment,
        },
        message: error.message,
        hint: error.hint,
    }
}

/// What the results of plugins depend on, apart from their input.
fn fingerprint(plugins: &[Plugin]) -> String {
    let mut text = String::new();
    for plugin in plugins {
        let entry = plugin.entry();
        let facts = (
            &plugin.component().inspection().digest,
            &entry.config,
            &entry.grants,
            entry.audit,
        );
        // Strings are quoted, so no two lists have the same text.
        let _ = writeln!(text, "{facts:?}");
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
