//! Image references as people write them: `[registry/]path[:tag][@digest]`.

/// The host that stands for Docker Hub in normalised references.
pub const HUB: &str = "docker.io";

/// A reference that follows the grammar, so that it is safe inside a URL path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Registry host with its port, `docker.io` when none is written.
    pub registry: String,
    /// Path on the registry; `library/` stands before official images of Docker Hub.
    pub path: String,
    /// The name as written, without tag and digest.
    pub name: String,
    /// Tag, where one is written.
    pub tag: Option<String>,
    /// Digest of the manifest, where one is written; any algorithm.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference; `None` when it does not follow the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[after_slash..].find(':') {
            Some(at) => (
                &rest[..after_slash + at],
                Some(&rest[after_slash + at + 1..]),
            ),
            None => (rest, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path),
            _ => (HUB, name),
        };
        let valid = name.len() <= 255
            && path.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !valid {
            return None;
        }
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => HUB,
            other => other,
        };
        let path = match (registry, path.contains('/')) {
            (HUB, false) => format!("library/{path}"),
            _ => path.to_owned(),
        };
        Some(Self {
            registry: registry.to_owned(),
            path,
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Whether it was written with a registry.
    pub fn has_registry(&self) -> bool {
        self.name
            .split_once('/')
            .is_some_and(|(host, _)| is_host(host))
    }

    /// Digest if there is one, else the tag, else `latest`: what the APIs of engines and registries take.
    pub fn version(&self) -> &str {
        let written = self.digest.as_deref().or(self.tag.as_deref());
        written.unwrap_or("latest")
    }
}

/// Whether the first part of a name is a registry: it has a dot or a port, is `localhost`, or has capitals.
fn is_host(part: &str) -> bool {
    let (host, port) = match part.rsplit_once(':') {
        Some((host, port)) if !part.ends_with(']') => (host, Some(port)),
        _ => (part, None),
    };
    let looks_like_one = port.is_some()
        || part.contains('.')
        || part == "localhost"
        || part.starts_with('[')
        || part.bytes().any(|b| b.is_ascii_uppercase());
    let host_is_valid = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    };
    looks_like_one
        && host_is_valid
        && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Lower-case letters and digits, separated by `.`, `_`, `__` or any number of `-`.
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    alphanumeric(*first)
        && alphanumeric(*last)
        && bytes
            .split(|b| alphanumeric(*b))
            .all(|gap| matches!(gap, b"" | b"." | b"_" | b"__") || gap.iter().all(|b| *b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'_' | b'-'))
            && (32..=128).contains(&hex.len())
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[rstest]
    #[case("alpine", "docker.io", "library/alpine", "alpine", "latest")]
    #[case("alpine:3", "docker.io", "library/alpine", "alpine", "3")]
    #[case("acme/tool", "docker.io", "acme/tool", "acme/tool", "latest")]
    #[case(
        "docker.io/acme/tool",
        "docker.io",
        "acme/tool",
        "docker.io/acme/tool",
        "latest"
    )]
    #[case(
        "index.docker.io/alpine",
        "docker.io",
        "library/alpine",
        "index.docker.io/alpine",
        "latest"
    )]
    #[case("localhost/x", "localhost", "x", "localhost/x", "latest")]
    #[case("localhost:5000/x:1", "localhost:5000", "x", "localhost:5000/x", "1")]
    #[case("[::1]:5000/x", "[::1]:5000", "x", "[::1]:5000/x", "latest")]
    #[case(
        "ghcr.io/a/b__c-d/e.f:v1.2_3",
        "ghcr.io",
        "a/b__c-d/e.f",
        "ghcr.io/a/b__c-d/e.f",
        "v1.2_3"
    )]
    #[case(
        "b847de631e21",
        "docker.io",
        "library/b847de631e21",
        "b847de631e21",
        "latest"
    )]
    fn reads_names(
        #[case] text: &str,
        #[case] registry: &str,
        #[case] path: &str,
        #[case] name: &str,
        #[case] version: &str,
    ) {
        let read = Reference::parse(text).unwrap();
        assert_eq!(
            [&read.registry, &read.path, &read.name, read.version()],
            [registry, path, name, version]
        );
    }

    #[test]
    fn a_digest_wins_over_the_tag() {
        let reference = Reference::parse(&format!("acme/tool:1@{DIGEST}")).unwrap();
        assert_eq!(reference.name, "acme/tool");
        assert_eq!(reference.version(), DIGEST);
        assert_eq!(reference.tag.as_deref(), Some("1"));
        assert!(Reference::parse(DIGEST).is_some(), "image ids are accepted");
    }

    #[rstest]
    fn refuses(
        #[values(
            "",
            " ",
            "Alpine",
            "a b",
            "a//b",
            "/a",
            "a/",
            "../containers/json",
            "a/../b",
            "a?b",
            "a#b",
            "a%2fb",
            "a:",
            "a:b:c",
            "a@sha256:short",
            "a@",
            "-a",
            "a..b",
            "a___b",
            "x.y:port/z",
            "a\n",
            "ü"
        )]
        text: &str,
    ) {
        assert_eq!(Reference::parse(text), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_safe_in_a_url(text in prop_oneof![any::<String>(), "[a-zA-Z0-9.:/@_-]{0,40}"]) {
            if let Some(reference) = Reference::parse(&text) {
                for part in [&*reference.path, reference.version()] {
                    prop_assert!(!part.contains(['?', '#', '%', '\\', ' ']) && !part.contains(char::is_control), "{part:?}");
                    prop_assert!(part.split('/').all(|part| !part.is_empty() && part != ".." && part != "."), "{part:?}");
                }
            }
        }
    }
}
