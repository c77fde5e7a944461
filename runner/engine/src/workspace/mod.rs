//! The directory a job works in: laid out from a commit, changed by containers, compared with the commit.
//!
//! ```text
//! <home>/          mode 0700
//!   work/          what containers see as /work; everything in it may be hostile after the first step
//!     .git/        for the steps' own use; the runner never reads it
//!   git/           the runner's git directory and index, borrowing the source's objects
//!   exec/git       what a git that wants to start another git finds: nothing
//! ```

mod checkout;
pub(crate) mod tree;
mod unchanged;
mod visible;

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, Permissions, PermissionsExt as _};

pub use tree::Tidied;
pub use visible::{GIT_OBJECTS, visible_git_environment};

use crate::fault::Fault;
use crate::git::{Git, Invocation};
use crate::repository::Origin;
use crate::sandbox::BindMount;

/// Limit of a diff in bytes unless the caller says another.
pub const DIFF_LIMIT: usize = 512 * 1024 * 1024;

/// A diff that is larger than this is not remembered.
const REMEMBERED: usize = 256 * 1024;

/// What is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// Only this directory, and the `.gitignore` and `.gitattributes` of those above; empty for everything.
    pub only: &'a str,
    /// Whether steps find a repository in `/work/.git`. They can then read all objects of the source through
    /// [`Workspace::mounts`], not just those of the commit.
    pub visible_git: bool,
}

/// A workspace. Each method that works in it needs all processes of earlier steps to be gone.
#[derive(Debug)]
pub struct Workspace {
    git: Git,
    home: PathBuf,
    root: PathBuf,
    work: Dir,
    base_rev: String,
    /// What the diff is against: the commit, or a tree when only a part was laid out.
    base: String,
    mounts: Vec<BindMount>,
    /// The diff of the index, where it is known, not large, and that of the files as well.
    staged: Option<Vec<u8>>,
}

