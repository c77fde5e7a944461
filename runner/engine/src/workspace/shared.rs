//! Commits that are laid out once and shared: workspaces show them and keep what is written elsewhere.
//!
//! ```text
//! <cache>/trees/<key>/   mode 0700: only the runner gets here
//!   tree/                the files, as a workspace has them; in `.git` there is only an index
//!   index                the runner's own index of them
//!   base                 what a diff of the whole is against
//!   made                 in which run of the machine it was made
//!   durable              there once all of it is on the disk
//! ```

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use capstan_core::git_index::Index;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::{Layout, VisibleGit, Workspace, blocking};
use crate::disk_cache::{DiskCache, Held, Shelf};
use crate::fault::Fault;
use crate::git::Git;
use crate::repository::Origin;

/// What the form of an entry is: another one has other keys.
const FORM: &str = "1";

type Cell = OnceCell<Arc<Opened>>;

/// Trees in the cache, shared by all processes of the user.
#[derive(Debug, Clone)]
pub(super) struct Trees {
    shelf: Shelf,
    /// Those that this process uses or makes.
    open: Arc<Mutex<HashMap<String, Weak<Cell>>>>,
}

/// A tree in use.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    opened: Arc<Opened>,
    /// For others of this process to find it.
    _cell: Arc<Cell>,
}

#[derive(Debug)]
struct Opened {
    directory: PathBuf,
    base: String,
    is_commit: bool,
    id_length: usize,
    index: OnceLock<Index>,
    _held: Held,
}

impl Trees {
    pub(super) fn new(cache: &DiskCache) -> Self {
        Self {
            shelf: cache.shelf("trees"),
            open: Arc::default(),
        }
    }

    /// The tree of a commit, laid out if it is not there.
    pub(super) async fn get(
        &self,
        git: &Git,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<Tree, Fault> {
        let key = key(origin, layout);
        let cell = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|_, cell| cell.strong_count() > 0);
            let found = open.get(&key).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                let cell = Arc::new(Cell::new());
                open.insert(key.clone(), Arc::downgrade(&cell));
                cell
            })
        };
        let opened = cell.get_or_try_init(async || {
            let opened = self.open(git, origin, layout, &key).await?;
            Ok::<_, Fault>(Arc::new(opened))
        });
        let opened = Arc::clone(opened.await?);
        Ok(Tree {
            opened,
            _cell: cell,
        })
    }

    async fn open(
        &self,
        git: &Git,
        origin: &Origin,
        layout: Layout<'_>,
        key: &str,
    ) -> Result<Opened, Fault> {
        let failed = |error: io::Error| Fault::disk("looking for a commit in the cache", &error);
        let held = self.shelf.hold(key).map_err(failed)?;
        let directory = self.shelf.path(key);
        let id_length = origin.object_format().id_length();
        let opened = |base: String| Opened {
            directory: directory.clone(),
            is_commit: base == origin.rev,
            base,
            id_length,
            index: OnceLock::new(),
            _held: held,
        };
        if let Some(base) = whole(&directory) {
            return Ok(opened(base));
        }
        let _lock = self.shelf.lock(key, || {}).await.map_err(failed)?;
        // Whoever had the lock may have made it.
        if let Some(base) = whole(&directory) {
            return Ok(opened(base));
        }
        let base = self.make(git, origin, layout, key).await?;
        Ok(opened(base))
    }

    #[tracing::instrument(name = "tree.make", skip_all, fields(repository.name = origin.name, repository.commit = origin.rev))]
    async fn make(
        &self,
        git: &Git,
        origin: &Origin,
        layout: Layout<'_>,
        key: &str,
    ) -> Result<String, Fault> {
        let failed = |error: io::Error| Fault::disk("creating workspace", &error);
        let making = self.shelf.begin().map_err(failed)?;
        let (home, root) = (making.path().join("home"), making.path().join("tree"));
        let mut plain = Workspace::make_at(git, home, root, origin, layout)?;
        plain.lay_out_files(layout).await?;
        if layout.visible_git != VisibleGit::None {
            plain.make_index_visible().await?;
        }
        let (shelf, key) = (self.shelf.clone(), key.to_owned());
        blocking(move || {
            let base = plain.base.clone();
            finish(&plain, making.path())?;
            let index = fs_err::read(making.path().join("index"))?;
            shelf.put(&key, making)?;
            shelf.weigh(&key, size(&index, &base))?;
            let directory = shelf.path(&key);
            tokio::task::spawn_blocking(move || {
                if let Err(error) = make_durable(&directory) {
                    tracing::debug!(%error, "a tree in the cache may not outlive a crash of the machine");
                }
            });
            Ok(base)
        })
        .await
        .map_err(failed)
    }
}

