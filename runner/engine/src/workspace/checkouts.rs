//! How workspaces get their files, and why so.

use std::io;
use std::path::Path;

use super::shared::{Tree, Trees};
use super::{Layout, overlay, reflink};
use crate::disk_cache::DiskCache;
use crate::fault::Fault;
use crate::git::Git;
use crate::repository::Origin;

/// A way for a workspace to get its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It shows a tree that is shared, through an overlay that this process mounts.
    Overlay,
    /// The same, but the container engine mounts the overlay, as a volume. Nobody else sees it as a whole.
    Volume,
    /// Its files are copies of those of a tree that is shared, and share their blocks on the disk.
    Reflink,
    /// Git writes all files into it.
    Checkout,
}

impl Method {
    /// All, the fastest first.
    pub const ALL: [Self; 4] = [Self::Overlay, Self::Volume, Self::Reflink, Self::Checkout];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Volume => "volume",
            Self::Reflink => "reflink",
            Self::Checkout => "checkout",
        }
    }
}

/// A way that was chosen, and why it was not another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The way.
    pub method: Method,
    /// The way for workspaces that this process has to see itself.
    pub by_runner: Method,
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
    /// What the container engine can do; `None` if there is none.
    pub engine: Option<Sight<'a>>,
}

/// How a container engine sees this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight<'a> {
    /// Why containers do not see what this process mounts; `None` if they do.
    pub hides_mounts: Option<&'a str>,
    /// Why it cannot mount overlays of directories of ours; `None` if it can.
    pub no_volumes: Option<&'a str>,
}

