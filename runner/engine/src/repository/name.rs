//! The name of a repository, from the URL of its remote.

use super::source::{RemoteUrl, Source};
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

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
