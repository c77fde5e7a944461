//! How workspaces get their files, and why so.

use std::io;
use std::path::Path;

use super::shared::{Tree, Trees};
use super::{Layout, overlay};
use crate::disk_cache::DiskCache;
use crate::fault::Fault;
use crate::git::Git;
use crate::repository::Origin;

/// A way for a workspace to get its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It shows a tree that is shared, through an overlay that this process mounts.
    Overlay,
    /// Git writes all files into it.
    Checkout,
}

impl Method {
    /// All, the fastest first.
    pub const ALL: [Self; 2] = [Self::Overlay, Self::Checkout];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Checkout => "checkout",
        }
    }
}

/// A way that was chosen, and why it was not another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The way.
    pub method: Method,
    /// The faster ways, and why each is not possible here.
    pub refused: Vec<(Method, String)>,
}

/// Where workspaces are to be, and who has to see them.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Directory of what is shared.
    pub cache: &'a Path,
    /// Directory of what is written; exists.
    pub workspaces: &'a Path,
    /// Why containers would not see what this process mounts; `None` if they do, or if there are none.
    pub hidden: Option<&'a str>,
}

/// Finds the fastest way that is possible; with `wanted`, whether that one is.
///
/// # Errors
/// A fault of the environment when the wanted way is not possible.
pub fn choose(wanted: Option<Method>, place: Place<'_>) -> Result<Chosen, Fault> {
    let mut refused = Vec::new();
    for method in Method::ALL {
        if wanted.is_some_and(|wanted| wanted != method) {
            continue;
        }
        match obstacle(method, place) {
            None => return Ok(Chosen { method, refused }),
            Some(reason) => refused.push((method, reason)),
        }
    }
    let reasons: Vec<String> = refused
        .iter()
        .map(|(method, reason)| {
            format!(
                "workspaces = {:?} is not possible here: {reason}",
                method.name()
            )
        })
        .collect();
    Err(Fault::environment(reasons.join("; "))
        .hint("leave the setting out, and the fastest possible way is taken"))
}

/// Why a way is not possible.
fn obstacle(method: Method, place: Place<'_>) -> Option<String> {
    match method {
        Method::Overlay => place
            .hidden
            .map(str::to_owned)
            .or_else(|| try_overlay(place).err().map(|error| error.to_string())),
        Method::Checkout => None,
    }
}

/// Mounts an overlay of nothing.
fn try_overlay(place: Place<'_>) -> io::Result<()> {
    for path in [place.cache, place.workspaces] {
        if !overlay::may_be_layer(path) {
            return Err(io::Error::other(format!(
                "{} has a character that the paths of overlays may not have",
                path.display()
            )));
        }
    }
    crate::state::create_private(place.cache)?;
    let below = tempfile::tempdir_in(place.cache)?;
    let above = tempfile::tempdir_in(place.workspaces)?;
    fs_err::write(below.path().join("seen"), "")?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| above.path().join(name));
    for path in [&upper, &work, &root] {
        fs_err::create_dir(path)?;
    }
    let layers = overlay::Layers {
        lower: below.path(),
        upper: &upper,
        work: &work,
    };
    overlay::mount(&root, layers).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::PermissionDenied => "this process may not mount: it is not root, or is in a container without the right to (CAP_SYS_ADMIN)".to_owned(),
            _ => format!("mounting an overlay: {error}"),
        };
        io::Error::new(error.kind(), what)
    })?;
    // It has to be gone before its directories can be.
    let tried = fs_err::remove_file(root.join("seen"));
    overlay::unmount(&root)?;
    tried
}

/// The way in which workspaces get their files, and what they share.
#[derive(Debug, Clone)]
pub struct Checkouts {
    /// `None` where nothing is shared.
    trees: Option<Trees>,
}

impl Checkouts {
    /// Workspaces that get their files by `method`; what they share is kept in `cache`.
    pub fn new(method: Method, cache: &DiskCache) -> Self {
        Self {
            trees: (method == Method::Overlay).then(|| Trees::new(cache)),
        }
    }

    /// Workspaces each of which has its own files.
    pub fn own() -> Self {
        Self { trees: None }
    }

    /// The tree that a workspace is to show; `None` if its files are its own.
    pub(super) async fn tree(
        &self,
        git: &Git,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<Option<Tree>, Fault> {
        match &self.trees {
            Some(trees) => trees.get(git, origin, layout).await.map(Some),
            None => Ok(None),
        }
    }
}