impl Workspace {
    /// Makes the directories of a workspace: the new directory `home`, whose parent exists and is private, and what is in
    /// it. Containers may be made from [`Workspace::root`] and [`Workspace::mounts`] from then on; the files
    /// come with [`Workspace::check_out`].
    ///
    /// # Errors
    /// A fault of the environment when the file system fails.
    pub fn make(
        git: &Git,
        home: PathBuf,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<Self, Fault> {
        let root = home.join("work");
        Self::make_at(git, home, root, origin, layout)
    }

    /// Like [`Workspace::make`], but what containers see is the new directory `root`, whose parent exists. It is not removed with the workspace.
    ///
    /// # Errors
    /// As there.
    pub fn make_at(
        git: &Git,
        home: PathBuf,
        root: PathBuf,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<Self, Fault> {
        let failed = |error: io::Error| Fault::disk("creating workspace", &error);
        make_home(&home, origin)
            .and_then(|()| {
                fs_err::create_dir(&root)?;
                let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
                fs_err::set_permissions(&root, open_to_all)
            })
            .map_err(failed)?;
        let mut workspace = Self::over(git, home, root, origin)?;
        if layout.visible_git {
            workspace.mounts = visible::mounts(&workspace.home, origin).map_err(failed)?;
        }
        Ok(workspace)
    }

    /// Lays out the commit, with the `origin` and the `layout` that the workspace was made for.
    ///
    /// # Errors
    /// A fault of the workspace when the commit cannot be laid out, of the environment when the disk is full.
    pub async fn check_out(&mut self, origin: &Origin, layout: Layout<'_>) -> Result<(), Fault> {
        if layout.only.is_empty() {
            self.check_out_all().await?;
        } else {
            self.check_out_part(layout.only).await?;
        }
        self.staged = Some(Vec::new());
        if layout.visible_git {
            self.make_git_visible(origin).await?;
        }
        Ok(())
    }

    /// Lays out those files of the commit that the patterns of `git sparse-checkout` name, without cones, and a repository that knows
    /// of the others.
    ///
    /// # Errors
    /// As [`Workspace::check_out`].
    pub async fn check_out_sparse(
        &mut self,
        origin: &Origin,
        patterns: &[String],
    ) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::disk("creating workspace", &error);
        make_sparse(&self.git_dir(), patterns).map_err(failed)?;
        self.check_out_all().await?;
        self.staged = Some(Vec::new());
        self.make_git_visible(origin).await?;
        make_sparse(&self.root.join(".git"), patterns).map_err(failed)
    }

    /// Takes the working tree of `origin`, as it is, for the workspace (`facts/batch-spec.md` 4.4). Only the runner's
    /// git directory is made, in the new directory `home`, and only that is removed again.
    ///
    /// # Errors
    /// A fault of the workspace when there is no working tree, of the environment when the disk is full.
    pub async fn in_place(git: &Git, home: PathBuf, origin: &Origin) -> Result<Self, Fault> {
        let tree = origin.local.as_ref().filter(|local| !local.bare);
        let root = tree.map(|local| local.top.clone()).ok_or_else(|| {
            Fault::workspace(format!(
                "{} has no working tree to run steps in",
                origin.name
            ))
        })?;
        make_home(&home, origin).map_err(|error| Fault::disk("creating workspace", &error))?;
        let workspace = Self::over(git, home, root, origin)?;
        workspace
            .run("read-tree")
            .arg(&workspace.base)
            .run()
            .await
            .map_err(|error| error.into_fault("creating workspace: reading the commit"))?;
        Ok(workspace)
    }

    fn over(git: &Git, home: PathBuf, root: PathBuf, origin: &Origin) -> Result<Self, Fault> {
        let work = tree::open(&root).map_err(|error| Fault::disk("creating workspace", &error))?;
        Ok(Self {
            git: git.clone(),
            home,
            root,
            work,
            base_rev: origin.rev.clone(),
            base: origin.rev.clone(),
            mounts: Vec::new(),
            staged: None,
        })
    }

    /// The directory that becomes `/work`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit it was made from.
    pub fn base_rev(&self) -> &str {
        &self.base_rev
    }

    /// What containers need besides the directory itself, for the repository in `/work/.git` to be whole.
    pub fn mounts(&self) -> &[BindMount] {
        &self.mounts
    }

    /// The cumulative diff against the base: what `git add --all` and
    /// `git diff --cached --no-prefix --binary` print, byte for byte (`facts/batch-spec.md` 3.6).
    ///
    /// One thing is decided where git's answer depends on the clock: a file with the very bytes it has in the base is
    /// unchanged, even if `.gitattributes` would store it otherwise today.
    ///
    /// A step can leave things that git waits for, such as a named pipe called `.gitignore`: give it a deadline. Where
    /// the runner is not root, a step can also leave files that it may not read: call [`Workspace::settle`] first.
    ///
    /// # Errors
    /// A fault of the workspace when git fails or the diff is larger than `limit` bytes, of the environment
    /// when the disk is full.
    pub async fn diff(&mut self, limit: usize) -> Result<Vec<u8>, Fault> {
        const CONTEXT: &str = "getting diff produced by step";
        self.unlock_index();
        let staged = self.staged.take();
        // Told to, git says what it stages: nothing, if no file is another than it was.
        let mut is_changed = false;
        self.run("add")
            .args(["--all", "--verbose"])
            .stream(|_| is_changed = true)
            .await
            .map_err(|error| match &error {
                crate::git::GitError::Failed { stderr, .. }
                    if stderr.contains("does not have a commit checked out") =>
                {
                    error.into_fault(CONTEXT).hint(
                        "a step made a git repository without a commit: remove its .git at the end of the step",
                    )
                }
                _ => error.into_fault(CONTEXT),
            })?;
        if let (false, Some(staged)) = (is_changed, staged) {
            self.staged = Some(staged.clone());
            return Ok(staged);
        }
        self.forget_conversions()
            .await
            .map_err(|error| error.into_fault(CONTEXT))?;
        let diff = self
            .run("diff")
            .args(["--cached", "--no-prefix", "--binary"])
            .args([
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
                "--submodule=short",
            ])
            .args([&self.base, "--"])
            .output(limit)
            .await
            .map_err(|error| error.into_fault(CONTEXT))?;
        self.staged = (diff.len() <= REMEMBERED).then(|| diff.clone());
        Ok(diff)
    }

    /// The diff, if it is known without looking: nothing has been written since the last one, or since the commit was laid out, as far as the
    /// workspace was told.
    pub fn known_diff(&self) -> Option<&[u8]> {
        self.staged.as_deref()
    }

    /// Tells that something that is no step has written to it.
    pub fn forget_diff(&mut self) {
        self.staged = None;
    }

    /// Brings a fresh workspace to the state that a cached diff describes.
    ///
    /// # Errors
    /// A fault of the workspace when the diff does not apply.
    pub async fn apply(&mut self, diff: &[u8]) -> Result<(), Fault> {
        const CONTEXT: &str = "applying diff of cache result: applying cached diff";
        if diff.is_empty() {
            return Ok(());
        }
        self.staged = None;
        self.unlock_index();
        let apply = self.git.isolated_world_writable("apply");
        self.environment(apply)
            .args(["-p0", "--whitespace=nowarn", "-"])
            .input(diff)
            .run()
            .await
            .map_err(|error| error.into_fault(CONTEXT))?;
        self.run("add")
            .arg("--all")
            .run()
            .await
            .map_err(|error| error.into_fault(CONTEXT))
    }

    /// Takes the changes of `diff`, which [`Workspace::diff`] has just told, back. What git ignores stays.
    ///
    /// # Errors
    /// A fault of the workspace when the diff does not apply.
    pub async fn take_back(&mut self, diff: &[u8]) -> Result<(), Fault> {
        const CONTEXT: &str = "taking changes back";
        if diff.is_empty() {
            return Ok(());
        }
        self.staged = None;
        let apply = self.git.isolated_world_writable("apply");
        self.environment(apply)
            .args(["--reverse", "-p0", "--whitespace=nowarn", "-"])
            .input(diff)
            .run()
            .await
            .map_err(|error| error.into_fault(CONTEXT))
    }

    /// Empties a workspace that was laid out and in which no step has run, so that it can be laid out again. The directory itself
    /// stays: containers may have been made from it.
    ///
    /// # Errors
    /// A fault of the environment when the file system fails.
    pub async fn clear(&mut self) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::disk("emptying the workspace", &error);
        let work = self.work.try_clone().map_err(failed)?;
        let index = self.git_dir().join("index");
        blocking(move || {
            // No step has run, so all of it is our own.
            let _ours = tree::clear(&work)?;
            fs_err::remove_file(index)
        })
        .await
        .map_err(failed)?;
        self.base.clone_from(&self.base_rev);
        self.staged = None;
        Ok(())
    }

