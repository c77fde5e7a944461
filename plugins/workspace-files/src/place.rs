//! Paths in the workspace, from people and archives that may not mean well.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use capstan_plugin::{Error, Result};

/// A relative path without detours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    parts: Vec<String>,
}

impl Place {
    /// Reads a path. `.` and doubled slashes are left out; an empty path is the workspace itself.
    ///
    /// # Errors
    ///
    /// If it is absolute, leads upwards, into a git directory, or holds what no path of ours should.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let refused = |reason: &str| Err(Error::new("path", format!("the path {path:?} {reason}")));
        if path.starts_with('/') {
            return refused("is absolute: it must be relative to the workspace");
        }
        if path.contains(['\0', '\\']) {
            return refused("contains a backslash or a NUL");
        }
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect();
        if parts.iter().any(|part| part == "..") {
            return refused("leads upwards with `..`");
        }
        if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
            return refused("leads into a git directory");
        }
        Ok(Self { parts })
    }

    /// Whether it is the workspace itself.
    pub(crate) fn is_root(&self) -> bool {
        self.parts.is_empty()
    }

    /// Without its last part.
    pub(crate) fn parent(&self) -> Self {
        let mut parts = self.parts.clone();
        parts.pop();
        Self { parts }
    }

    /// Without that many parts at the front; `None` if nothing would be left.
    pub(crate) fn stripped(&self, count: usize) -> Option<Self> {
        let parts = self.parts.get(count..)?.to_vec();
        (!parts.is_empty()).then_some(Self { parts })
    }

    /// This place below a directory.
    pub(crate) fn below(&self, directory: &Self) -> Self {
        Self {
            parts: [directory.parts.as_slice(), &self.parts].concat(),
        }
    }

    /// As text, with slashes.
    pub(crate) fn text(&self) -> String {
        self.parts.join("/")
    }

    /// Where it is below `root`. No part of the way may be a symbolic link, nor the place itself: what is behind one is not what it
    /// looks like.
    ///
    /// # Errors
    ///
    /// If one is.
    pub(crate) fn resolve(&self, root: &Path) -> Result<PathBuf> {
        let mut path = root.to_path_buf();
        for part in &self.parts {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_symlink() => {
                    let reason = format!(
                        "{}: {part} is a symbolic link, which is not followed",
                        self.text()
                    );
                    return Err(Error::new("path", reason));
                }
                Ok(_) => {}
                // Nor is there anything below what is not there.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(self.failed("looked at", &error)),
            }
        }
        Ok(path)
    }

    /// Makes the directory that this place is, and those above it.
    ///
    /// # Errors
    ///
    /// If something else is in the way.
    pub(crate) fn make_directory(&self, root: &Path) -> Result<PathBuf> {
        let path = self.resolve(root)?;
        fs::create_dir_all(&path).map_err(|error| self.failed("made a directory", &error))?;
        Ok(path)
    }

    /// An error with this place in it.
    pub(crate) fn failed(&self, what: &str, error: &std::io::Error) -> Error {
        Error::new("io", format!("{} cannot be {what}: {error}", self.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_below_the_workspace_and_nowhere_else() {
        for (path, text) in [
            ("a/b", "a/b"),
            ("./a//b/", "a/b"),
            ("", ""),
            ("a..b/...", "a..b/..."),
        ] {
            assert_eq!(Place::parse(path).unwrap().text(), text);
        }
        for (path, reason) in [
            ("/a", "is absolute"),
            ("..", "leads upwards"),
            ("a/../b", "leads upwards"),
            ("a\\..\\b", "backslash"),
            ("a\0", "backslash or a NUL"),
            (".git/hooks/x", "git directory"),
            ("sub/.GIT/config", "git directory"),
        ] {
            let error = Place::parse(path).unwrap_err();
            assert_eq!(error.code, "path");
            assert!(error.message.contains(reason), "{}", error.message);
        }
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("link")).unwrap();
        for path in ["link", "link/x"] {
            let error = Place::parse(path)
                .unwrap()
                .resolve(root.path())
                .unwrap_err();
            assert!(error.message.contains("symbolic link"), "{}", error.message);
        }
    }
}
