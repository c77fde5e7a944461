//! The parser against git itself: random trees, random edits, and what git says of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::super::{Diff, Kind};

#[derive(Debug, Clone)]
enum File {
    Text(Vec<u8>, bool),
    Link(Vec<u8>),
}

type Tree = BTreeMap<Vec<u8>, File>;

#[derive(Debug, Clone)]
enum Edit {
    Add(Vec<u8>, File),
    Delete(usize),
    Append(usize, Vec<u8>),
    ToggleExecutable(usize),
    Rename(usize, Vec<u8>),
    MakeLink(usize),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let parts: &[&[u8]] = &[
        b"a",
        b"b",
        b"sp ace",
        b" lead",
        b"trail ",
        b"q\"uote",
        b"ta\tb",
        b"new\nline",
        b"back\\slash",
        b"na\xc3\xafve",
        b"bad\xff",
        b"\x01ctl",
        b"dev",
        b"null",
        b"a b a b",
        b"-dash",
        b"--- x",
        b"x\r",
    ];
    prop::collection::vec(prop::sample::select(parts), 1..3).prop_map(|parts| parts.join(&b'/'))
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let lines: &[&[u8]] = &[
        b"one\n",
        b"two\n",
        b"--- a\n",
        b"+++ b\n",
        b"@@ -1 +1 @@\n",
        b"diff --git x x\n",
        b"\n",
        b"crlf\r\n",
        b"\xff\xfe\n",
        b"\\ No newline at end of file\n",
        b"end",
        b"nul\0byte\n",
        b"GIT binary patch\n",
    ];
    // Mostly text; a NUL makes git call it binary.
    prop::collection::vec(prop::sample::select(lines), 0..8).prop_map(|lines| lines.concat())
}

