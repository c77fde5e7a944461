//! What an engine sees under another path than we do, because one of the two runs in a container.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The engine sees the directory `here` of ours at `there`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAt {
    /// Its path for us; absolute.
    pub here: PathBuf,
    /// Its path for the engine; absolute.
    pub there: PathBuf,
}

impl SeenAt {
    /// A path of ours as the engine sees it. What is not below the directory is where it is.
    pub fn of<'p>(&self, path: &'p Path) -> Cow<'p, Path> {
        match path.strip_prefix(&self.here) {
            Ok(below) if below.as_os_str().is_empty() => self.there.clone().into(),
            Ok(below) => self.there.join(below).into(),
            Err(_) => path.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_is_elsewhere() {
        let seen = SeenAt {
            here: "/scratch/capstan".into(),
            there: "/mnt/data/capstan".into(),
        };
        for (path, expected) in [
            ("/scratch/capstan", "/mnt/data/capstan"),
            ("/scratch/capstan/runs/a", "/mnt/data/capstan/runs/a"),
            ("/scratch/capstan-other", "/scratch/capstan-other"),
            ("/etc/ssl", "/etc/ssl"),
        ] {
            assert_eq!(seen.of(Path::new(path)), Path::new(expected));
        }
    }
}
