//! The gate: a small shell script that is a container's process until the step may run, and the directory
//! through which the step's script, environment and files reach it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::network::FILES;

use crate::fault::Fault;
use crate::sandbox::{Inputs, NetworkFiles};

/// Where the control directory is mounted.
pub(super) const MOUNT: &str = "/.capstan";

/// Path of the gate inside the container.
pub(super) const GATE: &str = "/.capstan/gate";

/// What is written to the container's standard input to open the gate.
pub(super) const OPEN: &[u8] = b"open\n";

/// What a step's container runs.
pub(super) const GATE_SCRIPT: &str = include_str!("gate.sh");

/// What a container runs that holds a network.
pub(super) const HOLDER_SCRIPT: &str = include_str!("holder.sh");

/// Variables the gate's shell sets or uses itself.
const TOUCHED_BY_THE_GATE: [&str; 5] = ["CAPSTAN_GATE", "OLDPWD", "PWD", "SHLVL", "TMOUT"];

/// Variables that shells treat specially, so that `export` would not hand the value on as it is. Names that
/// begin with `BASH` belong to them.
const SPECIAL_IN_SHELLS: [&str; 21] = [
    "_",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "FUNCNEST",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "OPTARG",
    "OPTIND",
    "POSIXLY_CORRECT",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "UID",
];

/// A directory on the host that one container sees read-only, and the content of the step's files.
#[derive(Debug)]
pub(super) struct ControlDirectory {
    root: TempDir,
    /// Target paths of the step's files; the n-th is backed by `files/n`.
    targets: Vec<String>,
    /// Whether there are files of a network that is shared.
    shares: bool,
}

impl ControlDirectory {
    /// Makes it under `scratch`, with the `script` that the container runs, empty files for `targets`, and more if it `shares` a network.
    /// Containers may run as any user, so everything is readable; `scratch` is what keeps others on this machine out.
    pub(super) fn create(
        scratch: &Path,
        script: &str,
        targets: &[String],
        shares: bool,
    ) -> io::Result<Self> {
        let root = tempfile::Builder::new()
            .prefix("gate-")
            .tempdir_in(scratch)?;
        let directory = Self {
            root,
            targets: targets.to_vec(),
            shares,
        };
        set_mode(directory.root.path(), 0o755)?;
        for path in [directory.control(), directory.files(), directory.network()] {
            fs_err::create_dir(&path)?;
            set_mode(&path, 0o755)?;
        }
        write(&directory.control().join("gate"), script)?;
        for (_, path) in directory.file_mounts().chain(directory.network_mounts()) {
            write(&path, "")?;
        }
        Ok(directory)
    }

    /// The part that is mounted at [`MOUNT`].
    pub(super) fn control(&self) -> PathBuf {
        self.root.path().join("control")
    }

    fn files(&self) -> PathBuf {
        self.root.path().join("files")
    }

    fn network(&self) -> PathBuf {
        self.root.path().join("network")
    }

    /// Target path in the container and backing file on the host, for each of the step's files.
    pub(super) fn file_mounts(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        numbered(self.targets.iter().map(String::as_str), self.files())
    }

    /// The same for each of the network's files.
    pub(super) fn network_mounts(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let targets = if self.shares { &FILES[..] } else { &[] };
        numbered(targets.iter().copied(), self.network())
    }

    /// Puts the network's files in place, before the container starts.
    pub(super) fn fill_network(&self, files: &NetworkFiles) -> io::Result<()> {
        for (target, path) in self.network_mounts() {
            write(&path, files.get(target).map_or("", String::as_str))?;
        }
        Ok(())
    }

    /// Puts the inputs in place. Files keep their inodes, as those are what the container has mounted.
    pub(super) fn fill(&self, inputs: &Inputs, environment: &str) -> io::Result<()> {
        for (target, path) in self.file_mounts() {
            let content = inputs.files.get(target).map_or("", String::as_str);
            write(&path, content)?;
        }
        write(&self.control().join("env"), environment)?;
        write(&self.control().join("script"), &inputs.script)
    }
}

fn numbered<'t>(
    targets: impl Iterator<Item = &'t str>,
    directory: PathBuf,
) -> impl Iterator<Item = (&'t str, PathBuf)> {
    let targets = targets.enumerate();
    targets.map(move |(n, target)| (target, directory.join(n.to_string())))
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    fs_err::write(path, content)?;
    set_mode(path, 0o644)
}

