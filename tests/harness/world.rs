//! A directory of its own for each test, with a home, a temporary directory and a place to work in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary;
use crate::command::Capstan;
use crate::privilege::as_root;
use crate::repository::Repository;

/// A hermetic world. Deleted, with all in it, when dropped.
pub struct World {
    dir: TempDir,
    root: PathBuf,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A new world with nothing in it.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("capstan-world-")
            .tempdir()
            .expect("a temporary directory can be made");
        let root = dir.path().canonicalize().expect("it exists");
        for name in ["home", "tmp", "run", "work"] {
            fs::create_dir(root.join(name)).expect("the world is writable");
        }
        Self { dir, root }
    }

    /// The directory that holds everything of this world.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The working directory of commands.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// The home directory. Configuration, cache and state lie below it.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Writes a file below [`work`](Self::work), with the directories above it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(path);
        write_file(&path, content.as_ref());
        path
    }

    /// Reads a file below [`work`](Self::work) as text.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.work().join(path);
        String::from_utf8_lossy(&read_file(&path)).into_owned()
    }

    /// The paths of all files below a directory of [`work`](Self::work), sorted; empty if it does not exist.
    pub fn files(&self, dir: impl AsRef<Path>) -> Vec<String> {
        let dir = self.work().join(dir);
        let mut found = Vec::new();
        let mut to_visit = vec![dir.clone()];
        while let Some(next) = to_visit.pop() {
            for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => to_visit.push(entry.path()),
                    _ => {
                        let path = entry.path();
                        let path = path.strip_prefix(&dir).expect("it was found below");
                        found.push(path.display().to_string());
                    }
                }
            }
        }
        found.sort();
        found
    }

    /// The changeset specs in `<dir>/changesets.json`, as `batch run --output <dir>` writes them.
    pub fn changesets(&self, dir: impl AsRef<Path>) -> Vec<Value> {
        let text = self.read(dir.as_ref().join("changesets.json"));
        match serde_json::from_str(&text) {
            Ok(Value::Array(changesets)) => changesets,
            Ok(other) => panic!("changesets.json is not an array: {other}"),
            Err(error) => panic!("changesets.json is not JSON: {error}\n{text}"),
        }
    }

    /// A repository at `work/<name>` with one commit on `main` that holds these files.
    pub fn repository(&self, name: &str, files: &[(&str, &str)]) -> Repository {
        let repository = Repository::init(self, self.work().join(name));
        for (path, content) in files {
            repository.write(path, content);
        }
        repository.commit("Initial commit");
        repository
    }

    /// A command line of the binary under test, to be run in this world.
    pub fn capstan<I, S>(&self, arguments: I) -> Capstan<'_>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Capstan::new(self, binary::capstan(), arguments)
    }

    /// The same of another build of the binary.
    pub fn build_of_capstan<I, S>(&self, program: impl AsRef<Path>, arguments: I) -> Capstan<'_>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Capstan::new(self, program.as_ref(), arguments)
    }

    /// The whole environment of commands: nothing of the user's but the way to programs and to the engine.
    pub(crate) fn environment(&self) -> BTreeMap<OsString, OsString> {
        let home = self.home();
        let mut environment: BTreeMap<OsString, OsString> = [
            ("HOME", home.clone()),
            ("TMPDIR", self.root.join("tmp")),
            ("XDG_CACHE_HOME", home.join(".cache")),
            ("XDG_CONFIG_HOME", home.join(".config")),
            ("XDG_DATA_HOME", home.join(".local/share")),
            ("XDG_STATE_HOME", home.join(".local/state")),
            ("XDG_RUNTIME_DIR", self.root.join("run")),
        ]
        .map(|(name, path)| (name.into(), path.into()))
        .into();
        for name in ["PATH", "DOCKER_HOST"] {
            if let Some(value) = std::env::var_os(name) {
                environment.insert(name.into(), value);
            }
        }
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("LC_ALL", "C.UTF-8"),
            ("NO_COLOR", "1"),
            ("TERM", "dumb"),
            ("TZ", "UTC"),
        ] {
            environment.insert(name.into(), value.into());
        }
        environment
    }

    /// Where overlays are mounted in this world.
    pub fn overlays(&self) -> Vec<PathBuf> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let overlays = table.lines().filter(|line| line.contains(" - overlay "));
        let points = overlays.filter_map(|line| line.split(' ').nth(4));
        let below = points
            .map(PathBuf::from)
            .filter(|point| point.starts_with(&self.root));
        below.collect()
    }

    /// The command lines of the processes of this world that run: those whose environment or working directory is in it.
    pub fn processes(&self) -> Vec<String> {
        let root = self.root.as_os_str().as_encoded_bytes();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let is_ours = |process: &Path| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            let directory = fs::read_link(process.join("cwd")).unwrap_or_default();
            directory.starts_with(&self.root)
                || environment.windows(root.len()).any(|part| part == root)
        };
        entries
            .map(|entry| entry.path())
            .filter(|process| is_ours(process))
            .filter_map(|process| fs::read(process.join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .collect()
    }

    /// Keeps the world's directory after the test, for looking at it while writing one.
    pub fn keep(mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.root.clone()
    }
}

/// What a killed run has mounted does not go with its directory.
impl Drop for World {
    fn drop(&mut self) {
        for point in self.overlays().iter().rev() {
            let _ = as_root("umount").arg("--lazy").arg(point).status();
        }
    }
}

pub(crate) fn write_file(path: &Path, content: &[u8]) {
    let dir = path.parent().expect("a file is in a directory");
    fs::create_dir_all(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

pub(crate) fn read_file(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::World;

    #[test]
    fn commands_see_nothing_of_the_user() {
        let world = World::new();
        for (name, value) in world.environment() {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            match &*name {
                "HOME" | "TMPDIR" => assert!(value.starts_with(&*world.root().to_string_lossy())),
                name if name.starts_with("XDG_") => {
                    assert!(value.starts_with(&*world.root().to_string_lossy()));
                }
                "DOCKER_HOST"
                | "GIT_CONFIG_NOSYSTEM"
                | "LC_ALL"
                | "NO_COLOR"
                | "PATH"
                | "TERM"
                | "TZ" => {}
                other => panic!("{other}={value} comes from somewhere"),
            }
        }
    }

    #[test]
    fn files_are_listed_from_the_directory_asked_for() {
        let world = World::new();
        world.write("out/b/c.txt", "1");
        world.write("out/a.txt", "2");
        world.write("elsewhere", "3");
        assert_eq!(world.files("out"), ["a.txt", "b/c.txt"]);
        assert!(world.files("missing").is_empty());
    }

    #[test]
    fn a_world_is_gone_when_dropped() {
        let world = World::new();
        let root = world.root().to_owned();
        world.write("file", "x");
        drop(world);
        assert!(!root.exists());
    }
}
