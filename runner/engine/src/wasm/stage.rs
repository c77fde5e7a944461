//! The directories that a component sees. WebAssembly knows no mounts of single files: those are copied into
//! directories of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use capstan_plugin_host::Directory;
use tempfile::TempDir;

use crate::sandbox::{BindMount, Preparation, WORK};
use crate::workspace::GIT_OBJECTS;

/// Where it sees a private directory.
const TMP: &str = "/tmp";

/// Why a step's files and mounts cannot be shown to a component.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    #[error("{0} is no absolute path without `..`")]
    Path(String),
    #[error(
        "{0} is in /work, which a WebAssembly step sees as the workspace is; put it elsewhere, for example below /tmp"
    )]
    Workspace(String),
    #[error(
        "{0} is not in a directory; a WebAssembly step can be shown files below one, for example below /tmp"
    )]
    Root(String),
    #[error("{0} is used for two things")]
    Twice(String),
    #[error("{inner} cannot be shown inside of {outer}, which is another file or mount")]
    Inside { inner: String, outer: String },
    #[error(
        "{0} is a file, which a WebAssembly step can only read: mount it read-only, or mount its directory"
    )]
    Writable(String),
    #[error("{0} is neither a file nor a directory")]
    Special(String),
    #[error("the workspace is one that only containers see; set workspaces = \"checkout\"")]
    OutOfReach,
    #[error("laying out the files of a WebAssembly step: {0}")]
    Io(#[from] io::Error),
}

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
enum Item<'a> {
    /// A directory of the host.
    Mount(&'a BindMount),
    /// A copy of a file of the host.
    Copy(&'a BindMount),
    /// A file with this content.
    Text(&'a str),
}

/// Directories on the host and where a component sees them; removed when dropped.
#[derive(Debug)]
pub(super) struct Stage {
    /// In the order in which the component gets them.
    pub(super) directories: Vec<Directory>,
    _private: TempDir,
}

impl Stage {
    /// Lays them out below `scratch`.
    pub(super) fn make(
        scratch: &Path,
        preparation: &Preparation,
        files: &BTreeMap<String, String>,
    ) -> Result<Self, StageError> {
        let items = items(&preparation.mounts, files)?;
        let private = tempfile::Builder::new()
            .prefix("wasm-")
            .tempdir_in(scratch)?;
        let (tmp, root) = (private.path().join("tmp"), private.path().join("root"));
        fs_err::create_dir(&tmp)?;
        fs_err::create_dir(&root)?;
        let mut parents = BTreeSet::new();
        for (target, item) in &items {
            let (base, below) = match below(target, TMP) {
                Some(below) => (&tmp, below),
                None => (&root, target.trim_start_matches('/')),
            };
            let path = base.join(below);
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent)?;
            }
            match item {
                Item::Mount(_) => continue,
                Item::Copy(mount) => drop(fs_err::copy(&mount.source, &path)?),
                Item::Text(text) => fs_err::write(&path, text)?,
            }
            if base == &root
                && let Some((parent, _)) = target.rsplit_once('/')
            {
                parents.insert(parent.to_owned());
            }
        }
        let mut directories = Vec::new();
        for guest in outermost(&parents) {
            directories.push(Directory {
                host: root.join(guest.trim_start_matches('/')),
                guest,
                read_only: true,
            });
        }
        for (target, item) in &items {
            if let Item::Mount(mount) = item {
                directories.push(Directory {
                    host: mount.source.clone(),
                    guest: target.clone(),
                    read_only: mount.read_only,
                });
            }
        }
        if !items.contains_key(TMP) {
            directories.push(writable(tmp, TMP));
        }
        let workspace = preparation.workspace.directory();
        let workspace = workspace.ok_or(StageError::OutOfReach)?;
        directories.push(writable(workspace.to_path_buf(), WORK));
        Ok(Self {
            directories,
            _private: private,
        })
    }
}

fn writable(host: PathBuf, guest: &str) -> Directory {
    Directory {
        host,
        guest: guest.to_owned(),
        read_only: false,
    }
}