    /// Makes all that a step wrote writable for the user of the next one, whoever that is.
    ///
    /// # Errors
    /// A fault of the environment when the file system fails.
    pub async fn settle(&mut self) -> Result<Tidied, Fault> {
        let work = self
            .work
            .try_clone()
            .map_err(|error| Fault::disk("opening the workspace", &error))?;
        blocking(move || tree::open_up(&work))
            .await
            .map_err(|error| Fault::disk("opening up the files written by a step", &error))
    }

    /// Makes the directory `path` in case an earlier step removed it. What stands in its way is left alone.
    ///
    /// # Errors
    /// A fault of the workspace when a file is where a directory should be.
    pub async fn ensure_directory(&mut self, path: &str) -> Result<(), Fault> {
        let work = self
            .work
            .try_clone()
            .map_err(|error| Fault::disk("opening the workspace", &error))?;
        let names = path.to_owned();
        blocking(move || ensure(work, &names))
            .await
            .map_err(|error| {
                Fault::workspace(format!(
                    "the directory {path:?} that the steps run in cannot be used: {error}"
                ))
                .hint("an earlier step removed or replaced it")
            })
    }

    /// Removes everything. After [`Tidied::NeedsReclaim`] it may be called again.
    ///
    /// # Errors
    /// A fault of the environment when the file system fails.
    pub async fn remove(&mut self) -> Result<Tidied, Fault> {
        let home = self.home.clone();
        blocking(move || remove_at(&home)).await.map_err(|error| {
            Fault::environment(format!(
                "removing workspace {}: {error}",
                self.home.display()
            ))
        })
    }

