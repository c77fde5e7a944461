//! Repositories on this machine.
//!
//! They are found by walking up, as git does, and then read with their git directory told explicitly: git
//! would refuse a repository of another owner, because its configuration could run programs; ours runs none.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Origin, name, resolve};
use crate::disk_cache::Held;
use crate::fault::Fault;
use crate::git::{Git, GitError, ObjectFormat};

/// Files of git that hold a path or a few lines; nothing longer is read.
const SMALL: u64 = 1024 * 1024;

/// A repository on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRepository {
    /// The top of its working tree; the repository itself when it is bare.
    pub top: PathBuf,
    /// Its git directory: in a linked worktree that of the worktree.
    pub git_dir: PathBuf,
    /// The git directory that all worktrees share.
    pub common_dir: PathBuf,
    /// Whether there is no working tree.
    pub bare: bool,
}

/// Finds the repository that a directory is in.
///
/// # Errors
/// A fault of the workspace when the path does not exist or is in no repository.
pub fn discover(path: &Path) -> Result<LocalRepository, Fault> {
    let shown = path.display();
    let start = fs_err::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Fault::workspace(format!("repository {shown} does not exist"))
                .hint("name a directory that holds a git repository, or a git URL")
        }
        _ => Fault::workspace(format!("repository {shown} cannot be read: {error}")),
    })?;
    if !start.is_dir() {
        return Err(Fault::workspace(format!(
            "repository {shown} is not a directory"
        )));
    }
    for directory in start.ancestors() {
        let dot_git = directory.join(".git");
        let (git_dir, bare) = if is_git_directory(&dot_git) {
            (dot_git, false)
        } else if let Some(elsewhere) = link(&dot_git).filter(|path| is_git_directory(path)) {
            (elsewhere, false)
        } else if is_git_directory(directory) {
            // Inside of `.git` itself its parent is what is meant.
            match directory.parent() {
                Some(parent) if directory.file_name().is_some_and(|name| name == ".git") => {
                    return Ok(repository(parent, directory.to_owned(), false));
                }
                _ => (directory.to_owned(), true),
            }
        } else {
            continue;
        };
        return Ok(repository(directory, git_dir, bare));
    }
    Err(
        Fault::workspace(format!("{shown} is not in a git repository"))
            .hint("run `git init` and commit there, or name another directory"),
    )
}

fn repository(top: &Path, git_dir: PathBuf, bare: bool) -> LocalRepository {
    let common_dir = small_file(&git_dir.join("commondir"))
        .map(|text| git_dir.join(path_in(&text)))
        .and_then(|path| fs_err::canonicalize(path).ok())
        .unwrap_or_else(|| git_dir.clone());
    LocalRepository {
        top: top.to_owned(),
        git_dir,
        common_dir,
        bare,
    }
}

/// Git's own test: `HEAD`, and objects and refs here or in the shared directory.
fn is_git_directory(path: &Path) -> bool {
    let has_head = path.join("HEAD").symlink_metadata().is_ok();
    let shared = path.join("commondir").is_file();
    has_head && (shared || path.join("objects").is_dir() && path.join("refs").is_dir())
}

/// Where a `.git` file points.
fn link(file: &Path) -> Option<PathBuf> {
    let text = small_file(file)?;
    let target = path_in(text.strip_prefix(b"gitdir: ")?);
    fs_err::canonicalize(file.parent()?.join(target)).ok()
}

fn small_file(path: &Path) -> Option<Vec<u8>> {
    if !path.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).ok()?;
    file.take(SMALL).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn path_in(bytes: &[u8]) -> PathBuf {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'))
        .map_or(0, |last| last + 1);
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes[..end]))
}

