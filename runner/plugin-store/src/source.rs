//! Where a component is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

use crate::digest::{Digest, NotADigest};
use crate::net::is_loopback;
use crate::registry::{HUB, Reference};

/// Where a component is. Shown as the configuration and the lock write it; equal sources are shown equally.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A file; relative to a directory that the context gives.
    Path(PathBuf),
    /// `https://...`; `http://` for the loopback interface only.
    Https(Url),
    /// `oci://...`: a reference in an OCI registry, perhaps with the digest of a manifest.
    Oci(Reference),
}

/// A text that is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is nothing.
    #[error("the source is empty; write a path, https://... or oci://...")]
    Empty,
    /// A scheme that is not known.
    #[error(
        "{scheme}:// is no place that plugins come from; write a path, https://... or oci://..."
    )]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// Not a reference.
    #[error(
        "{0:?} is not a reference in a registry; it looks like registry.example/team/plugin:1.0 in lower-case letters"
    )]
    Reference(String),
    /// A reference without a registry.
    #[error("{0:?} names no registry; for Docker Hub write {HUB}/{0}")]
    NoRegistry(String),
    /// The digest in a reference is none.
    #[error(transparent)]
    Digest(#[from] NotADigest),
    /// Not a URL.
    #[error("{url:?} is not a URL: {reason}")]
    Url {
        /// As written, without user name and password.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Plain HTTP to another machine.
    #[error(
        "{0} is not encrypted, so anybody on the way could replace the component; use https://"
    )]
    PlainHttp(Url),
    /// A URL that holds a password.
    #[error(
        "the URL on {host} holds a user name or a password, which would end up in the lock file; leave them out"
    )]
    Secret {
        /// The host.
        host: String,
    },
}

impl Source {
    /// The component of a step: what follows `wasm://` in a batch spec. A path starts with `./`, `../` or `/`;
    /// `https://...` is a URL; all else is a reference in a registry.
    ///
    /// # Errors
    ///
    /// [`SourceError`], if it is none of these.
    pub fn of_step(rest: &str) -> Result<Self, SourceError> {
        let path = ["./", "../", "/"]
            .iter()
            .any(|start| rest.starts_with(start));
        if path || rest.is_empty() || rest.contains("://") {
            rest.parse()
        } else {
            reference(rest).map(Self::Oci)
        }
    }

