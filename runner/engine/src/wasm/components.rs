//! The components of a run: found, pinned and loaded once each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use capstan_core::wasm_step::{Place, Reference};
use capstan_plugin_host::{Component, Host};
use capstan_plugin_store::{Class, Resolved, Resolver, Source, StoreError};

use crate::fault::Fault;

/// Makes the host when the first component is to be loaded, or hands out the one there is.
pub type OpenHost = Box<dyn Fn() -> Result<Host, Fault> + Send + Sync>;

/// Finds components. All of a run get the same bytes for the same name, whatever happens to the file meanwhile.
pub(super) struct Components {
    host: OpenHost,
    resolver: Resolver,
    /// What relative paths start from and no path leads out of.
    directory: PathBuf,
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>,
}

/// What is known of a name.
enum Known {
    Nothing,
    Bytes(Resolved),
    Loaded(Loaded),
}

/// A component that can run.
#[derive(Clone)]
pub(super) struct Loaded {
    /// What it calls itself.
    pub(super) program: String,
    /// `sha256:...` of its bytes.
    pub(super) digest: String,
    pub(super) component: Arc<Component>,
}

impl Components {
    pub(super) fn new(host: OpenHost, resolver: Resolver, directory: PathBuf) -> Self {
        Self {
            host,
            resolver,
            directory,
            known: Mutex::default(),
        }
    }

    /// The digest of the component `name`.
    pub(super) async fn digest(&self, name: &str) -> Result<String, Fault> {
        let entry = self.entry(name);
        let mut known = entry.lock().await;
        self.find(name, &mut known).await?;
        Ok(match &*known {
            Known::Bytes(resolved) => resolved.digest.clone(),
            Known::Loaded(loaded) => loaded.digest.clone(),
            Known::Nothing => return Err(Fault::workspace("it was not found")),
        })
    }

    /// The component `name`, ready to run.
    pub(super) async fn load(&self, name: &str) -> Result<Loaded, Fault> {
        let entry = self.entry(name);
        let mut known = entry.lock().await;
        self.find(name, &mut known).await?;
        let resolved = match &*known {
            Known::Loaded(loaded) => return Ok(loaded.clone()),
            Known::Bytes(resolved) => resolved,
            Known::Nothing => return Err(Fault::workspace("it was not found")),
        };
        let host = (self.host)()?;
        let component = host
            .load(&resolved.bytes, Some(&resolved.digest))
            .await
            .map_err(|error| Fault::workspace(error.to_string()))?;
        if !component.inspection().command {
            return Err(Fault::workspace(
                "it is no command: a step in WebAssembly exports wasi:cli/run@0.2",
            )
            .hint("build a program, not a library: `rustc --target wasm32-wasip2` makes one"));
        }
        let source = source(&reference(name)?, &self.directory)?;
        self.resolver
            .check(&source, component.inspection())
            .map_err(explain)?;
        let loaded = Loaded {
            program: reference(name)?.program,
            digest: resolved.digest.clone(),
            component,
        };
        *known = Known::Loaded(loaded.clone());
        Ok(loaded)
    }

    fn entry(&self, name: &str) -> Arc<tokio::sync::Mutex<Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = || Arc::new(tokio::sync::Mutex::new(Known::Nothing));
        Arc::clone(known.entry(name.to_owned()).or_insert_with(nothing))
    }

    /// Makes sure that there are bytes.
    async fn find(&self, name: &str, known: &mut Known) -> Result<(), Fault> {
        if let Known::Nothing = known {
            let reference = reference(name)?;
            let source = source(&reference, &self.directory)?;
            let digest = reference.digest.as_deref();
            let found = self.resolver.resolve(&source, digest, &self.directory);
            *known = Known::Bytes(found.await.map_err(explain)?);
        }
        Ok(())
    }
}