/// Opens a repository at a branch, tag or commit, or at `HEAD`.
pub(super) async fn open(
    git: &Git,
    repository: &LocalRepository,
    branch: Option<&str>,
) -> Result<Origin, Fault> {
    let git_dir = &repository.git_dir;
    let context = |error: GitError| {
        error.into_fault(&format!("reading repository {}", repository.top.display()))
    };
    // Each is a run of git, and they have nothing to wait for.
    let current = async {
        match branch {
            Some(_) => Ok(String::new()),
            None => current_branch(git, git_dir).await,
        }
    };
    let head = resolve(git, git_dir, "HEAD");
    let (settings, current, head) =
        tokio::try_join!(settings(git, git_dir), current, head).map_err(context)?;
    let url = settings
        .iter()
        .find_map(|(key, value)| (key == "remote.origin.url").then_some(value.as_str()));
    let parsed = url.and_then(|url| match super::Source::parse(url, Path::new("/")) {
        Ok(super::Source::Remote { url, .. }) => Some(url),
        _ => None,
    });
    let name = url.and_then(name::of_remote).unwrap_or_else(|| {
        let directory = repository.top.file_name().unwrap_or_default();
        let directory = directory.to_string_lossy();
        directory
            .strip_suffix(".git")
            .unwrap_or(&directory)
            .to_owned()
    });

    let (branch, rev) = match (branch, &head) {
        (Some(wanted), _) => named(git, git_dir, wanted, &name).await?,
        (None, Some(rev)) => (current, rev.clone()),
        (None, None) => {
            return Err(
                Fault::workspace(format!("repository {name} has no commit yet"))
                    .hint("commit something there first"),
            );
        }
    };
    let dirty = differs(git, repository, head.as_deref(), settings)
        .await
        .map_err(context)?;
    Ok(Origin {
        name,
        branch,
        rev,
        git_dir: git_dir.clone(),
        objects: object_directories(&repository.common_dir.join("objects")),
        shallow: small_file(&repository.common_dir.join("shallow")).filter(|s| !s.is_empty()),
        url: parsed.map(|url| url.to_string()),
        tags: Vec::new(),
        dirty,
        remote: None,
        local: Some(repository.clone()),
        held: Held::default(),
    })
}

/// The branch, remote branch, tag or commit that a user calls `wanted`.
async fn named(
    git: &Git,
    git_dir: &Path,
    wanted: &str,
    name: &str,
) -> Result<(String, String), Fault> {
    let short = wanted.strip_prefix("refs/heads/").unwrap_or(wanted);
    // Names only: `main~1` and its like are expressions, which no remote would understand either.
    if short.contains(['~', '^', ':', '?', '*', '[', '\\']) || short.contains("@{") {
        return Err(super::no_such_branch(wanted, name));
    }
    for (reference, is_branch) in [
        (format!("refs/heads/{short}"), true),
        (format!("refs/remotes/origin/{short}"), true),
        (format!("refs/tags/{short}"), false),
    ] {
        if let Some(rev) = resolve(git, git_dir, &reference).await? {
            let branch = if is_branch { short } else { "" };
            return Ok((branch.to_owned(), rev));
        }
    }
    if super::is_object_id(short)
        && let Some(rev) = resolve(git, git_dir, short).await?
    {
        return Ok((String::new(), rev));
    }
    Err(super::no_such_branch(wanted, name))
}

async fn current_branch(git: &Git, git_dir: &Path) -> Result<String, GitError> {
    let (finished, output) = git
        .isolated("symbolic-ref")
        .git_dir(git_dir)
        .args(["--quiet", "--short", "HEAD"])
        .attempt(4096)
        .await?;
    let branch = String::from_utf8_lossy(&output).trim().to_owned();
    Ok(if finished.code == Some(0) {
        branch
    } else {
        String::new()
    })
}

