//! A workspace that shows a shared tree and keeps apart what is written to it.
//!
//! ```text
//! <home>/overlay/
//!   upper/    what was changed
//!   work/     the kernel's own
//! ```
//!
//! Its diff looks at nothing but what was changed: the runner's index has the files that were touched, and no others, and the
//! diff is against a tree of just these. Git looks at them as it would if it looked at everything, because what it asks the index about
//! a directory that it passes on its way there is answered: of each there is a file, too.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use capstan_core::git_index::{Entry, Index, Status, write};

use super::layer::{Touch, above, cover, touched};
use super::objects::write_trees;
use super::shared::Tree;
use super::view::View;
use super::{overlay, tree};
use crate::sandbox::Overlay;

/// Most paths that git is told to look at. Where more were touched, it looks at whole directories.
const PATHS: usize = 128;

/// The root of a work tree, as git is told of paths.
const EVERYTHING: &[u8] = b".\0";

/// A file that was written this shortly before the index may have been written in the same moment, as far as clocks tell.
const MOMENT: Duration = Duration::from_millis(50);

/// Where the files of a workspace come from, and where those go that are written.
#[derive(Debug)]
pub(super) struct Layers {
    tree: Tree,
    directory: PathBuf,
    upper: Dir,
    selection: Arc<Mutex<Selection>>,
    /// The same for the container engine, if it is the one that mounts them.
    overlay: Option<Arc<Overlay>>,
    /// Where this process has mounted them.
    mounted: Option<PathBuf>,
}

/// What of the tree is in the runner's index.
#[derive(Debug, Default)]
struct Selection {
    /// Positions in the tree's index.
    selected: BTreeSet<usize>,
    /// The tree of just these.
    base: String,
}

/// What git has to look at.
#[derive(Debug)]
pub(super) struct Look {
    /// Paths from the root of the workspace, each with a NUL behind it; none if nothing has to be looked at.
    pub(super) paths: Vec<u8>,
    /// What a diff of the index is against.
    pub(super) base: String,
    /// Whether something that was in the index is there no more.
    pub(super) has_dropped: bool,
}

impl Layers {
    /// Makes the directories of the layers in `home`. They are not mounted yet; the container engine will do it if `by_engine` says so.
    pub(super) fn make(tree: Tree, home: &Path, by_engine: bool) -> io::Result<Self> {
        let directory = home.join("overlay");
        let upper = directory.join("upper");
        crate::state::create_private(&directory)?;
        fs_err::create_dir(&upper)?;
        let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs_err::set_permissions(&upper, open_to_all)?;
        let work = directory.join("work");
        fs_err::create_dir(&work)?;
        Ok(Self {
            upper: tree::open(&upper)?,
            selection: Arc::default(),
            overlay: by_engine.then(|| {
                Arc::new(Overlay {
                    name: volume_name(&directory),
                    lower: tree.files(),
                    upper,
                    work,
                })
            }),
            mounted: None,
            directory,
            tree,
        })
    }

    /// Shows them at the directory `root`, until this is dropped.
    pub(super) fn mount(&mut self, root: &Path) -> io::Result<()> {
        let layers = overlay::Layers {
            lower: &self.tree.files(),
            upper: &self.upper_path(),
            work: &self.directory.join("work"),
        };
        overlay::mount(root, layers)?;
        self.mounted = Some(root.to_path_buf());
        Ok(())
    }

    /// Shows them no more. Whoever still uses what was mounted goes on until it ends.
    pub(super) fn unmount(&mut self) -> io::Result<()> {
        match self.mounted.take() {
            Some(root) => overlay::unmount(&root),
            None => Ok(()),
        }
    }

    /// What the container engine mounts; `None` if this process does.
    pub(super) fn overlay(&self) -> Option<&Arc<Overlay>> {
        self.overlay.as_ref()
    }

    /// The directory of all that containers have written.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory that has what was changed.
    pub(super) fn upper(&self) -> &Dir {
        &self.upper
    }

    pub(super) fn upper_path(&self) -> PathBuf {
        self.directory.join("upper")
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Looks for what was touched and brings the runner's index, which is in `git_dir`, to the point where git can go on. `None` if nothing was
    /// ever touched. Where the container engine mounts the layers, `root` then has the files that git has to see.
    pub(super) fn look(
        &self,
        git_dir: PathBuf,
        root: &Dir,
    ) -> impl FnOnce() -> io::Result<Option<Look>> + Send + 'static + use<> {
        let (tree, upper) = (self.tree.clone(), self.upper.try_clone());
        let root = self.overlay.is_some().then(|| root.try_clone());
        let selection = Arc::clone(&self.selection);
        move || {
            let mut selection = selection.lock().unwrap_or_else(PoisonError::into_inner);
            selection.look(&tree, &upper?, &git_dir, root.transpose()?.as_ref())
        }
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            tracing::warn!(%error, "the overlay of a workspace is still mounted");
        }
    }
}

