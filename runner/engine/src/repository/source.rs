//! What a user may write where a repository is wanted: a path, or a git URL.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a repository is, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory on this machine; any directory inside of the repository.
    Local(PathBuf),
    /// A repository that is fetched.
    Remote {
        /// Where from.
        url: RemoteUrl,
        /// Branch, tag or full commit id written after `#`.
        revision: Option<String>,
    },
}

/// The URL of a remote repository. It displays without password or token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl(String);

/// Why an argument cannot be a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing was written.
    #[error("the name of a repository is empty")]
    Empty,
    /// A kind of URL that is not for repositories, or that would run a program.
    #[error(
        "{url}: {scheme} URLs are not supported: use https, http, ssh, git or file, or user@host:path"
    )]
    Scheme {
        /// Without credentials.
        url: String,
        /// What was before `://` or `::`.
        scheme: String,
    },
    /// Something is missing in the URL, or must not be in it.
    #[error("{url}: {reason}")]
    Malformed {
        /// Without credentials.
        url: String,
        /// What.
        reason: &'static str,
    },
}

impl Source {
    /// Reads an argument. A relative path is one from `directory`.
    ///
    /// URLs: `https://`, `http://`, `ssh://`, `git://`, `file://`, and `user@host:path`. After a URL, `#` and the name of a
    /// branch, a tag or a full commit id may follow: `https://git.example/acme/widgets#release`. Everything else is a path.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn parse(argument: &str, directory: &Path) -> Result<Self, SourceError> {
        if argument.is_empty() {
            return Err(SourceError::Empty);
        }
        let (location, revision) = match argument.split_once('#') {
            Some((location, revision)) => (location, Some(revision)),
            None => (argument, None),
        };
        if !is_url(location)? {
            // Through its components, which leaves out `.`.
            return Ok(Self::Local(directory.join(argument).components().collect()));
        }
        let malformed = |reason| SourceError::Malformed {
            url: displayed(location),
            reason,
        };
        if location.chars().any(|c| c.is_control() || c == ' ') {
            return Err(malformed("white space must be written as %20"));
        }
        if location.starts_with('-') || host(location).starts_with('-') {
            return Err(malformed("the host must not start with a dash"));
        }
        if revision.is_some_and(|revision| revision.is_empty() || revision.starts_with('-')) {
            return Err(malformed("a branch, a tag or a commit must follow the #"));
        }
        Ok(Self::Remote {
            url: RemoteUrl(location.to_owned()),
            revision: revision.map(str::to_owned),
        })
    }
}

/// Whether it is a URL we take; an error for one that we do not.
fn is_url(text: &str) -> Result<bool, SourceError> {
    let unsupported = |scheme: &str| SourceError::Scheme {
        url: displayed(text),
        scheme: scheme.to_owned(),
    };
    if let Some((scheme, _)) = text.split_once("://") {
        return match scheme {
            "https" | "http" | "ssh" | "git" | "file" => Ok(true),
            _ if scheme.contains('/') => Ok(false),
            _ => Err(unsupported(scheme)),
        };
    }
    // `ext::sh -c ...` and its like name a program that git would run.
    if let Some((scheme, _)) = text.split_once("::")
        && !scheme.contains('/')
    {
        return Err(unsupported(scheme));
    }
    Ok(matches!(text.split_once(':'), Some((host, path))
        if !host.is_empty() && !host.contains('/') && !path.is_empty() && host.contains('@')))
}

/// The part of a URL that names the machine, without the user.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', ':']).unwrap_or(rest.len());
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    match authority.rsplit_once('@') {
        Some((_, host)) => host,
        None => &rest[..end],
    }
}

impl RemoteUrl {
    /// What its repository is called: host and path, or the last part of the path if there is no host.
    pub fn repository_name(&self) -> String {
        super::name::of_url(self)
    }

