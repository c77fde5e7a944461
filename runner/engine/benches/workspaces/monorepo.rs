//! A large repository with a history, made up.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::git::{git, output};

/// Directories at the top, in each of them, and files in each of those.
const SHAPE: [usize; 3] = [50, 50, 20];

/// How many files there are.
pub(crate) const FILES: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// Commits after the first.
const COMMITS: usize = 30;

/// Makes the repository in `directory`: a first commit of everything, and some that each change a few hundred files.
pub(crate) fn make(directory: &Path) -> PathBuf {
    let root = directory.join("monorepo");
    for (package, module) in modules() {
        let path = root.join(package).join(module);
        fs::create_dir_all(&path).expect("a directory can be made");
        for file in 0..SHAPE[2] {
            let mut text = String::new();
            for line in 0..20 + (file * 7 + path.as_os_str().len()) % 90 {
                let _ = writeln!(text, "fn function_{line}() -> usize {{ {file} * {line} }}");
            }
            let path = path.join(format!("file{file:02}.rs"));
            fs::write(path, text).expect("a file can be written");
        }
    }
    fs::write(root.join(".gitignore"), "target/\n*.log\n").expect("a file can be written");
    output(git(&root).args(["init", "--quiet", "--initial-branch=main"]));
    commit(&root, "first");
    for number in 0..COMMITS {
        for (nth, (package, module)) in modules().enumerate() {
            if nth % COMMITS == number {
                let path = root.join(package).join(module).join("file01.rs");
                fs::write(path, format!("// commit {number}\n")).expect("a file can be written");
            }
        }
        commit(&root, &format!("change {number}"));
    }
    output(git(&root).args(["repack", "--quiet", "-a", "-d"]));
    root
}

fn commit(root: &Path, message: &str) {
    output(git(root).args(["add", "--all"]));
    output(git(root).args(["commit", "--quiet", "-m", message]));
}

fn modules() -> impl Iterator<Item = (String, String)> {
    (0..SHAPE[0]).flat_map(|package| {
        (0..SHAPE[1])
            .map(move |module| (format!("package{package:02}"), format!("module{module:02}")))
    })
}

/// Changes ten files in as many directories of a tree.
pub(crate) fn change_ten_files(tree: &Path, round: usize) {
    for package in 0..10 {
        let path = tree.join(format!("package{package:02}/module07/file03.rs"));
        let mut text = fs::read_to_string(&path).expect("a file can be read");
        let _ = writeln!(text, "// round {round}");
        fs::write(path, text).expect("a file can be written");
    }
}
