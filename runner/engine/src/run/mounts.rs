//! Size and age of mounted files, for the cache key.

use std::io;
use std::path::{Path, PathBuf};

use capstan_core::mounts::MountedFile;
use capstan_core::spec::Step;

/// A mounted path could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// It is not there.
    #[error("path {} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is there but cannot be read.
    #[error("reading mounted files: {0}")]
    Io(#[from] io::Error),
}

/// An entry for every mounted file of all `steps`, in order; directories are walked, their entries sorted by
/// name. Relative mount paths start from `directory`, as do the paths of the entries (facts/batch-spec.md 3.8).
pub fn metadata(directory: &Path, steps: &[Step]) -> Result<Vec<MountedFile>, MountsError> {
    let mut found = Vec::new();
    for mount in steps.iter().flat_map(|step| &step.mount) {
        let path = directory.join(&mount.path);
        if !path.exists() {
            return Err(MountsError::Missing(path));
        }
        walk(directory, &path, &mut found)?;
    }
    Ok(found)
}

fn walk(directory: &Path, start: &Path, found: &mut Vec<MountedFile>) -> io::Result<()> {
    let mut pending = vec![start.to_path_buf()];
    while let Some(path) = pending.pop() {
        // A symlink inside a mounted directory is not followed: it may lead back up.
        let status = if path == start {
            fs_err::metadata(&path)?
        } else {
            fs_err::symlink_metadata(&path)?
        };
        if status.is_dir() {
            let mut entries = fs_err::read_dir(&path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()?;
            entries.sort_unstable_by(|a, b| b.cmp(a));
            pending.extend(entries);
        } else {
            let relative = relative_to(directory, &path);
            let modified =
                jiff::Timestamp::try_from(status.modified()?).map_err(io::Error::other)?;
            found.push(MountedFile {
                path: relative.to_string_lossy().into_owned(),
                size: status.len(),
                modified,
            });
        }
    }
    Ok(())
}

/// `path` without `directory` and without `.` parts.
fn relative_to(directory: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(directory)
        .unwrap_or(path)
        .components()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_core::spec::Mount;

    fn step(path: &str) -> Step {
        Step {
            mount: vec![Mount {
                path: path.to_owned(),
                mountpoint: "/m".to_owned(),
            }],
            ..Step::default()
        }
    }

    #[test]
    fn walks_directories_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs_err::create_dir_all(root.join("m/sub")).unwrap();
        for name in ["m/b", "m/a", "m/sub/z", "single"] {
            fs_err::write(root.join(name), name).unwrap();
        }
        let found = metadata(root, &[step("./m"), step("single")]).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|entry| (entry.path.as_str(), entry.size))
            .collect();
        assert_eq!(
            names,
            [("m/a", 3), ("m/b", 3), ("m/sub/z", 7), ("single", 6)]
        );
    }

    #[test]
    fn names_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let error = metadata(directory.path(), &[step("gone")]).unwrap_err();
        let path = directory.path().join("gone");
        assert_eq!(
            error.to_string(),
            format!("path {} does not exist", path.display())
        );
    }
}