    /// Whether it is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let Some((_, rest)) = self.0.split_once("://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let place = authority
            .rsplit_once('@')
            .map_or(authority, |(_, place)| place);
        let name = match place.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => place.split(':').next(),
        };
        let name = name.unwrap_or_default();
        let address = name.parse::<std::net::IpAddr>();
        name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The URL with its credentials, for git only.
    pub fn with_credentials(&self) -> &str {
        &self.0
    }

    /// What must not be shown: the part between the user's name and the `@`, or all of it for http.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let Some(credentials) = credentials(&self.0) else {
            return Vec::new();
        };
        let mut secrets = vec![credentials];
        if let Some((_, password)) = credentials.split_once(':')
            && !password.is_empty()
        {
            secrets.push(password);
        }
        secrets
    }
}

/// What stands before the `@`, if it may be secret. The user of an ssh URL without password is not.
fn credentials(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ssh", url));
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let (credentials, _) = authority.rsplit_once('@')?;
    (scheme != "ssh" || credentials.contains(':')).then_some(credentials)
}

fn displayed(url: &str) -> String {
    match credentials(url) {
        Some(credentials) => url.replacen(&format!("{credentials}@"), "", 1),
        None => url.to_owned(),
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&displayed(&self.0))
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, SourceError> {
        Source::parse(text, Path::new("/here"))
    }

    #[test]
    fn paths_are_paths() {
        for (text, path) in [
            (".", "/here/."),
            ("../a", "/here/../a"),
            ("/abs/b#c", "/abs/b#c"),
            ("a:b", "/here/a:b"),
            ("./x@y:z", "/here/./x@y:z"),
        ] {
            assert_eq!(parse(text), Ok(Source::Local(path.into())), "{text}");
        }
    }

    #[test]
    fn urls_show_no_credentials() {
        for (text, shown, revision) in [
            ("https://h/a.git", "https://h/a.git", None),
            ("https://u:p@h/a#v1", "https://h/a", Some("v1")),
            (
                "https://token@h/a#feature/x",
                "https://h/a",
                Some("feature/x"),
            ),
            ("ssh://git@h:22/a", "ssh://git@h:22/a", None),
            ("ssh://git:pw@h/a", "ssh://h/a", None),
            ("git@h:a/b.git#main", "git@h:a/b.git", Some("main")),
            ("file:///srv/a", "file:///srv/a", None),
        ] {
            let Ok(Source::Remote {
                url,
                revision: found,
            }) = parse(text)
            else {
                panic!("{text}");
            };
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("RemoteUrl({shown})"));
            assert_eq!(found.as_deref(), revision);
        }
    }

    #[test]
    fn urls_of_this_machine_are_told_apart() {
        for (text, expected) in [
            ("http://127.0.0.1:3080/a", true),
            ("http://localhost/a", true),
            ("http://u:p@[::1]:80/a", true),
            ("https://h:443/localhost", false),
            ("https://localhost@h/a", false),
            ("git@h:a", false),
        ] {
            let Ok(Source::Remote { url, .. }) = parse(text) else {
                panic!("{text}");
            };
            assert_eq!(url.is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn what_would_run_a_program_is_refused() {
        insta::assert_snapshot!(
            ["", "ext::sh -c id", "ftp://u:p@h/x", "ssh://-oProxyCommand=id/x", "https://h/a#", "a@-h:x", "https://h/a b"]
                .map(|text| parse(text).unwrap_err().to_string())
                .join("\n"),
            @r"
        the name of a repository is empty
        ext::sh -c id: ext URLs are not supported: use https, http, ssh, git or file, or user@host:path
        ftp://h/x: ftp URLs are not supported: use https, http, ssh, git or file, or user@host:path
        ssh://-oProxyCommand=id/x: the host must not start with a dash
        https://h/a: a branch, a tag or a commit must follow the #
        a@-h:x: the host must not start with a dash
        https://h/a b: white space must be written as %20
        "
        );
    }
}
