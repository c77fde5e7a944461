//! The repository that steps see in `/work/.git`: theirs to use and to break.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Layout, Workspace, tree};
use crate::fault::Fault;
use crate::repository::Origin;
use crate::sandbox::BindMount;

/// Where the source's object directories are mounted in containers.
pub const GIT_OBJECTS: &str = "/.capstan-objects";

/// The repository that steps find in `/work/.git`. They can read all objects of the source, not just those of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisibleGit {
    /// There is none.
    None,
    /// It borrows the source's objects, which [`Workspace::mounts`] show.
    Borrowing,
    /// The source's objects are its own: the very files, where they are on one file system. For a source that no other job uses, and containers that
    /// get no more mounts.
    Sharing,
}

/// Variables with which a git in a container accepts the repository at `place`, whoever owns it (from git 2.38 on). They are for
/// steps that do not set `GIT_CONFIG_COUNT` themselves.
pub fn visible_git_environment(place: &str) -> [(&'static str, &str); 3] {
    [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", place),
    ]
}

impl Workspace {
    /// Makes the index that steps see: of the files that were laid out, and of the others as ones that are absent on purpose.
    pub(super) async fn make_index_visible(&mut self) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::disk("creating workspace", &error);
        let directory = self.root.join(".git");
        // No process of a step has run yet, so plain paths are safe here.
        fs_err::create_dir_all(&directory)
            .and_then(|()| fs_err::copy(self.git_dir().join("index"), directory.join("index")))
            .map_err(failed)?;
        if self.base != self.base_rev {
            self.hide_missing(&directory).await?;
        }
        open_up(&directory).map_err(failed)
    }

    /// Adds what was not laid out to the index of the steps, marked as absent on purpose.
    async fn hide_missing(&mut self, directory: &Path) -> Result<(), Fault> {
        let index = directory.join("index");
        let there = self
            .run("ls-files")
            .arg("-z")
            .output(super::DIFF_LIMIT)
            .await?;
        let there: std::collections::HashSet<&[u8]> = there.split(|&byte| byte == 0).collect();
        let all = self
            .run("ls-tree")
            .args(["-r", "-z", "--full-tree", &self.base_rev])
            .output(super::DIFF_LIMIT)
            .await?;
        let (mut entries, mut names) = (Vec::new(), Vec::new());
        for line in all.split(|&byte| byte == 0) {
            let Some(tab) = line.iter().position(|&byte| byte == b'\t') else {
                continue;
            };
            let name = &line[tab + 1..];
            if !there.contains(name) {
                entries.extend_from_slice(line);
                entries.push(0);
                names.extend_from_slice(name);
                names.push(0);
            }
        }
        self.run("update-index")
            .env("GIT_INDEX_FILE", &index)
            .args(["-z", "--index-info"])
            .input(entries)
            .run()
            .await?;
        self.run("update-index")
            .env("GIT_INDEX_FILE", &index)
            .args(["-z", "--skip-worktree", "--stdin"])
            .input(names)
            .run()
            .await?;
        Ok(())
    }
}

/// Makes the rest of the repository that steps see, in the directory of a work tree.
pub(super) fn write(root: &Path, origin: &Origin, layout: Layout<'_>) -> io::Result<()> {
    let borrowed: Vec<PathBuf> = match layout.visible_git {
        VisibleGit::None => return Ok(()),
        VisibleGit::Borrowing => targets(origin).map(PathBuf::from).collect(),
        VisibleGit::Sharing => Vec::new(),
    };
    let directory = root.join(".git");
    fs_err::create_dir_all(&directory)?;
    write_files(&directory, origin, &borrowed)?;
    if !layout.patterns.is_empty() {
        super::make_sparse(&directory, layout.patterns)?;
    }
    open_up(&directory)?;
    // They stay as they are: git writes none of them twice.
    if layout.visible_git == VisibleGit::Sharing {
        for objects in &origin.objects {
            share_objects(objects, &directory.join("objects"))?;
        }
    }
    Ok(())
}

/// Puts the objects of one directory of objects into another.
fn share_objects(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(from)? {
        let (source, name) = {
            let entry = entry?;
            (entry.path(), entry.file_name())
        };
        // What it borrows itself is among the origin's directories, too.
        if name == "info" || !source.is_dir() {
            continue;
        }
        let directory = to.join(&name);
        fs_err::create_dir_all(&directory)?;
        fs_err::set_permissions(&directory, std::fs::Permissions::from_mode(0o777))?;
        for file in fs_err::read_dir(&source)? {
            let file = file?;
            let target = directory.join(file.file_name());
            match fs_err::hard_link(file.path(), &target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    fs_err::copy(file.path(), target)?;
                }
                linked => linked?,
            }
        }
    }
    Ok(())
}

/// Lets all users of containers write to a directory of our own.
fn open_up(directory: &Path) -> io::Result<()> {
    let handle = tree::open(directory)?;
    let _ours = tree::open_up(&handle, &handle)?;
    fs_err::set_permissions(directory, std::fs::Permissions::from_mode(0o777))
}

/// What containers need besides the workspace's directory, for the repository in it to be whole.
pub(super) fn mounts(home: &Path, origin: &Origin) -> io::Result<Vec<BindMount>> {
    let mut mounts = Vec::new();
    for (source, target) in origin.objects.iter().zip(targets(origin)) {
        mounts.push(BindMount {
            source: source.clone(),
            target: target.clone(),
            read_only: true,
        });
        if source.join("info/alternates").exists() {
            // It names paths of the host; all of them are mounted and listed anyway.
            let nothing = home.join("no-alternates");
            fs_err::write(&nothing, "")?;
            fs_err::set_permissions(&nothing, std::fs::Permissions::from_mode(0o644))?;
            mounts.push(BindMount {
                source: nothing,
                target: format!("{target}/info/alternates"),
                read_only: true,
            });
        }
    }
    Ok(mounts)
}

/// Where the object directories of `origin` are in containers.
fn targets(origin: &Origin) -> impl Iterator<Item = String> {
    (0..origin.objects.len()).map(|n| format!("{GIT_OBJECTS}/{n}"))
}

fn write_files(directory: &Path, origin: &Origin, objects: &[PathBuf]) -> io::Result<()> {
    let mut settings = vec![
        ("user.name", "Sourcegraph".to_owned()),
        ("user.email", "batch-changes@sourcegraph.com".to_owned()),
    ];
    if let Some(url) = &origin.url {
        settings.push(("remote \"origin\".url", url.clone()));
    }
    crate::git::layout(directory, objects, origin.object_format(), &settings)?;
    // A packed ref is a line, not a path that a name could lead astray.
    let mut refs = String::new();
    let head = if origin.branch.is_empty() {
        format!("{}\n", origin.rev)
    } else {
        refs.push_str(&format!("{} refs/heads/{}\n", origin.rev, origin.branch));
        format!("ref: refs/heads/{}\n", origin.branch)
    };
    for (object, name) in &origin.tags {
        refs.push_str(&format!("{object} refs/tags/{name}\n"));
    }
    if !refs.is_empty() {
        fs_err::write(directory.join("packed-refs"), refs)?;
    }
    fs_err::write(directory.join("HEAD"), head)?;
    if let Some(shallow) = &origin.shallow {
        fs_err::write(directory.join("shallow"), shallow)?;
    }
    Ok(())
}
