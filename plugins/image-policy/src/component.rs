//! Steps that are components: `wasm://...`.

/// What images do not begin with.
const SCHEME: &str = "wasm://";

/// A component that a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// What patterns are compared with, without a digest: `./tools/fix.wasm`, `https://...`, `ghcr.io/acme/fix:1`.
    pub(crate) name: String,
    /// Whether a digest says which bytes it has.
    pub(crate) pinned: bool,
    /// Whether it is a file beside the batch spec or on this machine.
    pub(crate) file: bool,
}

impl Component {
    /// Reads an image; `None` if it is none of these.
    pub(crate) fn parse(image: &str) -> Option<Self> {
        let text = image.trim().strip_prefix(SCHEME)?;
        let file = ["./", "../", "/"]
            .iter()
            .any(|start| text.starts_with(start));
        let (name, pinned) = match text.rsplit_once("@sha256:") {
            Some((name, digits)) => (name, digits.len() == 64 && is_hex(digits)),
            None => (text, false),
        };
        let name = name.strip_prefix("oci://").unwrap_or(name);
        Some(Self {
            name: if file { plain(name) } else { name.to_owned() },
            pinned,
            file,
        })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The path without detours, so that `./tools/../other.wasm` is not taken for something in `tools`.
fn plain(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // Above the root there is the root.
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let start = match parts.first() {
        _ if absolute => "/",
        Some(&"..") => "",
        _ => "./",
    };
    format!("{start}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_read() {
        let digest = "0123456789abcdef".repeat(4);
        for (image, expected) in [
            ("alpine:3".to_owned(), None),
            ("wasm://./fix.wasm".to_owned(), Some(("./fix.wasm", false))),
            (
                "wasm://./a/./b//../fix.wasm".to_owned(),
                Some(("./a/fix.wasm", false)),
            ),
            (
                "wasm://./../fix.wasm".to_owned(),
                Some(("../fix.wasm", false)),
            ),
            ("wasm://./a/../../../x".to_owned(), Some(("../../x", false))),
            (
                "wasm:///opt/../../etc/x".to_owned(),
                Some(("/etc/x", false)),
            ),
            (
                format!("wasm://./fix.wasm@sha256:{digest}"),
                Some(("./fix.wasm", true)),
            ),
            (
                "wasm://ghcr.io/acme/fix:1".to_owned(),
                Some(("ghcr.io/acme/fix:1", false)),
            ),
            (
                format!("wasm://oci://ghcr.io/acme/fix:1@sha256:{digest}"),
                Some(("ghcr.io/acme/fix:1", true)),
            ),
            (
                "wasm://ghcr.io/acme/fix@sha256:12".to_owned(),
                Some(("ghcr.io/acme/fix", false)),
            ),
            (
                "wasm://https://example.org/fix.wasm".to_owned(),
                Some(("https://example.org/fix.wasm", false)),
            ),
        ] {
            let component = Component::parse(&image);
            let read = component.as_ref().map(|c| (c.name.as_str(), c.pinned));
            assert_eq!(read, expected, "{image}");
        }
    }
}