/// The repository's own configuration, read as data: keys in lower case and their values, in order.
async fn settings(git: &Git, git_dir: &Path) -> Result<Vec<(String, String)>, GitError> {
    let (finished, output) = git
        .isolated("config")
        .git_dir(git_dir)
        .args(["--local", "--list", "-z"])
        .attempt(16 * 1024 * 1024)
        .await?;
    if finished.code != Some(0) {
        return Err(GitError::Failed {
            command: "config",
            code: finished.code,
            stderr: finished.stderr,
        });
    }
    let text = String::from_utf8_lossy(&output);
    Ok(text
        .split('\0')
        .filter_map(|entry| entry.split_once('\n'))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// An object directory and those it borrows from, in git's order. Like git, five levels deep at most.
pub(super) fn object_directories(first: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut level = vec![first.to_owned()];
    for _ in 0..6 {
        let mut next = Vec::new();
        for directory in level {
            let Ok(directory) = fs_err::canonicalize(&directory) else {
                continue;
            };
            if found.contains(&directory) {
                continue;
            }
            let alternates = small_file(&directory.join("info/alternates")).unwrap_or_default();
            for line in alternates.split(|&byte| byte == b'\n') {
                if !line.is_empty() && !line.starts_with(b"#") {
                    next.push(directory.join(path_in(line)));
                }
            }
            found.push(directory);
        }
        level = next;
    }
    found
}

/// Whether tracked files differ from `HEAD`.
pub(crate) async fn is_dirty(git: &Git, repository: &LocalRepository) -> Result<bool, GitError> {
    let git_dir = &repository.git_dir;
    let (head, settings) = tokio::try_join!(resolve(git, git_dir, "HEAD"), settings(git, git_dir))?;
    differs(git, repository, head.as_deref(), settings).await
}

/// Whether tracked files differ from the commit `head`; `settings` are the repository's own.
///
/// Asking in the repository itself would run the filters of its configuration, so the question is asked in a
/// scratch git directory of ours, over the same working tree and a copy of its index.
async fn differs(
    git: &Git,
    repository: &LocalRepository,
    head: Option<&str>,
    mut settings: Vec<(String, String)>,
) -> Result<bool, GitError> {
    let index = repository.git_dir.join("index");
    if repository.bare || !index.is_file() {
        return Ok(false);
    }
    let Some(head) = head else {
        return Ok(true);
    };
    // How files are stored counts; what would be run does not.
    const STORAGE: [&str; 5] = [
        "core.filemode",
        "core.autocrlf",
        "core.eol",
        "core.symlinks",
        "core.ignorecase",
    ];
    settings.retain(|(key, _)| STORAGE.contains(&key.as_str()));
    let settings: Vec<(&str, String)> = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    let objects = object_directories(&repository.common_dir.join("objects"));
    let format = ObjectFormat::of(head);
    let scratch = scratch(&index, &objects, format, &settings).map_err(|source| GitError::Io {
        command: "diff",
        source,
    })?;
    // It looks into files whose times are others than in the index: they may not be different.
    let (finished, _) = git
        .isolated("diff")
        .git_dir(scratch.path())
        .env("GIT_WORK_TREE", &repository.top)
        .args(["--quiet", "--no-ext-diff", "--no-textconv"])
        .args(["--ignore-submodules=all", head, "--"])
        .attempt(4096)
        .await?;
    match finished.code {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        code => Err(GitError::Failed {
            command: "diff",
            code,
            stderr: finished.stderr,
        }),
    }
}

fn scratch(
    index: &Path,
    objects: &[PathBuf],
    object_format: ObjectFormat,
    settings: &[(&str, String)],
) -> std::io::Result<tempfile::TempDir> {
    let scratch = tempfile::tempdir()?;
    crate::git::layout(scratch.path(), objects, object_format, settings)?;
    let copy = scratch.path().join("index");
    fs_err::copy(index, &copy)?;
    // Git distrusts entries newer than the index, so the copy must be as old as the original.
    let modified = fs_err::metadata(index)?.modified()?;
    fs_err::File::options()
        .write(true)
        .open(&copy)?
        .file()
        .set_modified(modified)?;
    for entry in fs_err::read_dir(index.parent().unwrap_or(Path::new("/")))? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(b"sharedindex.") {
            fs_err::copy(entry.path(), scratch.path().join(entry.file_name()))?;
        }
    }
    Ok(scratch)
}
