//! Keeps files that no step touched out of the diff, whatever the attributes say about line endings.
//!
//! A repository may hold files that its own `.gitattributes` would have stored otherwise, such as `*.txt text` beside a
//! text file with CRLF. Git calls such a file changed as soon as it looks at its content, and whether it looks depends
//! on the second in which the file was checked out. Here the rule is: the bytes of the base are no change.

use memchr::memmem;

use super::Workspace;
use crate::git::{GitError, quote};

/// Limit of what git may list, in bytes.
const LISTING: usize = 512 * 1024 * 1024;

/// A file that git calls modified.
struct Modified<'a> {
    mode: &'a str,
    base: &'a str,
    name: &'a [u8],
}

impl Workspace {
    /// Whether a `.gitattributes` may be among the files. The index has their names as they are: a look at it costs less than asking git.
    fn may_have_attributes(&self) -> bool {
        let index = fs_err::read(self.git_dir().join("index"));
        index.map_or(true, |index| {
            memmem::find(&index, b".gitattributes\0").is_some()
        })
    }

    /// Puts the base's entry back for every file that has the very bytes of the base.
    pub(super) async fn forget_conversions(&mut self) -> Result<(), GitError> {
        if !self.may_have_attributes() {
            return Ok(());
        }
        let raw = self
            .run("diff-index")
            .args(["--cached", "--raw", "-z", "--no-renames", "--no-abbrev"])
            .args([&self.base, "--"])
            .output(LISTING)
            .await?;
        let modified = modified(&raw);
        if modified.is_empty() {
            return Ok(());
        }
        // Git has just read these files; no process of a step is alive that could have swapped them since.
        let mut names = Vec::new();
        for file in &modified {
            quote(file.name, &mut names);
            names.push(b'\n');
        }
        let ids = self
            .run("hash-object")
            .args(["--no-filters", "--stdin-paths"])
            .input(names)
            .output(LISTING)
            .await?;
        let ids = String::from_utf8_lossy(&ids).into_owned();
        let mut entries = Vec::new();
        for (file, id) in modified.iter().zip(ids.lines()) {
            if file.base == id {
                entries.extend_from_slice(format!("{} {}\t", file.mode, file.base).as_bytes());
                entries.extend_from_slice(file.name);
                entries.push(0);
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        self.run("update-index")
            .args(["-z", "--index-info"])
            .input(entries)
            .run()
            .await
    }
}

/// Reads `:100644 100644 <old> <new> M`, NUL, name, NUL, and so on. Only regular files whose mode is the same count.
fn modified(raw: &[u8]) -> Vec<Modified<'_>> {
    let mut fields = raw.split(|&byte| byte == 0);
    let mut found = Vec::new();
    while let (Some(status), Some(name)) = (fields.next(), fields.next()) {
        let Ok(status) = std::str::from_utf8(status) else {
            continue;
        };
        let words: Vec<&str> = status.trim_start_matches(':').split(' ').collect();
        if let [before, after, base, _, "M"] = words[..]
            && before == after
            && before.starts_with("100")
        {
            found.push(Modified {
                mode: before,
                base,
                name,
            });
        }
    }
    found
}
