//! The name of a repository, from the URL of its remote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Origin;
use super::source::{RemoteUrl, Source};

/// `host/path` of a remote URL, without scheme, credentials, default port and `.git`:
/// `git@github.com:acme/widgets.git` is `github.com/acme/widgets`. `None` for what is not a remote URL.
pub(super) fn of_remote(url: &str) -> Option<String> {
    match Source::parse(url, Path::new("/")) {
        Ok(Source::Remote { url, .. }) => Some(of_url(&url)),
        _ => None,
    }
}

/// The same for a URL that has been parsed.
pub(super) fn of_url(url: &RemoteUrl) -> String {
    let text = url.to_string();
    let (scheme, rest) = text.split_once("://").unwrap_or(("", &text));
    let rest = match rest.split_once('@') {
        Some((user, host)) if !user.contains('/') => host,
        _ => rest,
    };
    let (host, path) = if scheme.is_empty() {
        rest.split_once(':').unwrap_or((rest, ""))
    } else {
        rest.split_once('/').unwrap_or((rest, ""))
    };
    let host = match (scheme, host.rsplit_once(':')) {
        ("http", Some((host, "80")))
        | ("https", Some((host, "443")))
        | ("ssh", Some((host, "22"))) => host,
        _ => host,
    };
    let path = path.trim_matches('/');
    let path = path
        .strip_suffix(".git")
        .unwrap_or(path)
        .trim_end_matches('/');
    if host.is_empty() {
        // A file URL has a path only; like a directory it is called by its last part.
        return path.rsplit('/').next().unwrap_or(path).to_owned();
    }
    format!("{}/{path}", host.to_ascii_lowercase())
}

/// Tells repositories apart that are called by the last part of their path, and alike: `a/widgets` and `b/widgets`
/// instead of twice `widgets`. As many parts are taken as it needs. Names that begin with a host stay: two
/// clones of one repository are one repository.
pub fn tell_apart(origins: &mut [Origin]) {
    let mut alike: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (index, origin) in origins.iter().enumerate() {
        if let Some(place) = place(origin) {
            let group = alike.entry(origin.name.clone()).or_default();
            group.push((index, place));
        }
    }
    for group in alike.into_values() {
        let places: BTreeSet<&str> = group.iter().map(|(_, place)| place.as_str()).collect();
        if places.len() == 1 {
            continue;
        }
        let deepest = places.iter().map(|place| parts(place).count());
        let depth = (2..=deepest.max().unwrap_or(0)).find(|&depth| {
            let names: BTreeSet<_> = places.iter().map(|place| tail(place, depth)).collect();
            names.len() == places.len()
        });
        for (index, place) in &group {
            origins[*index].name = match depth {
                Some(depth) => tail(place, depth),
                // `widgets` and `widgets.git` side by side.
                None => place.trim_matches('/').to_owned(),
            };
        }
    }
}

/// The path of a repository whose name is the last part of it.
fn place(origin: &Origin) -> Option<String> {
    match (&origin.url, &origin.local) {
        (Some(url), _) => url.strip_prefix("file://").map(str::to_owned),
        (None, Some(local)) => Some(local.top.to_string_lossy().into_owned()),
        (None, None) => None,
    }
}

fn parts(place: &str) -> impl DoubleEndedIterator<Item = &str> {
    place.split('/').filter(|part| !part.is_empty())
}

/// The last `depth` parts of a path, without `.git`.
fn tail(place: &str, depth: usize) -> String {
    let mut last: Vec<&str> = parts(place).rev().take(depth).collect();
    last.reverse();
    let name = last.join("/");
    name.strip_suffix(".git").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_parts_of_the_path_as_it_needs() {
        for (places, names) in [
            (&["/w/a", "/w/b"][..], &["a", "b"][..]),
            (&["/w/x/a", "/w/y/a.git"], &["x/a", "y/a"]),
            (&["/w/x/a", "/w/x/a"], &["a", "a"]),
            (&["/v/x/a", "/w/x/a", "/a"], &["v/x/a", "w/x/a", "a"]),
            (&["/w/a", "/w/a.git"], &["w/a", "w/a.git"]),
            (&["/w/a", "file:///srv/a.git"], &["w/a", "srv/a"]),
            (&["/w/a", "https://h/a"], &["a", "h/a"]),
        ] {
            let mut origins: Vec<Origin> = places.iter().map(|place| origin(place)).collect();
            tell_apart(&mut origins);
            let found: Vec<&str> = origins.iter().map(|origin| origin.name.as_str()).collect();
            assert_eq!(found, names);
        }
    }

    /// What opening a path or a URL gives, as far as names are concerned.
    fn origin(place: &str) -> Origin {
        let url = place.contains("://").then(|| place.to_owned());
        let top = Path::new(place).to_owned();
        Origin {
            remote: None,
            name: of_remote(place).unwrap_or_else(|| tail(place, 1)),
            branch: String::new(),
            rev: String::new(),
            git_dir: top.clone(),
            objects: Vec::new(),
            shallow: None,
            local: url.is_none().then(|| super::super::LocalRepository {
                git_dir: top.clone(),
                common_dir: top.clone(),
                top,
                bare: true,
            }),
            held: crate::disk_cache::Held::default(),
            url,
            tags: Vec::new(),
            dirty: false,
        }
    }

    #[test]
    fn names_are_host_and_path() {
        for (url, name) in [
            (
                "git@github.com:acme/widgets.git",
                Some("github.com/acme/widgets"),
            ),
            (
                "https://github.com/acme/widgets",
                Some("github.com/acme/widgets"),
            ),
            (
                "https://user:pass@GitHub.com/acme/widgets.git/",
                Some("github.com/acme/widgets"),
            ),
            ("https://git.example:8443/x.git", Some("git.example:8443/x")),
            ("https://git.example:443/x.git", Some("git.example/x")),
            ("ssh://git@git.example:22/a/b/c", Some("git.example/a/b/c")),
            ("file:///srv/git/widgets.git", Some("widgets")),
            ("../elsewhere", None),
            ("/srv/git/widgets.git", None),
        ] {
            assert_eq!(of_remote(url).as_deref(), name, "{url}");
        }
    }
}
