//! References to images, as people write them and in full.

use std::fmt;

/// The registry of references that name none.
const HUB: &str = "docker.io";

/// A reference in full: `docker.io/library/alpine:3.20@sha256:...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Registry and path, without tag and digest: `docker.io/library/alpine`.
    pub(crate) name: String,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
}

/// What is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It does not follow the grammar.
    Malformed,
    /// The id of an image that the engine happens to have, or what it may take for one.
    Id,
}

impl Reference {
    /// Reads a reference.
    pub(crate) fn parse(text: &str) -> Result<Self, Unreadable> {
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
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        // The engine looks among the ids of its images, also shortened ones.
        if digest.is_none() && (name == "sha256" || (tag.is_none() && hex(name))) {
            return Err(Unreadable::Id);
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path),
            _ => (HUB, name),
        };
        let valid = text.len() <= 512
            && is_host(registry)
            && path.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !valid {
            return Err(Unreadable::Malformed);
        }
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
                HUB.to_owned()
            }
            // What is a registry for its capitals only has to keep them, else it were none any more.
            other if other.contains(['.', ':']) => other.to_ascii_lowercase(),
            other => other.to_owned(),
        };
        let library = if registry == HUB && !path.contains('/') {
            "library/"
        } else {
            ""
        };
        Ok(Self {
            name: format!("{registry}/{library}{path}"),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether the first part of a name is a registry: it has a dot or a port, is `localhost`, or has capitals.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !registry.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host_is_valid = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(label),
    };
    host_is_valid
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Lower-case letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let between = |part: &str| {
        part.is_empty() || part.bytes().all(|b| b == b'-') || matches!(part, "." | "_" | "__")
    };
    let ends = |b: Option<&u8>| b.is_some_and(alphanumeric);
    ends(text.as_bytes().first())
        && ends(text.as_bytes().last())
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(between)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        digits.len() == length
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_are_read_in_full() {
        for (text, full) in [
            ("alpine", "docker.io/library/alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("acme/tool:1", "docker.io/acme/tool:1"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("index.docker.io/library/alpine", "docker.io/library/alpine"),
            ("registry.hub.docker.com/acme/tool", "docker.io/acme/tool"),
            ("GHCR.io/acme/tool", "ghcr.io/acme/tool"),
            ("localhost/tool", "localhost/tool"),
            ("Acme/tool", "Acme/tool"),
            ("localhost:5000/tool:1", "localhost:5000/tool:1"),
            ("[::1]:5000/tool", "[::1]:5000/tool"),
            ("r.example/a/b__c/d-e.f:V1_2", "r.example/a/b__c/d-e.f:V1_2"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), full, "{text}");
        }
        let pinned = Reference::parse(&format!("alpine:3@{DIGEST}")).unwrap();
        assert_eq!(
            pinned.to_string(),
            format!("docker.io/library/alpine:3@{DIGEST}")
        );
    }

    #[test]
    fn what_is_none_is_told() {
        let id = DIGEST.strip_prefix("sha256:").unwrap();
        for (text, expected) in [
            (DIGEST, Unreadable::Id),
            (id, Unreadable::Id),
            ("4bcff639", Unreadable::Id),
            ("", Unreadable::Malformed),
            ("Alpine", Unreadable::Malformed),
            ("alpine:", Unreadable::Malformed),
            ("alpine:-x", Unreadable::Malformed),
            ("alpine@sha256:12", Unreadable::Malformed),
            ("alpine@", Unreadable::Malformed),
            ("a//b", Unreadable::Malformed),
            ("a/../b", Unreadable::Malformed),
            ("a b", Unreadable::Malformed),
            ("a___b", Unreadable::Malformed),
            ("-a", Unreadable::Malformed),
            ("https://ghcr.io/acme/tool", Unreadable::Malformed),
            ("r.example:x/a", Unreadable::Malformed),
        ] {
            assert_eq!(Reference::parse(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_in_full_stays_as_it_is(text in "([a-z0-9.:/@_-]|[A-Z]){0,30}") {
            if let Ok(reference) = Reference::parse(&text) {
                let full = reference.to_string();
                prop_assert_eq!(Reference::parse(&full), Ok(reference), "{}", full);
            }
        }
    }
}