/// What is to be shown, by path.
fn items<'a>(
    mounts: &'a [BindMount],
    files: &'a BTreeMap<String, String>,
) -> Result<BTreeMap<String, Item<'a>>, StageError> {
    let mut items = BTreeMap::new();
    let mut add = |target: &str, item| {
        let target = normal(target)?;
        match items.insert(target.clone(), item) {
            None => Ok(()),
            Some(_) => Err(StageError::Twice(target)),
        }
    };
    for mount in mounts {
        // A component has no use for git's own files, and those of the source are best not shown at all.
        if below(&mount.target, GIT_OBJECTS).is_none() {
            add(&mount.target, mounted(mount)?)?;
        }
    }
    for (target, content) in files {
        add(target, Item::Text(content))?;
    }
    for (target, item) in &items {
        let outer = Path::new(target).ancestors().skip(1);
        let outer = outer.filter_map(|outer| items.get_key_value(outer.to_str()?));
        for (outer, around) in outer {
            if !matches!((around, item), (Item::Mount(_), Item::Mount(_))) {
                return Err(StageError::Inside {
                    inner: target.clone(),
                    outer: outer.clone(),
                });
            }
        }
        if !matches!(item, Item::Mount(_)) && target.matches('/').count() == 1 {
            return Err(StageError::Root(target.clone()));
        }
    }
    Ok(items)
}

fn mounted(mount: &BindMount) -> Result<Item<'_>, StageError> {
    let metadata = fs_err::metadata(&mount.source)?;
    if metadata.is_dir() {
        Ok(Item::Mount(mount))
    } else if !metadata.is_file() {
        Err(StageError::Special(mount.source.display().to_string()))
    } else if !mount.read_only {
        Err(StageError::Writable(mount.target.clone()))
    } else {
        Ok(Item::Copy(mount))
    }
}

/// A target without what means nothing in it.
fn normal(target: &str) -> Result<String, StageError> {
    let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    if !target.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
        return Err(StageError::Path(target.to_owned()));
    }
    if parts[0] == WORK.trim_start_matches('/') {
        return Err(StageError::Workspace(target.to_owned()));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The rest of a path that is at or below a directory.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory)?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest),
        None => rest.is_empty().then_some(rest),
    }
}