impl Selection {
    fn look(
        &mut self,
        tree: &Tree,
        upper: &Dir,
        git_dir: &Path,
        view: Option<&Dir>,
    ) -> io::Result<Option<Look>> {
        let base = tree.index()?;
        let touched = touched(upper, base)?;
        let path = git_dir.join("index");
        let (staged, written) = match fs_err::metadata(&path) {
            Ok(metadata) => {
                let staged = Index::parse(fs_err::read(&path)?, tree.id_length());
                (staged.map_err(io::Error::other)?, metadata.modified()?)
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if touched.is_empty() => return Ok(None),
            Err(_) => {
                let none = Index::parse(write(&[], tree.id_length()), tree.id_length());
                (none.map_err(io::Error::other)?, tree.indexed()?)
            }
        };
        // Of a directory that git is told to look at it has to see all files.
        let most = if view.is_some() { usize::MAX } else { PATHS };
        let paths: Vec<&[u8]> = touched.keys().map(Vec::as_slice).collect();
        let cover = cover(&paths, most);
        let mut wanted = self.wanted(base, &cover);
        if view.is_some() {
            wanted.extend(self.rules(base, &cover));
        }
        let is_gone =
            |entry: &Entry<'_>| !base.has_file(entry.path()) && !covers(&cover, entry.path());
        let mut entries: BTreeMap<&[u8], (Entry<'_>, Status)> = staged
            .iter()
            .filter(|entry| !is_gone(entry))
            .map(|entry| (entry.path(), (entry, Status::Known)))
            .collect();
        let has_dropped = entries.len() < staged.len();
        if has_dropped || !wanted.is_empty() {
            let known_until = tree.indexed()? - MOMENT;
            for &position in &wanted {
                let entry = base.entry(position);
                let (seconds, nanoseconds) = entry.modified();
                let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds.into(), nanoseconds);
                let status = if modified < known_until {
                    Status::Known
                } else {
                    Status::Unknown
                };
                entries.insert(entry.path(), (entry, status));
            }
            let all: Vec<_> = entries.values().cloned().collect();
            fs_err::write(&path, write(&all, tree.id_length()))?;
            // Git looks into files that may have been written after the index, and those that it staged were not written after the old one.
            let file = fs_err::File::options().write(true).open(&path)?;
            file.file().set_modified(written)?;
        }
        if self.base.is_empty() || !wanted.is_empty() {
            self.selected.extend(wanted);
            self.base = if self.selected.len() == base.len() && tree.is_commit() {
                tree.base().to_owned()
            } else {
                let selected = self.selected.iter().map(|&position| base.entry(position));
                write_trees(&git_dir.join("objects"), selected, tree.id_length())?
            };
        }
        // Git refuses to look for what is neither a file nor in the index.
        let is_there = |path: &[u8]| {
            let inside = [path, b"/"].concat();
            let mut at_least = entries.range(inside.as_slice()..);
            touched.get(path) != Some(&Touch::Gone)
                || entries.contains_key(path)
                || at_least
                    .next()
                    .is_some_and(|(found, _)| found.starts_with(&inside))
        };
        if let Some(view) = view {
            let _ours = tree::clear(view)?;
            let untouched = self.selected.iter().map(|&position| base.entry(position));
            let untouched = untouched.filter(|entry| !covers(&cover, entry.path()));
            let lower = &tree::open(&tree.files())?;
            View { lower, upper, view }.fill(&touched, untouched)?;
            return Ok(Some(Look {
                paths: EVERYTHING.to_vec(),
                base: self.base.clone(),
                has_dropped,
            }));
        }
        let mut paths = Vec::new();
        for path in cover.iter().filter(|path| is_there(path)) {
            match path.as_slice() {
                b"" => paths.extend_from_slice(EVERYTHING),
                path => {
                    paths.extend_from_slice(path);
                    paths.push(0);
                }
            }
        }
        Ok(Some(Look {
            paths,
            base: self.base.clone(),
            has_dropped,
        }))
    }

    /// The positions that are not in the runner's index yet, but have to be: all files of the base that `cover` covers, and one of each directory on the
    /// way there.
    fn wanted(&self, base: &Index, cover: &[Vec<u8>]) -> BTreeSet<usize> {
        let mut wanted = BTreeSet::new();
        for path in cover {
            wanted.extend(base.below(path).into_iter().flatten());
            for directory in above(path) {
                let [_, inside] = base.below(directory);
                wanted.extend(inside.take(1));
            }
        }
        wanted.retain(|position| !self.selected.contains(position));
        wanted
    }

    /// The positions of the files that say what git ignores and converts on the way to what `cover` covers.
    fn rules(&self, base: &Index, cover: &[Vec<u8>]) -> BTreeSet<usize> {
        let mut rules = BTreeSet::new();
        for path in cover {
            let root: &[u8] = b"";
            for directory in above(path).chain([root]) {
                for name in [".gitignore", ".gitattributes"] {
                    let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
                    let path = [directory, slash, name.as_bytes()].concat();
                    let [file, _] = base.below(&path);
                    rules.extend(file);
                }
            }
        }
        rules.retain(|position| !self.selected.contains(position));
        rules
    }
}

/// What a volume of these layers is called: unlike that of any others.
fn volume_name(directory: &Path) -> String {
    use sha2::{Digest as _, Sha256};
    use std::os::unix::ffi::OsStrExt as _;
    let digest = Sha256::digest(directory.as_os_str().as_bytes());
    let hex = digest[..12].iter().map(|byte| format!("{byte:02x}"));
    format!("capstan-{}", hex.collect::<String>())
}

/// Whether one of these paths, which are in order and none below another, is `path` or a directory above it.
fn covers(cover: &[Vec<u8>], path: &[u8]) -> bool {
    let has = |wanted: &[u8]| {
        let found = cover.binary_search_by(|covered| covered.as_slice().cmp(wanted));
        found.is_ok()
    };
    has(b"") || has(path) || above(path).any(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::fixture::Fixture;

    fn read(fixture: &Fixture) -> Index {
        let bytes = fs_err::read(fixture.path.join(".git/index")).unwrap();
        Index::parse(bytes, 20).unwrap()
    }

    fn paths<'a>(index: &'a Index, path: &str) -> Vec<&'a str> {
        let ranges = index.below(path.as_bytes());
        let positions = ranges.into_iter().flatten();
        positions
            .map(|position| std::str::from_utf8(index.entry(position).path()).unwrap())
            .collect()
    }

