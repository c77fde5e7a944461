//! Random trees, random edits of them, and a repository to ask git about them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(crate) enum File {
    Text(Vec<u8>, bool),
    Link(Vec<u8>),
}

pub(crate) type Tree = BTreeMap<Vec<u8>, File>;

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Add(Vec<u8>, File),
    Delete(usize),
    Append(usize, Vec<u8>),
    ToggleExecutable(usize),
    Rename(usize, Vec<u8>),
    MakeLink(usize),
}

pub(crate) fn name() -> impl Strategy<Value = Vec<u8>> {
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

pub(crate) fn content() -> impl Strategy<Value = Vec<u8>> {
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

pub(crate) fn file() -> impl Strategy<Value = File> {
    prop_oneof![
        6 => (content(), any::<bool>()).prop_map(|(text, executable)| File::Text(text, executable)),
        1 => name().prop_map(File::Link),
    ]
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
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
pub(crate) fn add(tree: &mut Tree, name: Vec<u8>, file: File) {
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

pub(crate) fn apply(tree: &mut Tree, edit: Edit) {
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

pub(crate) struct Directory(pub(crate) PathBuf);

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

    pub(crate) fn git(&self, arguments: &[&str]) -> Vec<u8> {
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

    /// A repository whose only commit is `tree`.
    pub(crate) fn of(tree: &Tree) -> Self {
        let directory = Self::new();
        directory.git(&["init", "-q"]);
        directory.write(tree);
        directory.git(&["add", "--all", "--force"]);
        let identity = ["-c", "user.name=n", "-c", "user.email=e@e"];
        let commit = ["commit", "-q", "--allow-empty", "-m", "base"];
        directory.git(&[identity.as_slice(), &commit].concat());
        directory
    }

    /// The diff from the commit to the working tree being `tree`.
    pub(crate) fn diff(&self, tree: &Tree) -> Vec<u8> {
        self.write(tree);
        self.git(&["add", "--all"]);
        self.git(&["diff", "--cached", "--no-prefix", "--binary"])
    }

    /// Makes the working tree be `tree`.
    pub(crate) fn write(&self, tree: &Tree) {
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