/// Finds the fastest way that is possible; with `wanted`, whether that one is.
///
/// # Errors
/// A fault of the environment when the wanted way is not possible.
pub fn choose(wanted: Option<Method>, place: Place<'_>) -> Result<Chosen, Fault> {
    let mut refused = Vec::new();
    let mut chosen = None;
    for method in Method::ALL {
        let is_asked_for = wanted.is_none_or(|wanted| wanted == method);
        // For those that this process has to see.
        let is_last_resort = chosen.is_some() && method == Method::Checkout;
        if !(is_asked_for || is_last_resort) {
            continue;
        }
        match obstacle(method, place) {
            None if method == Method::Volume => chosen = Some(method),
            None => {
                return Ok(Chosen {
                    method: chosen.unwrap_or(method),
                    by_runner: method,
                    refused,
                });
            }
            Some(_) if chosen.is_some() => {}
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
        Method::Overlay => {
            let hidden = place.engine.and_then(|engine| engine.hides_mounts);
            hidden
                .map(str::to_owned)
                .or_else(|| why_not(try_overlay(place)))
        }
        Method::Volume => match place.engine {
            None => Some("there is no container engine to do it".to_owned()),
            Some(engine) => engine
                .no_volumes
                .map(str::to_owned)
                .or_else(|| why_not(try_layers(place))),
        },
        Method::Reflink => why_not(try_reflink(place)),
        Method::Checkout => None,
    }
}

fn why_not(tried: io::Result<()>) -> Option<String> {
    tried.err().map(|error| error.to_string())
}

/// Whether there can be layers in these places.
fn check_layers(place: Place<'_>) -> io::Result<()> {
    for path in [place.cache, place.workspaces] {
        if !overlay::may_be_layer(path) {
            return Err(io::Error::other(format!(
                "{} has a character that the paths of overlays may not have",
                path.display()
            )));
        }
    }
    crate::state::create_private(place.cache)
}

/// Marks a directory as overlays for everybody do.
fn try_layers(place: Place<'_>) -> io::Result<()> {
    check_layers(place)?;
    let above = tempfile::tempdir_in(place.workspaces)?;
    let directory = fs_err::File::open(above.path())?;
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(directory.file(), "user.capstan", b"y", flags).map_err(|error| {
        let place = place.workspaces.display();
        io::Error::other(format!("files in {place} have no attributes: {error}"))
    })
}

/// Copies a file in the way in which its blocks are shared.
fn try_reflink(place: Place<'_>) -> io::Result<()> {
    crate::state::create_private(place.cache)?;
    reflink::attempt(place.cache, place.workspaces).map_err(|error| {
        let (cache, workspaces) = (place.cache.display(), place.workspaces.display());
        let what = format!("files in {cache} and {workspaces} cannot share blocks: {error}");
        io::Error::new(error.kind(), what)
    })
}

/// Mounts an overlay of nothing.
fn try_overlay(place: Place<'_>) -> io::Result<()> {
    check_layers(place)?;
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
    method: Method,
    by_runner: Method,
    /// `None` where nothing is shared.
    trees: Option<Trees>,
}

impl Checkouts {
    /// Workspaces that get their files in the way that was chosen; what they share is kept in `cache`.
    pub fn new(chosen: &Chosen, cache: &DiskCache) -> Self {
        Self {
            method: chosen.method,
            by_runner: chosen.by_runner,
            trees: (chosen.method != Method::Checkout).then(|| Trees::new(cache)),
        }
    }

    /// Workspaces each of which has its own files.
    pub fn own() -> Self {
        Self {
            method: Method::Checkout,
            by_runner: Method::Checkout,
            trees: None,
        }
    }

    /// The way in which a workspace of this layout gets its files.
    pub(super) fn method(&self, layout: Layout<'_>) -> Method {
        match layout.by_runner {
            true => self.by_runner,
            false => self.method,
        }
    }

    /// The tree that a workspace is to show or to copy; `None` if git writes its files.
    pub(super) async fn tree(
        &self,
        git: &Git,
        origin: &Origin,
        layout: Layout<'_>,
    ) -> Result<Option<Tree>, Fault> {
        let is_shared = self.method(layout) != Method::Checkout;
        match self.trees.as_ref().filter(|_| is_shared) {
            Some(trees) => trees.get(git, origin, layout).await.map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Sight<'_> = Sight {
        hides_mounts: Some("it is far away"),
        no_volumes: Some("it is too old"),
    };

    fn chosen(wanted: Option<Method>, engine: Option<Sight<'_>>) -> Result<Chosen, Fault> {
        let directory = tempfile::tempdir().unwrap();
        let place = Place {
            cache: &directory.path().join("cache"),
            workspaces: directory.path(),
            engine,
        };
        choose(wanted, place)
    }

    #[test]
    fn what_the_engine_cannot_see_is_not_chosen() {
        let chosen = chosen(None, Some(NOTHING)).unwrap();
        assert!(matches!(chosen.method, Method::Reflink | Method::Checkout));
        assert_eq!(chosen.by_runner, chosen.method);
        let refused: Vec<_> = chosen
            .refused
            .iter()
            .map(|(method, why)| (*method, why.as_str()))
            .collect();
        let expected = [
            (Method::Overlay, "it is far away"),
            (Method::Volume, "it is too old"),
        ];
        assert_eq!(refused[..2], expected);
    }

    #[test]
    fn what_only_the_engine_sees_is_not_for_everything() {
        let engine = Sight {
            no_volumes: None,
            ..NOTHING
        };
        for wanted in [None, Some(Method::Volume)] {
            let chosen = chosen(wanted, Some(engine)).unwrap();
            assert_eq!(chosen.method, Method::Volume);
            assert!(matches!(
                chosen.by_runner,
                Method::Reflink | Method::Checkout
            ));
        }
    }

    #[test]
    fn what_is_asked_for_is_taken_or_nothing() {
        let own = chosen(Some(Method::Checkout), None).unwrap();
        assert_eq!((own.method, own.refused.len()), (Method::Checkout, 0));
        let fault = chosen(Some(Method::Volume), None).unwrap_err();
        assert_eq!(
            fault.message,
            "workspaces = \"volume\" is not possible here: there is no container engine to do it"
        );
        assert!(chosen(Some(Method::Overlay), Some(NOTHING)).is_err());
    }
}
