//! Replaces what differs from run to run: paths, times, identifiers.

use std::path::Path;
use std::sync::LazyLock;

use regex_lite::Regex;

/// Patterns, in the order in which they are applied, and what takes the place of a match.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // 2026-01-02T03:04:05.678Z
        (
            r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?",
            "<timestamp>",
        ),
        // 1.2s, 340ms, 1m 02s, 12µs
        (r"\b(\d+m ?)?\d+(\.\d+)?(ms|µs|s)\b", "<time>"),
        // Content digests and the ids of containers.
        (r"\b[0-9a-f]{64}\b", "<digest>"),
        // What a run's own directories are called.
        (r"/logs/[a-z0-9]{12}/", "/logs/<run>/"),
        (r"/kept/[a-z0-9]{12}/", "/kept/<run>/"),
        // Names made by `mktemp` and by the tempfile crate.
        (r"\btmp\.[A-Za-z0-9]{6,}", "tmp.<random>"),
        (r"\.tmp[A-Za-z0-9]{6}\b", ".tmp<random>"),
        (r#""taskID":"[^"]*""#, r#""taskID":"<task>""#),
        // Loopback ports are handed out by the machine.
        (r"\b127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
    ]
    .map(|(pattern, replacement)| {
        let pattern = Regex::new(pattern).expect("the patterns above are valid");
        (pattern, replacement)
    })
    .into()
});

pub(crate) fn normalise(text: &str, world: &Path) -> String {
    let mut text = text.replace(&*world.to_string_lossy(), "$WORLD");
    for (pattern, replacement) in RULES.iter() {
        text = pattern
            .replace_all(&text, regex_lite::NoExpand(replacement))
            .into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::normalise;

    #[test]
    fn what_varies_is_replaced_and_the_rest_is_kept() {
        for (text, expected) in [
            ("log: /tmp/w1/home/x.log", "log: $WORLD/home/x.log"),
            ("done in 1.25s", "done in <time>"),
            ("took 340ms, then 1m 02s", "took <time>, then <time>"),
            ("3 steps, 12 files", "3 steps, 12 files"),
            ("exit code 127", "exit code 127"),
            ("/x/logs/i8wjhvozdcrq/0.log", "/x/logs/<run>/0.log"),
            (
                r#"{"timestamp":"2026-01-02T03:04:05.75Z"}"#,
                r#"{"timestamp":"<timestamp>"}"#,
            ),
            (
                r#"{"taskID":"3kTj","step":1}"#,
                r#"{"taskID":"<task>","step":1}"#,
            ),
            ("/tmp/tmp.y9W9SR: line 3", "/tmp/tmp.<random>: line 3"),
            (
                "d6a8f0c1e2b3d6a8f0c1e2b3d6a8f0c1e2b3d6a8",
                "d6a8f0c1e2b3d6a8f0c1e2b3d6a8f0c1e2b3d6a8",
            ),
            (&format!("sha256:{}", "0a".repeat(32)), "sha256:<digest>"),
            ("at 127.0.0.1:5810/x", "at 127.0.0.1:<port>/x"),
        ] {
            assert_eq!(normalise(text, Path::new("/tmp/w1")), expected);
        }
    }
}