    /// Whether it is on another machine, so that it has to be pinned.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Path(_))
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.trim().is_empty() {
            return Err(SourceError::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Path(text.into()));
        };
        match scheme {
            "oci" => reference(rest).map(Self::Oci),
            "https" | "http" => url(text).map(Self::Https),
            // A directory may have a colon in its name.
            _ if scheme.contains('/') => Ok(Self::Path(text.into())),
            _ => Err(SourceError::Scheme {
                scheme: scheme.chars().take(40).collect(),
            }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Https(url) => url.fmt(f),
            Self::Oci(reference) => {
                write!(f, "oci://{}/{}", reference.registry, reference.path)?;
                if let Some(tag) = &reference.tag {
                    write!(f, ":{tag}")?;
                }
                match &reference.digest {
                    Some(digest) => write!(f, "@{digest}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A reference that says which registry it means.
fn reference(text: &str) -> Result<Reference, SourceError> {
    let wrong = || SourceError::Reference(text.chars().take(200).collect());
    let mut reference = Reference::parse(text).ok_or_else(wrong)?;
    if reference.registry == HUB && !reference.has_registry() {
        return Err(SourceError::NoRegistry(text.to_owned()));
    }
    if let Some(digest) = &reference.digest {
        digest.parse::<Digest>()?;
    }
    // Two ways to write the same are the same source.
    reference.name = format!("{}/{}", reference.registry, reference.path);
    Ok(reference)
}

fn url(text: &str) -> Result<Url, SourceError> {
    let wrong = |reason: String| SourceError::Url {
        url: text.split('@').next_back().unwrap_or_default().to_owned(),
        reason,
    };
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SourceError::Secret {
            host: url.host_str().unwrap_or_default().to_owned(),
        });
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(SourceError::PlainHttp(url));
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn shown(source: Result<Source, SourceError>) -> String {
        match source {
            Ok(Source::Path(path)) => format!("path {}", path.display()),
            Ok(Source::Https(url)) => format!("url {url}"),
            Ok(Source::Oci(reference)) => format!("reference {}", Source::Oci(reference)),
            Err(error) => error.to_string(),
        }
    }

    #[rstest]
    #[case("./x.wasm", "path ./x.wasm")]
    #[case("/opt/x.wasm", "path /opt/x.wasm")]
    #[case("x.wasm", "path x.wasm")]
    #[case("plugins/a:b://c", "path plugins/a:b://c")]
    #[case("https://example.com/x.wasm", "url https://example.com/x.wasm")]
    #[case(
        "https://Example.com:443/a/../x.wasm#part",
        "url https://example.com/x.wasm"
    )]
    #[case("http://localhost:8080/x", "url http://localhost:8080/x")]
    #[case("http://127.3.2.1/x", "url http://127.3.2.1/x")]
    #[case("http://[::1]:80/x", "url http://[::1]/x")]
    #[case("oci://ghcr.io/acme/x:1.2", "reference oci://ghcr.io/acme/x:1.2")]
    #[case("oci://ghcr.io/acme/x", "reference oci://ghcr.io/acme/x")]
    #[case("oci://localhost:5000/x", "reference oci://localhost:5000/x")]
    #[case("oci://index.docker.io/x:1", "reference oci://docker.io/library/x:1")]
    #[case("oci://docker.io/library/x:1", "reference oci://docker.io/library/x:1")]
    #[case("", "the source is empty; write a path, https://... or oci://...")]
    #[case(
        "ftp://x/y",
        "ftp:// is no place that plugins come from; write a path, https://... or oci://..."
    )]
    #[case(
        "oci://acme/x:1",
        "\"acme/x:1\" names no registry; for Docker Hub write docker.io/acme/x:1"
    )]
    #[case(
        "oci://ghcr.io/Acme/x",
        "\"ghcr.io/Acme/x\" is not a reference in a registry; it looks like registry.example/team/plugin:1.0 in lower-case letters"
    )]
    #[case(
        "http://example.com/x",
        "http://example.com/x is not encrypted, so anybody on the way could replace the component; use https://"
    )]
    #[case(
        "http://localhost.example.com/x",
        "http://localhost.example.com/x is not encrypted, so anybody on the way could replace the component; use https://"
    )]
    #[case(
        "https://me:geheim@example.com/x",
        "the URL on example.com holds a user name or a password, which would end up in the lock file; leave them out"
    )]
    #[case("https://me:geheim@:x/", "\":x/\" is not a URL: empty host")]
    #[case(
        "oci://ghcr.io/acme/x@sha512:9f86d081884c7d659a2feaa0c55ad015",
        "\"sha512:9f86d081884c7d659a2feaa0c55ad015\" is not a digest: it has to be `sha256:` and 64 digits or letters from a to f"
    )]
    fn sources_are_read(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text.parse()), expected);
    }

    #[rstest]
    #[case("./x.wasm", "path ./x.wasm")]
    #[case("../x.wasm", "path ../x.wasm")]
    #[case("/x.wasm", "path /x.wasm")]
    #[case("https://example.com/x.wasm", "url https://example.com/x.wasm")]
    #[case("ghcr.io/acme/x:1", "reference oci://ghcr.io/acme/x:1")]
    #[case(
        "x.wasm",
        "\"x.wasm\" names no registry; for Docker Hub write docker.io/x.wasm"
    )]
    #[case("", "the source is empty; write a path, https://... or oci://...")]
    fn steps_name_references_without_a_scheme(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(Source::of_step(text)), expected);
    }

    #[test]
    fn a_digest_is_part_of_a_source() {
        let text = format!("oci://ghcr.io/acme/x:1@{DIGEST}");
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(
            text in r"(oci://|https?://|ftp://|)[a-z0-9.:/@\[\]%?#A-Z -]{0,30}"
        ) {
            if let Ok(source) = text.parse::<Source>() {
                prop_assert_eq!(source.to_string().parse(), Ok(source));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = text.parse::<Source>();
            let _ = Source::of_step(&text);
        }
    }
}
