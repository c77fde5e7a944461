//! One file of the corpus: first lines that say what is expected, then the plugin.

use std::path::Path;

/// A case.
pub(crate) struct Case {
    /// The call that is made: `policy.check-step`.
    pub(crate) hook: String,
    /// How it ends.
    pub(crate) expect: String,
    /// What its message mentions.
    says: Option<String>,
    /// The whole text.
    pub(crate) text: String,
}

impl Case {
    /// Reads a file that begins with `;; what it does`, `;; hook: ..`, `;; expect: ..` and perhaps `;; says: ..`.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let find = |key: &str| {
            text.lines()
                .take_while(|line| line.starts_with(";;"))
                .find_map(|line| line.strip_prefix(&format!(";; {key}: ")))
                .map(str::to_owned)
        };
        Self {
            hook: find("hook").expect("a line `;; hook:`"),
            expect: find("expect").expect("a line `;; expect:`"),
            says: find("says"),
            text,
        }
    }

    /// That it ended as expected, and that a person is told why.
    pub(crate) fn check(&self, ended: &str, message: &str) {
        assert_eq!(ended, self.expect, "{message}");
        if let Some(says) = &self.says {
            assert!(message.contains(says), "`{says}` is not in: {message}");
        }
    }
}