/// Sets the mode whatever the umask.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Writes the environment file, so that the script sees what the engine would have given it: `from_image` (as
/// `NAME=value`) with `step` in front.
///
/// # Errors
/// A workspace fault for a name or value that no environment can hold.
pub(super) fn environment_file(
    from_image: &[String],
    step: &BTreeMap<String, String>,
) -> Result<String, Fault> {
    for (name, value) in step {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Fault::workspace(format!(
                "environment variable {name:?}: the name is empty or contains = or NUL"
            )));
        }
        if value.contains('\0') {
            return Err(Fault::workspace(format!(
                "environment variable {name:?}: the value contains a NUL byte"
            )));
        }
    }
    let mut text = format!("unset {}\n", TOUCHED_BY_THE_GATE.join(" "));
    let mut odd = String::new();
    let from_image = from_image
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .filter(|(name, _)| !is_exportable(name) && !step.contains_key(*name));
    let from_step = step
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in from_image.chain(from_step) {
        if is_exportable(name) {
            text.push_str(&format!("export {name}={}\n", quote(value)));
        } else {
            odd.push_str(&format!(" {}", quote(&format!("{name}={value}"))));
        }
    }
    // The gate has put the path of the `env` utility into $4. It is only needed for such names.
    text.push_str(&match odd.as_str() {
        "" => "set -- \"$1\" \"$2\"\n".to_owned(),
        odd => format!("set -- \"$1\" \"$4\"{odd} \"$2\"\n"),
    });
    Ok(text)
}

/// Whether `export` in any shell hands a variable of this name on unchanged.
fn is_exportable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
        && !name.starts_with("BASH")
        && !SPECIAL_IN_SHELLS.contains(&name)
        && !TOUCHED_BY_THE_GATE.contains(&name)
}

/// Quotes for any POSIX shell.
pub(super) fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn step(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// Sources the file in a shell and returns what its child sees in variable `X`.
    fn through_shell(file: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs_err::write(&path, file).unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", r#". "$0"; exec "$@" -c 'printf %s "$X"'"#])
            .arg(&path)
            .args(["token", "/bin/sh", "", "/usr/bin/env"])
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_value_survives(value in "[^\0]{0,40}") {
            let file = environment_file(&[], &step(&[("X", &value)])).unwrap();
            let file = file.replace("set -- \"$1\" \"$2\"", "set -- \"$2\"");
            prop_assert_eq!(through_shell(&file), value.as_bytes());
        }
    }

    #[test]
    fn odd_names_go_through_the_env_utility() {
        let image =
            ["SHLVL=3", "dotted.name=from image", "PATH=/bin", "a.b=old"].map(str::to_owned);
        let file = environment_file(&image, &step(&[("a.b", "it's"), ("UID", "7"), ("X", "x")]));
        insta::assert_snapshot!(file.unwrap(), @r#"
        unset CAPSTAN_GATE OLDPWD PWD SHLVL TMOUT
        export X='x'
        set -- "$1" "$4" 'SHLVL=3' 'dotted.name=from image' 'UID=7' 'a.b=it'\''s' "$2"
        "#);
    }

    #[test]
    fn what_no_environment_can_hold_is_refused() {
        for pair in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "\0")] {
            assert!(environment_file(&[], &step(&[pair])).is_err(), "{pair:?}");
        }
    }

    #[test]
    fn files_keep_their_inodes_and_are_readable_by_all() {
        use std::os::unix::fs::MetadataExt;
        let scratch = tempfile::tempdir().unwrap();
        let targets = ["/tmp/f".to_owned()];
        let directory =
            ControlDirectory::create(scratch.path(), GATE_SCRIPT, &targets, true).unwrap();
        let network = step(&[("/etc/hosts", "127.0.0.1 localhost\n"), ("/etc/x", "")]);
        directory.fill_network(&network).unwrap();
        let seen: Vec<(&str, String)> = directory
            .network_mounts()
            .map(|(target, path)| (target, fs_err::read_to_string(path).unwrap()))
            .collect();
        let content = |target| network.get(target).cloned().unwrap_or_default();
        assert_eq!(seen, FILES.map(|target| (target, content(target))));
        let (target, path) = directory.file_mounts().next().unwrap();
        assert_eq!(target, "/tmp/f");
        let before = fs_err::metadata(&path).unwrap();
        let inputs = Inputs {
            script: "true".to_owned(),
            files: step(&[("/tmp/f", "content")]),
            ..Inputs::default()
        };
        directory.fill(&inputs, "").unwrap();
        let after = fs_err::metadata(&path).unwrap();
        assert_eq!(before.ino(), after.ino());
        assert_eq!(after.mode() & 0o777, 0o644);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "content");
        assert_eq!(
            fs_err::metadata(directory.control()).unwrap().mode() & 0o777,
            0o755
        );
    }
}