fn reference(name: &str) -> Result<Reference, Fault> {
    match Reference::parse(name) {
        Some(reference) => reference.map_err(|error| Fault::workspace(error.to_string())),
        None => Err(Fault::workspace(
            "it is no component, as it does not begin with wasm://",
        )),
    }
}

fn explain(error: StoreError) -> Fault {
    let fault = match error.class {
        Class::Configuration => Fault::workspace(error.message),
        Class::Environment => Fault::environment(error.message),
    };
    match error.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Where to look. A file must be in `directory`, over symbolic links, too: specs come from others.
fn source(reference: &Reference, directory: &Path) -> Result<Source, Fault> {
    let path = match &reference.place {
        Place::Address(text) | Place::Registry(text) => {
            return Source::of_step(text).map_err(|error| Fault::workspace(error.to_string()));
        }
        Place::File(path) => path,
    };
    let failed = |error: std::io::Error| {
        Fault::workspace(format!("{}: {error}", path.display())).hint(format!(
            "relative paths start at the batch spec's directory, {}",
            directory.display()
        ))
    };
    let root = std::fs::canonicalize(directory).map_err(failed)?;
    let file = std::fs::canonicalize(root.join(path)).map_err(failed)?;
    if !file.starts_with(&root) {
        return Err(Fault::workspace(format!(
            "{} is not in the directory of the batch spec, {}",
            path.display(),
            root.display()
        ))
        .hint("copy the component into the directory of the batch spec, or below it"));
    }
    // What is no file could block whoever reads it.
    if !std::fs::metadata(&file).map_err(failed)?.is_file() {
        return Err(Fault::workspace(format!("{} is no file", path.display())));
    }
    Ok(Source::Path(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(directory: &Path, name: &str) -> String {
        let found = reference(name).and_then(|reference| source(&reference, directory));
        let text = match found {
            Ok(source) => source.to_string(),
            Err(fault) => format!("{fault} ({})", fault.hint.as_deref().unwrap_or("-")),
        };
        let root = std::fs::canonicalize(directory).unwrap();
        text.replace(root.to_str().unwrap(), "SPEC")
    }

    #[test]
    fn files_are_found_in_the_directory_of_the_spec_only() {
        let outer = tempfile::tempdir().unwrap();
        let spec = outer.path().join("spec");
        fs_err::create_dir_all(spec.join("tools")).unwrap();
        for file in ["secret.wasm", "spec/tools/fix.wasm"] {
            fs_err::write(outer.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("../secret.wasm", spec.join("link.wasm")).unwrap();
        std::os::unix::fs::symlink("tools/fix.wasm", spec.join("alias.wasm")).unwrap();
        let absolute = format!("wasm://{}", spec.join("tools/fix.wasm").display());
        let outside = "is not in the directory of the batch spec, SPEC (copy the component into the directory of the batch spec, or below it)";
        for (name, expected) in [
            ("wasm://./tools/fix.wasm", "SPEC/tools/fix.wasm".to_owned()),
            ("wasm://./alias.wasm", "SPEC/tools/fix.wasm".to_owned()),
            ("wasm://../spec/tools/fix.wasm", "SPEC/tools/fix.wasm".to_owned()),
            (&absolute, "SPEC/tools/fix.wasm".to_owned()),
            ("wasm://../secret.wasm", format!("../secret.wasm {outside}")),
            ("wasm://./link.wasm", format!("./link.wasm {outside}")),
            ("wasm:///etc/passwd", format!("/etc/passwd {outside}")),
            ("wasm://./tools", "./tools is no file (-)".to_owned()),
            (
                "wasm://./gone.wasm",
                "./gone.wasm: No such file or directory (os error 2) (relative paths start at the batch spec's directory, SPEC)".to_owned(),
            ),
            ("wasm://ghcr.io/acme/fix:1", "oci://ghcr.io/acme/fix:1".to_owned()),
            ("wasm://https://a.example/f.wasm", "https://a.example/f.wasm".to_owned()),
        ] {
            assert_eq!(shown(&spec, name), expected, "{name}");
        }
    }
}
