//! The files that a spec's steps mount, and the components that they run in, as they are sent to a hub.

use std::path::{Component, Path, PathBuf};

use capstan_core::spec::ResolvedMount;
use capstan_core::wasm_step::{Place, Reference};

use crate::failure::Failed;
use crate::spec_file::Loaded;

/// A file to send.
pub(super) struct MountedFile {
    /// Path from the spec's directory, `/` between its parts.
    pub(super) path: String,
    /// Where it is.
    pub(super) source: PathBuf,
    pub(super) modified_at: jiff::Timestamp,
}

/// All files of all mounts, and all components that are named by a path, each once.
pub(super) fn files(loaded: &Loaded) -> Result<Vec<MountedFile>, Failed> {
    let mut found: Vec<MountedFile> = Vec::new();
    for ResolvedMount { step, mount, path } in loaded.mounts.iter() {
        let written = &loaded.spec.steps[*step].mount[*mount].path;
        let inside: PathBuf = Path::new(written)
            .components()
            .filter(|component| *component != Component::CurDir)
            .collect();
        if inside.is_absolute() {
            return Err(Failed::usage(format!(
                "step {}: the mount path {written} has to be relative to the batch spec's directory",
                step + 1
            )));
        }
        walk(path, &inside, &mut found)?;
    }
    components(loaded, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// What a template names cannot be told here: it has to be mounted.
fn components(loaded: &Loaded, found: &mut Vec<MountedFile>) -> Result<(), Failed> {
    for (index, step) in loaded.spec.steps.iter().enumerate() {
        let name = &step.container;
        let Some(Ok(Reference {
            place: Place::File(path),
            ..
        })) = Reference::parse(name).filter(|_| !name.contains("${{"))
        else {
            continue;
        };
        let failed = |what: &str| {
            Failed::usage(format!("step {}: the component {name} {what}", index + 1))
                .hint("relative paths start at the batch spec's directory")
        };
        let inside: PathBuf = path
            .components()
            .filter(|component| *component != Component::CurDir)
            .collect();
        let source = fs_err::canonicalize(loaded.directory.join(&inside))
            .map_err(|error| failed(&format!("cannot be read: {error}")))?;
        let is_inside = inside
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if !is_inside || !source.starts_with(&loaded.directory) {
            return Err(failed(
                "has to be in the batch spec's directory, and named by a path from there",
            ));
        }
        if !source.is_file() {
            return Err(failed("is no file"));
        }
        walk(&source, &inside, found)?;
    }
    Ok(())
}

fn walk(source: &Path, inside: &Path, found: &mut Vec<MountedFile>) -> Result<(), Failed> {
    // A link inside a mounted directory is not followed: it may lead out.
    let status = fs_err::symlink_metadata(source).map_err(Failed::usage)?;
    if status.is_dir() {
        for entry in fs_err::read_dir(source).map_err(Failed::usage)? {
            let entry = entry.map_err(Failed::usage)?;
            walk(&entry.path(), &inside.join(entry.file_name()), found)?;
        }
        return Ok(());
    }
    let unusable = |what: &str| Failed::usage(format!("{}: {what}", source.display()));
    if !status.is_file() {
        return Err(unusable("only files and directories can be sent to a hub"));
    }
    let path = inside
        .to_str()
        .ok_or_else(|| unusable("its name is not UTF-8"))?;
    let modified = status.modified().map_err(Failed::usage)?;
    found.push(MountedFile {
        path: path.to_owned(),
        source: source.to_owned(),
        modified_at: jiff::Timestamp::try_from(modified).map_err(Failed::usage)?,
    });
    Ok(())
}
