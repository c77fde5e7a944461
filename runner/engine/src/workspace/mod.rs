//! The directory a job works in: laid out from a commit, changed by containers, compared with the commit.
//!
//! ```text
//! <home>/          mode 0700
//!   work/          what containers see as /work; everything in it may be hostile after the first step
//!     .git/        for the steps' own use; the runner never reads it
//!   git/           the runner's git directory and index, borrowing the source's objects
//!   exec/git       what a git that wants to start another git finds: nothing
//!   overlay/       where `work` is an overlay: what was written to it
//! ```

mod checkout;
mod checkouts;
mod layer;
mod layers;
mod objects;
pub(crate) mod overlay;
mod reflink;
mod shared;
pub(crate) mod tree;
mod unchanged;
mod view;
mod visible;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, Permissions, PermissionsExt as _};
use capstan_core::git_index::Index;

pub use checkouts::{Checkouts, Chosen, Method, Place, Sight, choose};
pub use tree::{Tidied, Whom};
pub use visible::{GIT_OBJECTS, VisibleGit, visible_git_environment};

use crate::fault::Fault;
use crate::git::{Git, Invocation};
use crate::repository::Origin;
use crate::sandbox::{BindMount, Files};
use layers::Layers;

/// Limit of a diff in bytes unless the caller says another.
pub const DIFF_LIMIT: usize = 512 * 1024 * 1024;

/// A diff that is larger than this is not remembered.
const REMEMBERED: usize = 256 * 1024;

/// What is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// Only this directory, and the `.gitignore` and `.gitattributes` of those above; empty for everything.
    pub only: &'a str,
    /// Only what these patterns name, as `git sparse-checkout` without cones takes them; none for everything. Of such a workspace there is no
    /// diff.
    pub patterns: &'a [String],
    /// What steps find in `/work/.git`.
    pub visible_git: VisibleGit,
    /// Whether this process has to see the files itself, and not only containers.
    pub by_runner: bool,
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
    is_laid_out: bool,
    /// Where the files are from if they are not its own.
    layers: Option<Layers>,
}

/// What became of the runner's index.
enum Staged {
    /// No file of the workspace was ever touched.
    Untouched,
    /// It is as it was.
    Same,
    /// It is another than before.
    Changed,
}

impl Staged {
    fn after(is_changed: bool) -> Self {
        match is_changed {
            true => Self::Changed,
            false => Self::Same,
        }
    }
}

impl Workspace {
    /// Makes a workspace in the new directory `home`, whose parent exists and is private. Containers may be made from
    /// [`Workspace::root`] and [`Workspace::mounts`] from then on. Where it shows a shared tree, the files are there at once; elsewhere
    /// they come with [`Workspace::check_out`].
    ///
    /// # Errors
    /// A fault of the workspace when the commit cannot be laid out, of the environment when the file system fails.
    pub async fn make(
        git: &Git,
        home: PathBuf,
        origin: &Origin,
        layout: Layout<'_>,
        checkouts: &Checkouts,
    ) -> Result<Self, Fault> {
        let root = home.join("work");
        Self::make_in(git, home, root, origin, layout, checkouts).await
    }

    /// Like [`Workspace::make`], but what containers see is the directory `root`, which is new or empty, and whose parent exists. It is not removed
    /// with the workspace.
    ///
    /// # Errors
    /// As there.
    pub async fn make_in(
        git: &Git,
        home: PathBuf,
        root: PathBuf,
        origin: &Origin,
        layout: Layout<'_>,
        checkouts: &Checkouts,
    ) -> Result<Self, Fault> {
        let method = checkouts.method(layout);
        let tree = checkouts.tree(git, origin, layout).await?;
        let mut workspace = Self::make_at(git, home, root, origin, layout)?;
        let Some(tree) = tree else {
            return Ok(workspace);
        };
        let failed = |error: io::Error| Fault::disk("creating workspace", &error);
        match method {
            Method::Reflink => workspace.copy(tree, origin, layout).await,
            _ => workspace
                .show(tree, origin, layout, method == Method::Volume)
                .map_err(failed),
        }?;
        Ok(workspace)
    }

