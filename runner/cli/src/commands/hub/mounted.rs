//! The files that a spec's steps mount, as they are sent to a hub.

use std::path::{Component, Path, PathBuf};

use capstan_core::spec::ResolvedMount;

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

/// All files of all mounts, each once.
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
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
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