fn file() -> impl Strategy<Value = File> {
    prop_oneof![
        6 => (content(), any::<bool>()).prop_map(|(text, executable)| File::Text(text, executable)),
        1 => name().prop_map(File::Link),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let which = 0..100_usize;
    prop_oneof![
        (name(), file()).prop_map(|(name, file)| Edit::Add(name, file)),
        which.clone().prop_map(Edit::Delete),
        (which.clone(), content()).prop_map(|(which, text)| Edit::Append(which, text)),
        which.clone().prop_map(Edit::ToggleExecutable),
        (which.clone(), name()).prop_map(|(which, name)| Edit::Rename(which, name)),
        which.prop_map(Edit::MakeLink),
    ]
}

/// Adds a file, unless a directory has its name or a file is in its way.
fn add(tree: &mut Tree, name: Vec<u8>, file: File) {
    let clashes = |one: &[u8], other: &[u8]| {
        one.strip_prefix(other)
            .is_some_and(|rest| rest.starts_with(b"/"))
    };
    if !tree
        .keys()
        .any(|other| clashes(&name, other) || clashes(other, &name))
    {
        tree.insert(name, file);
    }
}

fn apply(tree: &mut Tree, edit: Edit) {
    let pick = |tree: &Tree, which: usize| {
        (!tree.is_empty()).then(|| tree.keys().nth(which % tree.len()).unwrap().clone())
    };
    match edit {
        Edit::Add(name, file) => add(tree, name, file),
        Edit::Delete(which) => {
            pick(tree, which).and_then(|name| tree.remove(&name));
        }
        Edit::Append(which, more) => {
            if let Some(File::Text(text, _)) =
                pick(tree, which).and_then(|name| tree.get_mut(&name))
            {
                text.extend(more);
            }
        }
        Edit::ToggleExecutable(which) => {
            if let Some(File::Text(_, executable)) =
                pick(tree, which).and_then(|name| tree.get_mut(&name))
            {
                *executable = !*executable;
            }
        }
        Edit::Rename(which, name) => {
            if let Some(file) = pick(tree, which).and_then(|name| tree.remove(&name)) {
                add(tree, name, file);
            }
        }
        Edit::MakeLink(which) => {
            if let Some(name) = pick(tree, which) {
                tree.insert(name, File::Link(b"target".to_vec()));
            }
        }
    }
}

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("capstan-diff-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn git(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Makes the working tree be `tree`.
    fn write(&self, tree: &Tree) {
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() == ".git" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                fs::remove_dir_all(entry.path()).unwrap();
            } else {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        for (name, file) in tree {
            let path = self.0.join(Path::new(OsStr::from_bytes(name)));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match file {
                File::Text(text, executable) => {
                    fs::write(&path, text).unwrap();
                    let mode = if *executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                }
                File::Link(target) => symlink(OsStr::from_bytes(target), &path).unwrap(),
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `git diff --name-status -z` says, with a changed type as a deletion and an addition.
fn name_status(output: &[u8]) -> Vec<(char, Vec<u8>, Vec<u8>)> {
    let mut fields = output
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty());
    let mut entries = Vec::new();
    while let Some(status) = fields.next() {
        let old = fields.next().unwrap().to_vec();
        match status[0] {
            b'R' => entries.push(('R', old, fields.next().unwrap().to_vec())),
            b'T' => entries.extend([('D', old.clone(), old.clone()), ('A', old.clone(), old)]),
            status => entries.push((char::from(status), old.clone(), old)),
        }
    }
    entries
}

/// What `git diff --numstat -z` says: lines added and removed, `None` for binary files. Empty if there is a
/// changed type, which it counts as one file and the diff as two sections.
fn num_stat(output: &[u8], sections: usize) -> Vec<Option<(u64, u64)>> {
    let number = |text: &[u8]| str::from_utf8(text).unwrap().parse().ok();
    let mut fields = output.split(|byte| *byte == 0);
    let mut entries = Vec::new();
    while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
        let mut columns = field.splitn(3, |byte| *byte == b'\t');
        let added = columns.next().and_then(number);
        let removed = columns.next().and_then(number);
        entries.push(added.zip(removed));
        if columns.next() == Some(b"") {
            // A renamed file: its two names follow.
            fields.next();
            fields.next();
        }
    }
    if entries.len() == sections {
        entries
    } else {
        Vec::new()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_name_status_and_numstat(
        before in prop::collection::vec((name(), file()), 0..8),
        edits in prop::collection::vec(edit(), 1..10),
    ) {
        let mut tree = Tree::new();
        for (name, file) in before {
            add(&mut tree, name, file);
        }
        let directory = Directory::new();
        directory.git(&["init", "-q"]);
        directory.write(&tree);
        directory.git(&["add", "--all", "--force"]);
        directory.git(&["-c", "user.name=n", "-c", "user.email=e@e", "commit", "-q", "--allow-empty", "-m", "base"]);
        for edit in edits {
            apply(&mut tree, edit);
        }
        directory.write(&tree);
        directory.git(&["add", "--all"]);
        let text = directory.git(&["diff", "--cached", "--no-prefix", "--binary"]);
        let diff = Diff::parse(&text).unwrap();

        let status = name_status(&directory.git(&["diff", "--cached", "--name-status", "-z"]));
        let parsed: Vec<_> = diff.sections.iter().map(|section| {
            let letter = match section.kind {
                Kind::Added => 'A',
                Kind::Deleted => 'D',
                Kind::Renamed => 'R',
                Kind::Copied => 'C',
                Kind::Modified | Kind::ModeChanged => 'M',
            };
            (letter, section.old_name.to_vec(), section.new_name.to_vec())
        }).collect();
        prop_assert_eq!(parsed, status);

        let numbers = directory.git(&["diff", "--cached", "--numstat", "-z"]);
        for (section, numbers) in diff.sections.iter().zip(num_stat(&numbers, diff.sections.len())) {
            // Of a file that was only renamed or changed its mode, the diff does not say if it is binary.
            if section.raw.windows(7).any(|bytes| bytes == b"\nindex ") {
                let parsed = (!section.binary).then_some((section.added, section.removed));
                prop_assert_eq!(parsed, numbers);
            }
        }

        let raw: Vec<u8> = diff.sections.iter().flat_map(|section| section.raw).copied().collect();
        prop_assert_eq!(&raw, &text, "sections cover the diff");

        // Any selection of sections is a diff that git applies.
        directory.git(&["reset", "-q", "--hard"]);
        if let Some(section) = diff.sections.iter().find(|section| section.kind == Kind::Modified) {
            fs::write(directory.0.join(".git/one"), section.raw).unwrap();
            directory.git(&["apply", "-p0", "--index", ".git/one"]);
            let again = directory.git(&["diff", "--cached", "--no-prefix", "--binary"]);
            prop_assert_eq!(again.as_slice(), section.raw);
        }
    }
}
