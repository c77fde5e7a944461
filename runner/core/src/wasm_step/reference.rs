//! `wasm://...`: where a step's component is.

use std::path::PathBuf;

use super::SCHEME;

/// What stands before a digest.
const DIGEST: &str = "sha256:";

/// Digits of a digest.
const DIGITS: usize = 64;

/// A `container` that names a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is.
    pub place: Place,
    /// `sha256:...` that its bytes must have; of a file or an address only, as a registry's reference holds its own.
    pub digest: Option<String>,
    /// What it calls itself: the name of the file without its ending.
    pub program: String,
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, relative to the directory of the batch spec unless absolute.
    File(PathBuf),
    /// An address, `https://...` or `http://...`.
    Address(String),
    /// A reference in a registry, without `oci://`: `registry.example/tools/rename:1.2`.
    Registry(String),
}

/// A `wasm://` that names no component. The text tells what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing follows the scheme.
    #[error(
        "wasm:// names no component: write wasm://./tool.wasm for a file beside the batch spec"
    )]
    Empty,
    /// It looks like a file, but could be taken for something in a registry.
    #[error(
        "wasm://{0} names no registry: for a file beside the batch spec write wasm://./{0}, else put the registry in front"
    )]
    NoRegistry(String),
    /// What follows the last `@` is no digest.
    #[error("wasm://{0}: what follows @ is no digest: write @sha256: and 64 hexadecimal digits")]
    Digest(String),
    /// It contains white space or control characters.
    #[error("wasm://{0:?} contains white space or control characters")]
    Characters(String),
}

impl Reference {
    /// Reads a `container`; `None` if it is an image.
    ///
    /// # Errors
    /// If it is a `wasm://` that names no component.
    pub fn parse(container: &str) -> Option<Result<Self, ReferenceError>> {
        container.trim().strip_prefix(SCHEME).map(read)
    }
}

fn read(text: &str) -> Result<Reference, ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(ReferenceError::Characters(text.to_owned()));
    }
    let is_file = ["./", "../", "/"]
        .iter()
        .any(|start| text.starts_with(start));
    let is_address = text.starts_with("https://") || text.starts_with("http://");
    if !is_file && !is_address {
        return registry(text);
    }
    let (path, digest) = match text.rsplit_once('@') {
        Some((path, digest)) if is_digest(digest) => (path, Some(digest.to_owned())),
        // A path may hold an `@`, but nobody means half a digest.
        Some((_, rest)) if rest.starts_with(DIGEST) => {
            return Err(ReferenceError::Digest(text.to_owned()));
        }
        _ => (text, None),
    };
    Ok(Reference {
        program: program(path.split(['?', '#']).next().unwrap_or(path)),
        place: if is_file {
            Place::File(PathBuf::from(path))
        } else {
            Place::Address(path.to_owned())
        },
        digest,
    })
}

fn registry(text: &str) -> Result<Reference, ReferenceError> {
    let reference = text.strip_prefix("oci://").unwrap_or(text);
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(ReferenceError::Digest(text.to_owned()));
    }
    // The rule by which image names are read: a registry has a dot or a port, or is this machine.
    let host = name.split_once('/').map(|(host, _)| host);
    if !host.is_some_and(|host| host == "localhost" || host.contains(['.', ':'])) {
        return Err(ReferenceError::NoRegistry(text.to_owned()));
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let untagged = last.split_once(':').map_or(last, |(name, _)| name);
    Ok(Reference {
        place: Place::Registry(reference.to_owned()),
        digest: None,
        program: program(untagged),
    })
}

fn is_digest(text: &str) -> bool {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix(DIGEST)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(lower_hex))
}

/// The last part of a path without its ending.
fn program(path: &str) -> String {
    let name = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path);
    let stem = name.strip_suffix(".wasm").unwrap_or(name);
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn shown(container: &str) -> String {
        match Reference::parse(container) {
            None => "an image".to_owned(),
            Some(Err(error)) => error.to_string(),
            Some(Ok(Reference {
                place,
                digest,
                program,
            })) => {
                let pinned = if digest.is_some() { ", pinned" } else { "" };
                format!("{place:?}{pinned} as {program:?}").replace(HEX, "HEX")
            }
        }
    }

    #[test]
    fn names_components() {
        for (container, expected) in [
            ("alpine:3", "an image"),
            ("wasm", "an image"),
            ("wasm://./fix.wasm", r#"File("./fix.wasm") as "fix""#),
            (" wasm://./fix.wasm\n", r#"File("./fix.wasm") as "fix""#),
            ("wasm://../a@b/fix", r#"File("../a@b/fix") as "fix""#),
            (
                "wasm:///opt/fix.v2.wasm",
                r#"File("/opt/fix.v2.wasm") as "fix.v2""#,
            ),
            (
                "wasm://./fix.wasm@sha256:HEX",
                r#"File("./fix.wasm"), pinned as "fix""#,
            ),
            (
                "wasm://https://example.org/t/fix.wasm?v=2@sha256:HEX",
                r#"Address("https://example.org/t/fix.wasm?v=2"), pinned as "fix""#,
            ),
            (
                "wasm://ghcr.io/acme/fix:1.2",
                r#"Registry("ghcr.io/acme/fix:1.2") as "fix""#,
            ),
            (
                "wasm://localhost:5000/fix",
                r#"Registry("localhost:5000/fix") as "fix""#,
            ),
            (
                "wasm://oci://localhost/fix",
                r#"Registry("localhost/fix") as "fix""#,
            ),
            (
                "wasm://ghcr.io/acme/fix:1@sha256:HEX",
                r#"Registry("ghcr.io/acme/fix:1@sha256:HEX") as "fix""#,
            ),
        ] {
            assert_eq!(
                shown(&container.replace("HEX", HEX)),
                expected,
                "{container}"
            );
        }
    }

    #[test]
    fn says_what_would_name_one() {
        for (container, expected) in [
            (
                "wasm://",
                "wasm:// names no component: write wasm://./tool.wasm for a file beside the batch spec",
            ),
            (
                "wasm://tools/fix.wasm",
                "wasm://tools/fix.wasm names no registry: for a file beside the batch spec write wasm://./tools/fix.wasm, else put the registry in front",
            ),
            (
                "wasm://fix.wasm",
                "wasm://fix.wasm names no registry: for a file beside the batch spec write wasm://./fix.wasm, else put the registry in front",
            ),
            (
                "wasm://./fix.wasm@sha256:12",
                "wasm://./fix.wasm@sha256:12: what follows @ is no digest: write @sha256: and 64 hexadecimal digits",
            ),
            (
                "wasm://ghcr.io/fix@latest",
                "wasm://ghcr.io/fix@latest: what follows @ is no digest: write @sha256: and 64 hexadecimal digits",
            ),
            (
                "wasm://./a b",
                r#"wasm://"./a b" contains white space or control characters"#,
            ),
        ] {
            assert_eq!(shown(container), expected, "{container}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_anything(text in ".{0,60}") {
            let _ = Reference::parse(&format!("wasm://{text}"));
        }
    }
}