    #[test]
    fn what_git_wrote_is_read() {
        let fixture = Fixture::with(&[("a", "1"), ("b/x", "2"), ("b/y/z", "3"), ("b-c", "4")]);
        let index = read(&fixture);
        assert_eq!(paths(&index, ""), ["a", "b-c", "b/x", "b/y/z"]);
        assert_eq!(paths(&index, "b"), ["b/x", "b/y/z"]);
        assert_eq!(paths(&index, "b/y"), ["b/y/z"]);
        assert_eq!(paths(&index, "a"), ["a"]);
        assert_eq!(paths(&index, "c"), [""; 0]);
        assert!(index.has(b"b/y") && !index.has(b"b/"));
        let entry = index.entry(0);
        assert_eq!(entry.mode(), 0o100_644);
        let id: String = entry
            .id()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(id, fixture.rev("HEAD:a"));
    }

    #[test]
    fn git_reads_what_was_written() {
        let fixture = Fixture::with(&[("a", "1"), ("b/x", "2"), ("b/y/z", "3"), ("c", "4")]);
        // With flags of version 3.
        fixture.git(&["update-index", "--skip-worktree", "b/x"]);
        let index = read(&fixture);
        let some: Vec<_> = index
            .iter()
            .filter(|entry| entry.path() != b"a")
            .map(|entry| {
                (
                    entry,
                    if entry.path() == b"c" {
                        Status::Unknown
                    } else {
                        Status::Known
                    },
                )
            })
            .collect();
        fs_err::write(fixture.path.join(".git/index"), write(&some, 20)).unwrap();
        let listed = fixture.git(&["ls-files", "-t"]);
        assert_eq!(String::from_utf8_lossy(&listed), "S b/x\nH b/y/z\nH c\n");
        // Nothing that was left there is another than it was.
        let unknown = fixture.git(&["diff-files", "--name-only"]);
        assert_eq!(String::from_utf8_lossy(&unknown), "c\n");
        let changed = fixture.git(&["diff", "--name-only"]);
        assert_eq!(String::from_utf8_lossy(&changed), "");
    }
}
