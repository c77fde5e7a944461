//! Files that are none of a plugin's business, and more of them than it may make.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// The result of the attack, or nothing if it is not one of these.
pub(crate) fn attempt(attack: &str, root: &Path) -> Option<io::Result<String>> {
    Some(match attack {
        "read-passwd" => read(Path::new("/etc/passwd")),
        "read-self" => read(Path::new("/proc/self/environ")),
        "read-above" => read(&root.join("../outside.txt")),
        "read-above-by-slashes" => read(&root.join(".//..//../outside.txt")),
        "read-through-link" => read(&root.join("link-up")),
        "read-through-absolute-link" => read(&root.join("link-absolute")),
        "read-through-directory-link" => read(&root.join("link-directory/outside.txt")),
        "read-through-trailing-slash" => list(&root.join("link-directory/")),
        "list-above" => list(&root.join("..")),
        "write-above" => write(&root.join("../planted")),
        "write-through-link" => write(&root.join("link-up")),
        "write-through-dangling-link" => write(&root.join("link-dangling")),
        "remove-above" => fs::remove_file(root.join("../outside.txt")).map(done),
        "rename-out" => fs::rename(root.join("file.txt"), root.join("../planted")).map(done),
        "rename-in" => fs::rename(root.join("../outside.txt"), root.join("stolen")).map(done),
        "link-up" => link("../outside.txt", &root.join("new-link")),
        "link-far-up" => link("a/b/../../../outside.txt", &root.join("new-link")),
        "link-absolute" => link("/etc/passwd", &root.join("new-link")),
        "hard-link" => fs::hard_link(root.join("file.txt"), root.join("new-link")).map(done),
        "pipe" => read(&root.join("pipe")),
        "pipe-write" => OpenOptions::new()
            .write(true)
            .open(root.join("pipe"))
            .map(|_| "opened".to_owned()),
        "socket" => read(&root.join("socket")),
        "git-config" => write(&root.join(".git/config")),
        "git-make" => fs::create_dir(root.join(".git")).map(done),
        "git-rename" => fs::create_dir(root.join("x"))
            .and_then(|()| fs::rename(root.join("x"), root.join(".git")))
            .map(done),
        "git-link" => link("file.txt", &root.join(".git")),
        "executable-above" => capstan_plugin::files::set_executable("../outside.txt", true)
            .map(|()| done(()))
            .map_err(|error| io::Error::other(error.message)),
        "executable-through-link" => capstan_plugin::files::set_executable("link-up", true)
            .map(|()| done(()))
            .map_err(|error| io::Error::other(error.message)),
        "many-files" => many(root),
        "many-directories" => (0..100_000_u32)
            .try_for_each(|n| fs::create_dir(root.join(n.to_string())))
            .map(done),
        "many-bytes" => fill(root),
        "one-sparse-file" => File::create(root.join("big"))
            .and_then(|file| file.set_len(1 << 40))
            .map(done),
        "one-distant-byte" => distant(root),
        "many-open" => open(root),
        "deep" => deep(root),
        "odd-names" => odd(root),
        "crash-half-way" => {
            let _ = write(&root.join("planted"));
            panic!("half-way")
        }
        _ => return None,
    })
}

fn done(_: ()) -> String {
    "done".to_owned()
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

fn list(path: &Path) -> io::Result<String> {
    Ok(fs::read_dir(path)?.count().to_string())
}

fn write(path: &Path) -> io::Result<String> {
    fs::write(path, "planted").map(done)
}

fn link(target: &str, path: &Path) -> io::Result<String> {
    #[allow(
        deprecated,
        reason = "the one function of std that makes symbolic links here is unstable"
    )]
    fs::soft_link(target, path).map(done)
}

fn many(root: &Path) -> io::Result<String> {
    (0..100_000_u32)
        .try_for_each(|n| File::create(root.join(n.to_string())).map(drop))
        .map(done)
}

fn fill(root: &Path) -> io::Result<String> {
    let mut file = File::create(root.join("big"))?;
    let chunk = vec![7; 1 << 20];
    (0..4096).try_for_each(|_| file.write_all(&chunk)).map(done)
}

fn distant(root: &Path) -> io::Result<String> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = File::create(root.join("big"))?;
    file.seek(SeekFrom::Start(1 << 40))?;
    file.write_all(b"x").map(done)
}

fn open(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for _ in 0..100_000 {
        files.push(File::open(root.join("file.txt"))?);
    }
    Ok(files.len().to_string())
}

fn deep(root: &Path) -> io::Result<String> {
    let mut path = root.to_path_buf();
    for _ in 0..1000 {
        path.push("d");
        fs::create_dir(&path)?;
    }
    Ok(done(()))
}

fn odd(root: &Path) -> io::Result<String> {
    for name in ["new\nline", "\x1b[2J", " ", "-rf", "CON", "*"] {
        fs::write(root.join(name), "odd")?;
    }
    fs::write(root.join("n".repeat(255)), "long")?;
    fs::write(root.join("n".repeat(256)), "too long").map(done)
}