impl Tree {
    /// The files.
    pub(super) fn files(&self) -> PathBuf {
        self.opened.directory.join("tree")
    }

    /// What a diff of the whole is against: a commit, or a tree when only a part was laid out.
    pub(super) fn base(&self) -> &str {
        &self.opened.base
    }

    /// Whether that is a commit.
    pub(super) fn is_commit(&self) -> bool {
        self.opened.is_commit
    }

    /// How many bytes an id has.
    pub(super) fn id_length(&self) -> usize {
        self.opened.id_length
    }

    /// The index of the files. It is read when it is first asked for.
    pub(super) fn index(&self) -> io::Result<&Index> {
        let index = &self.opened.index;
        if let Some(index) = index.get() {
            return Ok(index);
        }
        let bytes = fs_err::read(self.index_path())?;
        let read = Index::parse(bytes, self.opened.id_length).map_err(io::Error::other)?;
        Ok(index.get_or_init(|| read))
    }

    /// When the index was written; no file of the tree has been written since.
    pub(super) fn indexed(&self) -> io::Result<SystemTime> {
        fs_err::metadata(self.index_path())?.modified()
    }

    fn index_path(&self) -> PathBuf {
        self.opened.directory.join("index")
    }
}

/// What names an entry: the repository, the commit, and what of it is laid out.
fn key(origin: &Origin, layout: Layout<'_>) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let place = origin.objects.first().unwrap_or(&origin.git_dir);
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    };
    add(FORM.as_bytes());
    add(place.as_os_str().as_bytes());
    add(origin.object_format().name().as_bytes());
    add(origin.rev.as_bytes());
    add(&[(layout.visible_git != VisibleGit::None).into()]);
    add(layout.only.as_bytes());
    for pattern in layout.patterns {
        add(pattern.as_bytes());
    }
    let digest = hash.finalize();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The base of an entry, if that can be trusted to be whole. One that was made when the machine last crashed may have files without
/// content.
fn whole(directory: &Path) -> Option<String> {
    let read = |name| fs_err::read_to_string(directory.join(name)).ok();
    let base = read("base")?;
    let made = read("made")?;
    let durable = directory.join("durable").exists();
    (durable || (!made.is_empty() && made == this_run())).then_some(base)
}