    fn git_dir(&self) -> PathBuf {
        self.home.join("git")
    }

    /// An isolated git over the work tree, which cannot start another git.
    fn run<'a>(&self, command: &'static str) -> Invocation<'a> {
        self.environment(self.git.isolated(command))
    }

    fn environment<'a>(&self, invocation: Invocation<'a>) -> Invocation<'a> {
        let git_dir = self.git_dir();
        invocation
            .git_dir(&git_dir)
            .env("GIT_INDEX_FILE", git_dir.join("index"))
            .env("GIT_WORK_TREE", &self.root)
            .env("GIT_EXEC_PATH", self.home.join("exec"))
            .directory(&self.root)
    }

    /// A git that was killed leaves its lock. Nobody else uses this index.
    fn unlock_index(&self) {
        let _ = fs_err::remove_file(self.git_dir().join("index.lock"));
    }
}

/// Removes a directory with all that is in it, whatever containers wrote there. After [`Tidied::NeedsReclaim`] it may be called again.
///
/// # Errors
/// A fault of the environment when the file system fails.
pub fn remove_directory(directory: &Path) -> Result<Tidied, Fault> {
    remove_at(directory)
        .map_err(|error| Fault::environment(format!("removing {}: {error}", directory.display())))
}

fn remove_at(directory: &Path) -> io::Result<Tidied> {
    match (directory.parent(), directory.file_name()) {
        (Some(parent), Some(name)) => tree::remove(&tree::open(parent)?, name),
        _ => Err(io::Error::other("it has no parent")),
    }
}

/// The private part of a workspace.
fn make_home(home: &Path, origin: &Origin) -> io::Result<()> {
    crate::state::create_private(home)?;
    for name in ["git", "exec"] {
        fs_err::create_dir(home.join(name))?;
    }
    crate::git::layout(
        &home.join("git"),
        &origin.objects,
        &origin.object_format,
        &settings(),
    )?;
    stand_in(&home.join("exec"))
}

/// Has a git directory lay out what the patterns name only.
fn make_sparse(directory: &Path, patterns: &[String]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = fs_err::OpenOptions::new();
    let mut config = options.append(true).open(directory.join("config"))?;
    config.write_all(b"[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = false\n")?;
    let lines: String = patterns.iter().map(|line| format!("{line}\n")).collect();
    fs_err::write(directory.join("info/sparse-checkout"), lines)
}

/// What the runner's own git directories of workspaces are set to.
fn settings() -> Vec<(&'static str, String)> {
    [
        ("core.symlinks", "true"),
        ("core.ignoreCase", "false"),
        ("core.autocrlf", "false"),
        ("core.safecrlf", "false"),
        // Later versions shorten the names in the index.
        ("index.version", "2"),
        // Else the length of ids in a diff would depend on how the source happens to be packed.
        ("core.abbrev", "7"),
        // Nothing of a workspace outlives a crash, so there is no need to wait for the disk.
        ("core.fsync", "none"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .into()
}

/// `git add` starts a `git status` in every nested repository it knows, which obeys the configuration there:
/// filters, file system monitors, whatever a step wrote into it. No setting of ours prevents that, so the
/// git it finds is this one, which reports a clean repository. `git add` itself uses it for nothing else.
fn stand_in(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let program = directory.join("git");
    fs_err::write(&program, "#!/bin/sh\nexit 0\n")?;
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
}

/// Walks down `path`, making what is missing. A symlink ends the walk: where it leads is the container's affair.
fn ensure(work: Dir, path: &str) -> io::Result<()> {
    let mut at = work;
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it leaves the workspace",
            ));
        }
        match at.symlink_metadata(name) {
            Ok(metadata) if metadata.is_symlink() => return Ok(()),
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    "it is a file now",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at.create_dir(name)?;
                at.set_permissions(name, Permissions::from_mode(0o777))?;
            }
            Err(error) => return Err(error),
        }
        at = tree::open_child(&at, name.as_ref())?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests;