    /// Copies a shared tree.
    async fn copy(
        &mut self,
        tree: shared::Tree,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<(), Fault> {
        tree.base().clone_into(&mut self.base);
        let (root, git_dir) = (self.root.clone(), self.git_dir());
        let copied = blocking(move || {
            reflink::copy(&tree.files(), &root)?;
            let copies = reflink::index_of_copy(tree.index()?, &root, tree.id_length())?;
            fs_err::write(git_dir.join("index"), copies)?;
            if !tree.is_commit() {
                let (objects, entries) = (git_dir.join("objects"), tree.index()?.iter());
                objects::write_trees(&objects, entries, tree.id_length())?;
            }
            // That of the steps may have entries of its own.
            let seen = root.join(".git/index");
            if seen.exists() {
                let index = Index::parse(fs_err::read(&seen)?, tree.id_length());
                let index = index.map_err(io::Error::other)?;
                let copies = reflink::index_of_copy(&index, &root, tree.id_length())?;
                fs_err::write(seen, copies)?;
            }
            Ok(())
        });
        let written = copied
            .await
            .and_then(|()| visible::write(&self.root, origin, layout));
        written.map_err(|error| Fault::disk("creating workspace", &error))?;
        self.staged = Some(Vec::new());
        self.is_laid_out = true;
        Ok(())
    }

    /// Makes a workspace whose files are its own. They come with [`Workspace::check_out`].
    fn make_at(
        git: &Git,
        home: PathBuf,
        root: PathBuf,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<Self, Fault> {
        let failed = |error: io::Error| Fault::disk("creating workspace", &error);
        make_home(&home, origin)
            .and_then(|()| {
                make_empty(&root)?;
                let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
                fs_err::set_permissions(&root, open_to_all)
            })
            .map_err(failed)?;
        let mut workspace = Self::over(git, home, root, origin)?;
        if layout.visible_git == VisibleGit::Borrowing {
            workspace.mounts = visible::mounts(&workspace.home, origin).map_err(failed)?;
        }
        Ok(workspace)
    }

    /// Shows a shared tree. What is written goes elsewhere.
    fn show(
        &mut self,
        tree: shared::Tree,
        origin: &Origin,
        layout: Layout<'_>,
        by_engine: bool,
    ) -> io::Result<()> {
        tree.base().clone_into(&mut self.base);
        let mut layers = Layers::make(tree, &self.home, by_engine)?;
        visible::write(&layers.upper_path(), origin, layout)?;
        if !by_engine {
            layers.mount(&self.root)?;
            // What was open is the directory under the mount.
            self.work = tree::open(&self.root)?;
        }
        self.layers = Some(layers);
        self.staged = Some(Vec::new());
        self.is_laid_out = true;
        Ok(())
    }

    /// Lays out the commit, with the `origin` and the `layout` that the workspace was made for, unless the files are there.
    ///
    /// # Errors
    /// A fault of the workspace when the commit cannot be laid out, of the environment when the disk is full.
    pub async fn check_out(&mut self, origin: &Origin, layout: Layout<'_>) -> Result<(), Fault> {
        if self.is_laid_out {
            return Ok(());
        }
        self.lay_out_files(layout).await?;
        self.staged = Some(Vec::new());
        self.is_laid_out = true;
        if layout.visible_git != VisibleGit::None {
            self.make_index_visible().await?;
            visible::write(&self.root, origin, layout)
                .map_err(|error| Fault::disk("creating workspace", &error))?;
        }
        Ok(())
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
            is_laid_out: false,
            layers: None,
        })
    }

    /// The directory of the files; where only containers see them, of those that git looks at.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What becomes `/work`.
    pub fn files(&self) -> Files {
        match self.engines_layers().and_then(Layers::overlay) {
            Some(overlay) => Files::Overlay(Arc::clone(overlay)),
            None => Files::Directory(self.root.clone()),
        }
    }

    /// The directory of all that containers write.
    pub fn written(&self) -> PathBuf {
        let directory = self.engines_layers().map(Layers::directory);
        directory.unwrap_or(&self.root).to_path_buf()
    }