/// Without those that lie in another of them.
fn outermost(directories: &BTreeSet<String>) -> Vec<String> {
    let inside = |directory: &&String| {
        let mut outer = Path::new(directory).ancestors().skip(1);
        !outer.any(|outer| {
            outer
                .to_str()
                .is_some_and(|outer| directories.contains(outer))
        })
    };
    directories.iter().filter(inside).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Files;
    use crate::sandbox::Image;

    struct Bench {
        directory: TempDir,
        preparation: Preparation,
        files: BTreeMap<String, String>,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            for name in ["scratch", "work/sub", "host/dir"] {
                fs_err::create_dir_all(root.join(name)).unwrap();
            }
            fs_err::write(root.join("host/file"), "from the host").unwrap();
            Self {
                preparation: Preparation::bare(
                    "test step 1".to_owned(),
                    Image {
                        name: "wasm://./fix.wasm".to_owned(),
                        id: "sha256:1".to_owned(),
                        user: String::new(),
                    },
                    Files::Directory(root.join("work")),
                ),
                directory,
                files: BTreeMap::new(),
            }
        }

        fn mount(mut self, source: &str, target: &str, read_only: bool) -> Self {
            let source = self.directory.path().join(source);
            let target = target.to_owned();
            self.preparation.mounts.push(BindMount {
                source,
                target,
                read_only,
            });
            self
        }

        fn file(mut self, target: &str) -> Self {
            self.files.insert(target.to_owned(), format!("of {target}"));
            self
        }

        fn stage(&self) -> Result<Stage, StageError> {
            let scratch = self.directory.path().join("scratch");
            Stage::make(&scratch, &self.preparation, &self.files)
        }

        /// What a component sees, with the files of directories that are not the host's own.
        fn shown(&self) -> String {
            let stage = match self.stage() {
                Ok(stage) => stage,
                Err(error) => return error.to_string(),
            };
            let mut text = String::new();
            for Directory {
                host,
                guest,
                read_only,
            } in &stage.directories
            {
                let kind = if *read_only { "reads" } else { "writes" };
                let host = fs_err::canonicalize(host).unwrap();
                let mut names = Vec::new();
                let mut pending = vec![host.clone()];
                while let Some(next) = pending.pop() {
                    for entry in fs_err::read_dir(next).unwrap() {
                        let path = entry.unwrap().path();
                        match path.is_dir() {
                            true => pending.push(path),
                            false => {
                                let content = fs_err::read_to_string(&path).unwrap();
                                let name = path.strip_prefix(&host).unwrap();
                                names.push(format!("{}={content:?}", name.display()));
                            }
                        }
                    }
                }
                names.sort();
                text.push_str(&format!("{kind} {guest}: {}\n", names.join(" ")));
            }
            text
        }
    }

    #[test]
    fn a_step_sees_its_workspace_and_a_private_directory() {
        let bench = Bench::new();
        insta::assert_snapshot!(bench.shown(), @r"
        writes /tmp: 
        writes /work:
        ");
        let stage = bench.stage().unwrap();
        let scratch = bench.directory.path().join("scratch");
        assert_eq!(fs_err::read_dir(&scratch).unwrap().count(), 1);
        drop(stage);
        assert_eq!(fs_err::read_dir(&scratch).unwrap().count(), 0);
    }

    #[test]
    fn files_get_directories_of_their_own() {
        let bench = Bench::new()
            .file("/tmp/a/b")
            .file("/etc/tool/x")
            .file("/etc//tool/./sub/y")
            .mount("host/file", "/opt/config", true)
            .mount("host/dir", "/etc/tool/dir", true)
            .mount("host", "/data/", false)
            .mount("host/dir", "/.capstan-objects/0", true);
        insta::assert_snapshot!(bench.shown(), @r#"
        reads /etc/tool: sub/y="of /etc//tool/./sub/y" x="of /etc/tool/x"
        reads /opt: config="from the host"
        writes /data: file="from the host"
        reads /etc/tool/dir: 
        writes /tmp: a/b="of /tmp/a/b"
        writes /work:
        "#);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let text = [
            Bench::new().file("/work/x"),
            Bench::new().file("//work"),
            Bench::new().mount("host", "/work/tools", true),
            Bench::new().file("/x"),
            Bench::new().file("/a/../x"),
            Bench::new().mount("host", "/", true),
            Bench::new().file("/a/b").file("/a/b/c"),
            Bench::new().file("/a/b/c").mount("host", "/a", true),
            Bench::new().file("/tmp/x").mount("host", "/tmp", true),
            Bench::new().file("/a/b").mount("host/file", "/a/b", true),
            Bench::new().mount("host/file", "/a/b", false),
            Bench::new()
                .mount("host", "/a", false)
                .mount("host", "/a", true),
        ]
        .map(|bench| bench.shown());
        insta::assert_snapshot!(text.join("\n"), @r"
        /work/x is in /work, which a WebAssembly step sees as the workspace is; put it elsewhere, for example below /tmp
        //work is in /work, which a WebAssembly step sees as the workspace is; put it elsewhere, for example below /tmp
        /work/tools is in /work, which a WebAssembly step sees as the workspace is; put it elsewhere, for example below /tmp
        /x is not in a directory; a WebAssembly step can be shown files below one, for example below /tmp
        /a/../x is no absolute path without `..`
        / is no absolute path without `..`
        /a/b/c cannot be shown inside of /a/b, which is another file or mount
        /a/b/c cannot be shown inside of /a, which is another file or mount
        /tmp/x cannot be shown inside of /tmp, which is another file or mount
        /a/b is used for two things
        /a/b is a file, which a WebAssembly step can only read: mount it read-only, or mount its directory
        /a is used for two things
        ");
    }
}
