//! Finds the commit a workspace starts from: in a repository on this machine, or fetched from a remote into the cache.

mod local;
mod name;
mod remote;
mod several;
mod source;

use std::path::{Path, PathBuf};

pub(crate) use local::is_dirty;
pub use local::{LocalRepository, discover};
pub use name::tell_apart;
pub use remote::{RemoteCache, Wanted};
pub use several::{Selection, open_all};
pub use source::{RemoteUrl, Source, SourceError};

use crate::disk_cache::Held;
use crate::fault::Fault;
use crate::git::{Git, GitError, ObjectFormat};

/// A commit, and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the repository: `github.com/acme/widgets` when its remote is known, else its directory's name.
    pub name: String,
    /// Short name of the branch; empty when a bare commit was asked for or `HEAD` is detached.
    pub branch: String,
    /// Full hexadecimal commit id.
    pub rev: String,
    /// Where the objects are: the git directory to run git in.
    pub git_dir: PathBuf,
    /// The object directories: the repository's own first, then those it borrows from.
    pub objects: Vec<PathBuf>,
    /// Content of git's `shallow` file when history is cut off.
    pub shallow: Option<Vec<u8>>,
    /// URL of the remote without credentials, for scripts that ask git for it.
    pub url: Option<String>,
    /// Commit or tag object, and short name, of the tags that steps see; none unless they were asked for.
    pub tags: Vec<(String, String)>,
    /// Whether tracked files differ from the commit in `HEAD`; the differences are not part of a run.
    pub dirty: bool,
    /// Where it was fetched from; `None`: it is on this machine.
    pub remote: Option<RemoteUrl>,
    /// The repository on this machine that results can be applied to; `None` for a remote one.
    pub local: Option<LocalRepository>,
    /// Keeps the repository in the cache, if it is from there.
    pub held: Held,
}

impl Origin {
    /// How its objects are named.
    pub fn object_format(&self) -> ObjectFormat {
        ObjectFormat::of(&self.rev)
    }
}

/// Opens a source at the branch, tag or commit of the source itself, else at `branch`, else at its default branch.
///
/// `progress` is told what a fetch is doing, one line at a time.
///
/// # Errors
/// A fault of the workspace when the repository, its branch or commit does not exist or cannot be read.
pub async fn open(
    git: &Git,
    cache: &RemoteCache,
    source: &Source,
    branch: Option<&str>,
    progress: impl FnMut(&str) + Send,
) -> Result<Origin, Fault> {
    match source {
        Source::Local(path) => local::open(git, &discover(path)?, branch).await,
        Source::Remote { url, revision } => {
            let wanted = revision.as_deref().or(branch);
            cache.open(git, url, wanted, progress).await
        }
    }
}

/// Tells `visit` every path of the commit, from the root of the repository, in git's order.
///
/// # Errors
/// What git says.
pub async fn list_files(
    git: &Git,
    origin: &Origin,
    mut visit: impl FnMut(&[u8]) + Send,
) -> Result<(), Fault> {
    let mut rest = Vec::new();
    git.isolated("ls-tree")
        .git_dir(&origin.git_dir)
        .args(["-r", "-z", "--full-tree", "--name-only", &origin.rev])
        .stream(|bytes| {
            let mut parts = bytes.split(|&byte| byte == 0).peekable();
            while let Some(part) = parts.next() {
                rest.extend_from_slice(part);
                if parts.peek().is_some() {
                    visit(&rest);
                    rest.clear();
                }
            }
        })
        .await
        .map_err(|error| error.into_fault(&format!("listing the files of {}", origin.name)))
}

/// The commit a name stands for, `None` when there is none.
async fn resolve(git: &Git, git_dir: &Path, name: &str) -> Result<Option<String>, GitError> {
    let (finished, output) = git
        .isolated("rev-parse")
        .git_dir(git_dir)
        .args(["--verify", "--quiet", "--end-of-options"])
        .arg(format!("{name}^{{commit}}"))
        .attempt(4096)
        .await?;
    let id = String::from_utf8_lossy(&output).trim().to_owned();
    Ok((finished.code == Some(0) && is_object_id(&id)).then_some(id))
}

/// Whether this is a full object id.
fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What is said when a branch does not exist.
fn no_such_branch(branch: &str, name: &str) -> Fault {
    Fault::workspace(format!(
        "no branch matching \"{branch}\" found for repository {name}"
    ))
}

#[cfg(test)]
mod tests;