    /// The layers that the container engine mounts, if it does.
    fn engines_layers(&self) -> Option<&Layers> {
        self.layers
            .as_ref()
            .filter(|layers| layers.overlay().is_some())
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
        let staged = self.staged.take();
        let known = match self.stage(CONTEXT).await? {
            Staged::Untouched => Some(Vec::new()),
            Staged::Same => staged,
            Staged::Changed => None,
        };
        if let Some(known) = known {
            self.staged = Some(known.clone());
            return Ok(known);
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

    /// Brings the index up to the files, as `git add --all` does.
    async fn stage(&mut self, context: &str) -> Result<Staged, Fault> {
        self.unlock_index();
        let mut look = None;
        if let Some(layers) = &self.layers {
            let looked = blocking(layers.look(self.git_dir(), &self.work)).await;
            look = looked.map_err(|error| Fault::disk(context, &error))?;
            let Some(look) = &look else {
                return Ok(Staged::Untouched);
            };
            self.base.clone_from(&look.base);
            if look.paths.is_empty() {
                return Ok(Staged::after(look.has_dropped));
            }
        }
        // Told to, git says what it stages: nothing, if no file is another than it was.
        let mut is_changed = look.as_ref().is_some_and(|look| look.has_dropped);
        let add = self.run("add").args(["--all", "--verbose"]);
        let added = match look {
            None => add.stream(|_| is_changed = true).await,
            Some(look) => {
                let limited = add
                    .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
                    .env("GIT_LITERAL_PATHSPECS", "1")
                    .input(look.paths);
                // Told to look at a file that is ignored, it stages the others and then complains.
                limited.stream_despite(1, |_| is_changed = true).await
            }
        };
        added.map_err(|error| match &error {
            crate::git::GitError::Failed { stderr, .. }
                if stderr.contains("does not have a commit checked out") =>
            {
                error.into_fault(context).hint(
                    "a step made a git repository without a commit: remove its .git at the end of the step",
                )
            }
            _ => error.into_fault(context),
        })?;
        Ok(Staged::after(is_changed))
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
        let apply = self.git.isolated_world_writable("apply");
        self.environment(apply)
            .args(["-p0", "--whitespace=nowarn", "-"])
            .input(diff)
            .run()
            .await
            .map_err(|error| error.into_fault(CONTEXT))?;
        self.stage(CONTEXT).await.map(drop)
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

    /// Empties a workspace that was laid out and in which no step has run, so that it can be laid out again. No container may have been made from
    /// it.
    ///
    /// # Errors
    /// A fault of the environment when the file system fails.
    pub async fn clear(&mut self, origin: &Origin, layout: Layout<'_>) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::disk("emptying the workspace", &error);
        self.staged = None;
        let index = self.git_dir().join("index");
        if let Some(layers) = self.layers.take() {
            let tree = layers.tree().clone();
            drop(layers);
            let overlay = self.home.join("overlay");
            blocking(move || {
                let _ours = remove_at(&overlay)?;
                match fs_err::remove_file(index) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            })
            .await
            .map_err(failed)?;
            return self.show(tree, origin, layout, false).map_err(failed);
        }
        self.is_laid_out = false;
        let work = self.work.try_clone().map_err(failed)?;
        blocking(move || {
            // No step has run, so all of it is our own.
            let _ours = tree::clear(&work)?;
            fs_err::remove_file(index)
        })
        .await
        .map_err(failed)?;
        self.base.clone_from(&self.base_rev);
        Ok(())
    }

    /// Makes all that a step wrote usable for `whom`. Where only the container engine sees the workspace it has to do that, with [`Tidied::NeedsReclaim`] for
    /// the answer; elsewhere everybody may write to all of it then.
    ///
    /// # Errors
    /// A fault of the environment when the file system fails.
    pub async fn settle(&mut self, whom: Whom) -> Result<Tidied, Fault> {
        let failed =
            |error: io::Error| Fault::disk("opening up the files written by a step", &error);
        // What this process changes in the layers itself is not heard of by the overlay that containers have.
        if let Some(layers) = self.engines_layers() {
            let upper = layers.upper().try_clone().map_err(failed)?;
            let looked = blocking(move || tree::is_open_to(&upper, whom)).await;
            return looked.map_err(failed);
        }
        let work = self.work.try_clone().map_err(failed)?;
        // Files that were not touched are open to all.
        let written = self.layers.as_ref().map_or(&self.work, Layers::upper);
        let written = written.try_clone().map_err(failed)?;
        let opened = blocking(move || tree::open_up(&written, &work)).await;
        opened.map_err(failed)
    }

    /// Makes the directory `path` in case an earlier step removed it. What stands in its way is left alone. Where only containers see the
    /// workspace nothing is made.
    ///
    /// # Errors
    /// A fault of the workspace when a file is where a directory should be.
    pub async fn ensure_directory(&mut self, path: &str) -> Result<(), Fault> {
        if self.engines_layers().is_some() {
            return Ok(());
        }
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
        // What is mounted cannot be removed.
        let unmounted = self.layers.as_mut().map_or(Ok(()), Layers::unmount);
        let removed = match unmounted {
            Ok(()) => blocking(move || remove_at(&home)).await,
            Err(error) => Err(error),
        };
        removed.map_err(|error| {
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

/// Removes a directory with all that is in it, whatever containers wrote there, and without what is mounted in it. After [`Tidied::NeedsReclaim`] it may be called again.
///
/// # Errors
/// A fault of the environment when the file system fails.
pub fn remove_directory(directory: &Path) -> Result<Tidied, Fault> {
    overlay::unmount_below(directory)
        .and_then(|()| remove_at(directory))
        .map_err(|error| Fault::environment(format!("removing {}: {error}", directory.display())))
}

fn remove_at(directory: &Path) -> io::Result<Tidied> {
    match (directory.parent(), directory.file_name()) {
        (Some(parent), Some(name)) => tree::remove(&tree::open(parent)?, name),
        _ => Err(io::Error::other("it has no parent")),
    }
}

/// Makes a directory, unless there is one with nothing in it.
fn make_empty(directory: &Path) -> io::Result<()> {
    match fs_err::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match fs_err::read_dir(directory)?.next() {
                Some(_) => Err(error),
                None => Ok(()),
            }
        }
        made => made,
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
        origin.object_format(),
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
pub(crate) mod tests;
