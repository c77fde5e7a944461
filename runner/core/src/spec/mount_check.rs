//! Which host paths the mounts of a spec stand for, and that none leads out of the spec's directory.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::Step;

/// A mount whose path exists inside the spec's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedMount {
    /// Index of the step, from 0.
    pub step: usize,
    /// Index of the mount in the step, from 0.
    pub mount: usize,
    /// The path without symbolic links.
    pub path: PathBuf,
}

/// Why a mount is refused. The texts are those of facts/batch-spec.md 1.7, prefix included.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The path leads out of the directory, directly or over a symbolic link.
    #[error(
        "handling mount: step {step} mount path is not in the same directory or subdirectory as the batch spec"
    )]
    Outside {
        /// Number of the step, from 1.
        step: usize,
        /// Index of the mount in the step, from 0.
        mount: usize,
    },
    /// There is nothing at the path.
    #[error("handling mount: step {step} mount path {path} does not exist")]
    Missing {
        /// Number of the step, from 1.
        step: usize,
        /// Index of the mount in the step, from 0.
        mount: usize,
        /// The path as written.
        path: String,
    },
    /// The path cannot be looked at.
    #[error("handling mount: step {step} mount path {path}: {source}")]
    Unreadable {
        /// Number of the step, from 1.
        step: usize,
        /// Index of the mount in the step, from 0.
        mount: usize,
        /// The path as written.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The directory itself cannot be resolved.
    #[error("handling mount: resolving the batch spec's directory {}: {source}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl MountError {
    /// Dotted path of the value that is to blame: `steps.0.mount.1.path`; `None` if it is no value of the spec.
    #[must_use]
    pub fn blames(&self) -> Option<String> {
        match self {
            Self::Outside { step, mount }
            | Self::Missing { step, mount, .. }
            | Self::Unreadable { step, mount, .. } => {
                Some(format!("steps.{}.mount.{mount}.path", step - 1))
            }
            Self::Directory { .. } => None,
        }
    }
}

/// Resolves the mounts of all steps, the first failure wins.
///
/// `spec_dir` is the directory of the spec file. `resolve` makes a path absolute and free of symbolic
/// links and fails with [`io::ErrorKind::NotFound`] where there is nothing; it is
/// `std::fs::canonicalize`, given by the caller because this crate does not touch the disk.
pub fn check_mounts(
    steps: &[Step],
    spec_dir: &Path,
    resolve: &dyn Fn(&Path) -> io::Result<PathBuf>,
) -> Result<Vec<ResolvedMount>, MountError> {
    let mut resolved = Vec::new();
    if steps.iter().all(|step| step.mount.is_empty()) {
        return Ok(resolved);
    }
    let root = resolve(spec_dir).map_err(|source| MountError::Directory {
        directory: spec_dir.to_owned(),
        source,
    })?;
    for (index, step) in steps.iter().enumerate() {
        for (mount, entry) in step.mount.iter().enumerate() {
            let (step, path) = (index + 1, entry.path.clone());
            let written = Path::new(&entry.path);
            if leads_out(written) {
                return Err(MountError::Outside { step, mount });
            }
            match resolve(&root.join(written)) {
                Ok(path) if path.starts_with(&root) => resolved.push(ResolvedMount {
                    step: index,
                    mount,
                    path,
                }),
                Ok(_) => return Err(MountError::Outside { step, mount }),
                // What is missing elsewhere is no business of the author's.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let inside = !written.is_absolute()
                        || written.starts_with(&root)
                        || written.starts_with(spec_dir);
                    return Err(if inside {
                        MountError::Missing { step, mount, path }
                    } else {
                        MountError::Outside { step, mount }
                    });
                }
                Err(source) => {
                    return Err(MountError::Unreadable {
                        step,
                        mount,
                        path,
                        source,
                    });
                }
            }
        }
    }
    Ok(resolved)
}

/// Whether a relative path leaves its start by its `..` alone.
fn leads_out(path: &Path) -> bool {
    let mut depth = 0usize;
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir => return false,
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Mount, Step};

    /// A disk with `/spec/{a/b, link -> /etc}`, `/etc` and the symbolic link `/alias -> /spec`.
    fn resolve(path: &Path) -> io::Result<PathBuf> {
        let mut out = PathBuf::new();
        for component in path.components() {
            match component {
                Component::ParentDir => {
                    out.pop();
                }
                Component::CurDir => {}
                other => out.push(other),
            }
            if out == Path::new("/spec/link") {
                out = "/etc".into();
            } else if out == Path::new("/alias") {
                out = "/spec".into();
            }
        }
        let known = ["/", "/etc", "/spec", "/spec/a", "/spec/a/b"];
        if known.contains(&out.to_str().unwrap()) {
            Ok(out)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn mounts() {
        let outside = "handling mount: step 2 mount path is not in the same directory or subdirectory as the batch spec";
        let missing = |p: &str| format!("handling mount: step 2 mount path {p} does not exist");
        for (path, want) in [
            ("a", Ok("/spec/a")),
            ("./a/b", Ok("/spec/a/b")),
            ("a/../a", Ok("/spec/a")),
            (".", Ok("/spec")),
            ("/spec/a", Ok("/spec/a")),
            ("/alias/a", Ok("/spec/a")),
            ("../spec/a", Err(outside.to_owned())),
            ("../x", Err(outside.to_owned())),
            ("a/../../x", Err(outside.to_owned())),
            ("/etc", Err(outside.to_owned())),
            ("/nowhere", Err(outside.to_owned())),
            ("link", Err(outside.to_owned())),
            ("link/..", Err(outside.to_owned())),
            ("nope", Err(missing("nope"))),
            ("/spec/nope", Err(missing("/spec/nope"))),
            ("/alias/nope", Err(missing("/alias/nope"))),
        ] {
            let mount = Mount {
                path: path.to_owned(),
                mountpoint: "/m".to_owned(),
            };
            let step = Step {
                mount: vec![mount],
                ..Step::default()
            };
            let steps = vec![Step::default(), step];
            let got = check_mounts(&steps, Path::new("/alias"), &resolve);
            let got = got.map(|m| m[0].path.clone()).map_err(|e| e.to_string());
            assert_eq!(got, want.map(PathBuf::from), "{path}");
        }
    }
}