/// What tells this run of the machine from others; empty where nothing does.
fn this_run() -> String {
    fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Leaves of a plain workspace what an entry has.
fn finish(plain: &Workspace, entry: &Path) -> io::Result<()> {
    let (own, seen) = (entry.join("index"), entry.join("tree/.git/index"));
    fs_err::rename(plain.git_dir().join("index"), &own)?;
    // Of a whole commit the two are the same, and neither is ever written to.
    if seen.exists() && fs_err::read(&seen)? == fs_err::read(&own)? {
        let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        fs_err::set_permissions(&own, open_to_all)?;
        fs_err::remove_file(&seen)?;
        fs_err::hard_link(&own, &seen)?;
    }
    fs_err::write(entry.join("base"), &plain.base)?;
    fs_err::write(entry.join("made"), this_run())?;
    fs_err::remove_dir_all(&plain.home)
}

fn make_durable(entry: &Path) -> io::Result<()> {
    let directory = fs_err::File::open(entry)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(directory.file())?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::sync();
    fs_err::write(entry.join("durable"), "")
}

/// About what the files of an index take on the disk, in bytes.
fn size(index: &[u8], base: &str) -> u64 {
    const BLOCK: u64 = 4096;
    let id_length = base.len() / 2;
    let own = 2 * index.len() as u64;
    let files = Index::parse(index.to_vec(), id_length).map_or(0, |index| {
        let blocks = index
            .iter()
            .map(|entry| u64::from(entry.size()).div_ceil(BLOCK));
        blocks.sum::<u64>() * BLOCK
    });
    own + files
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Sharing, origin};
    use super::*;
    use crate::git::fixture::Fixture;

    fn read(workspace: &Workspace, name: &str) -> String {
        fs_err::read_to_string(workspace.root().join(name)).unwrap()
    }

    #[tokio::test]
    async fn all_that_ask_at_once_get_the_same_tree() {
        let fixture = Fixture::with(&[("a", "1\n")]);
        let Some(sharing) = Sharing::new() else {
            return;
        };
        let origin = origin(&fixture).await;
        let (first, second, third) = tokio::join!(
            sharing.make(&origin),
            sharing.make(&origin),
            sharing.make(&origin)
        );
        assert_eq!(sharing.trees().len(), 1);
        // What is written to one is seen in no other, nor in what they share.
        fs_err::write(first.root().join("a"), "changed").unwrap();
        fs_err::remove_file(second.root().join("a")).unwrap();
        assert_eq!(read(&third, "a"), "1\n");
        assert_eq!(read(&sharing.make(&origin).await, "a"), "1\n");
    }

    #[tokio::test]
    async fn a_tree_is_laid_out_once() {
        let fixture = Fixture::with(&[("a", "1\n")]);
        let Some(sharing) = Sharing::new() else {
            return;
        };
        let origin = origin(&fixture).await;
        drop(sharing.make(&origin).await);
        // There is nothing more to lay it out from.
        fs_err::remove_dir_all(fixture.path.join(".git/objects")).unwrap();
        assert_eq!(read(&sharing.make(&origin).await, "a"), "1\n");
    }

    #[tokio::test]
    async fn what_may_not_have_reached_the_disk_before_a_crash_is_made_anew() {
        let fixture = Fixture::with(&[("a", "1\n")]);
        let Some(sharing) = Sharing::new() else {
            return;
        };
        let origin = origin(&fixture).await;
        drop(sharing.make(&origin).await);
        let tree = sharing.trees().remove(0);
        while !tree.join("durable").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let lose = || {
            fs_err::write(tree.join("tree/a"), "").unwrap();
            fs_err::write(tree.join("made"), "another run of the machine").unwrap();
        };
        lose();
        // All of it was on the disk.
        assert_eq!(read(&sharing.make(&origin).await, "a"), "");
        lose();
        fs_err::remove_file(tree.join("durable")).unwrap();
        assert_eq!(read(&sharing.make(&origin).await, "a"), "1\n");
        assert_eq!(sharing.trees(), [tree]);
    }

    #[tokio::test]
    async fn a_tree_that_is_shown_stays() {
        let fixture = Fixture::with(&[("a", "1\n")]);
        let Some(sharing) = Sharing::new() else {
            return;
        };
        let mut workspace = sharing.make(&origin(&fixture).await).await;
        sharing.cache.make_room().unwrap();
        assert_eq!(sharing.trees().len(), 1);
        let _ours = workspace.remove().await.unwrap();
        drop(workspace);
        // Room may be being made in the background, too.
        for _ in 0..500 {
            sharing.cache.make_room().unwrap();
            if sharing.trees().is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it stays although nobody needs it");
    }

    #[tokio::test]
    async fn a_tree_is_of_one_commit_and_one_layout() {
        let fixture = Fixture::with(&[("a/x", "1\n"), ("b", "2\n")]);
        let first = origin(&fixture).await;
        fixture.write("b", "3\n");
        fixture.commit("second");
        let second = origin(&fixture).await;
        let layout = |only| Layout {
            only,
            patterns: &[],
            visible_git: VisibleGit::Borrowing,
            by_runner: true,
        };
        let patterns = ["a/*".to_owned()];
        let sparse = Layout {
            patterns: &patterns,
            ..layout("")
        };
        let keys = [
            key(&first, layout("")),
            key(&second, layout("")),
            key(&first, layout("a")),
            key(&first, sparse),
        ];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }
}
