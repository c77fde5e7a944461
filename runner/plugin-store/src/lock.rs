//! `capstan.lock`: which bytes a source stands for, and what they may ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use capstan_core::plugin::{Hook, Inspection};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::digest::Digest;
use crate::source::{Source, SourceError};

/// The version of the file's format.
const VERSION: u32 = 1;

/// Stands among the hooks for what can be a step.
const COMMAND: &str = "command";

const HEADER: &str = "\
# Which bytes the plugins of capstan.toml and the steps in WebAssembly are, and what they may ask for.
# Written by `capstan plugin pull`; belongs into version control.
";

/// Most bytes of a lock file.
const LIMIT: u64 = 4 << 20;

/// The content of a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// By source, as it shows itself. Files are not locked: they are the operator's own.
    pub entries: BTreeMap<String, Locked>,
}

/// What is known and accepted of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Digest of the component's bytes.
    pub digest: Digest,
    /// Digest of the manifest, for a registry.
    pub manifest: Option<Digest>,
    /// Version of `capstan:plugin` it was built against.
    pub api: Option<String>,
    /// Names of the hooks it has; `command` if it can be a step.
    pub hooks: BTreeSet<String>,
    /// The interfaces it imports, without the patch version: `wasi:filesystem/types@0.2`.
    pub imports: BTreeSet<String>,
}

/// A component that asks for more than was accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Widened {
    /// The source.
    pub source_name: String,
    /// Hooks that are new.
    pub hooks: BTreeSet<String>,
    /// Imports that are new.
    pub imports: BTreeSet<String>,
}

/// A lock file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its content is wrong.
    #[error("{}, line {line}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        message: String,
    },
    /// Reading or writing it failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
}

#[derive(Deserialize)]
struct Version {
    version: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u32,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    source: Spanned<String>,
    digest: Spanned<String>,
    manifest: Option<Spanned<String>>,
    api: Option<String>,
    #[serde(default)]
    hooks: BTreeSet<String>,
    #[serde(default)]
    imports: BTreeSet<String>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    plugin: Vec<WrittenItem<'a>>,
}

#[derive(Serialize)]
struct WrittenItem<'a> {
    source: &'a str,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<&'a str>,
    hooks: &'a BTreeSet<String>,
    imports: &'a BTreeSet<String>,
}

impl Lock {
    /// Reads a lock file; one that is not there is empty.
    ///
    /// # Errors
    ///
    /// [`LockError`], with the line that is wrong.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            path: path.to_path_buf(),
            source,
        };
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() > LIMIT => {
                return Err(io(std::io::Error::other("it is too large for a lock file")));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            _ => {}
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        Self::parse(&text, path)
    }

    /// Reads the text of the lock file at `path`.
    ///
    /// # Errors
    ///
    /// [`LockError::Content`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        let wrong = |at: usize, message: String| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            LockError::Content {
                path: path.to_path_buf(),
                line: before.iter().filter(|b| **b == b'\n').count() + 1,
                message,
            }
        };
        let malformed = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            wrong(at, error.message().to_owned())
        };
        let Version { version } = toml::from_str(text).map_err(malformed)?;
        match version {
            Some(version) if *version.get_ref() == VERSION => {}
            Some(version) => {
                let message = format!(
                    "its version is {}, and this Capstan knows {VERSION}; update Capstan, or delete the file and run `capstan plugin pull`",
                    version.get_ref()
                );
                return Err(wrong(version.span().start, message));
            }
            None => return Err(wrong(0, format!("`version = {VERSION}` is missing"))),
        }
        let file: File = toml::from_str(text).map_err(malformed)?;
        let digest = |text: &Spanned<String>| {
            text.get_ref()
                .parse::<Digest>()
                .map_err(|error| wrong(text.span().start, error.to_string()))
        };
        let mut entries = BTreeMap::new();
        for item in file.plugins {
            let at = item.source.span().start;
            let source = item.source.into_inner();
            let parsed: Source = source
                .parse()
                .map_err(|error: SourceError| wrong(at, error.to_string()))?;
            if !parsed.is_remote() {
                let message = format!(
                    "{source} is a file, and only what comes from elsewhere is locked; pin a file with `digest` in capstan.toml"
                );
                return Err(wrong(at, message));
            }
            let shown = parsed.to_string();
            let locked = Locked {
                digest: digest(&item.digest)?,
                manifest: item.manifest.as_ref().map(digest).transpose()?,
                api: item.api,
                hooks: item.hooks,
                imports: item.imports,
            };
            if entries.insert(shown, locked).is_some() {
                return Err(wrong(at, format!("{source} is there twice")));
            }
        }
        Ok(Self { entries })
    }

    /// Its text: the same for the same content.
    pub fn render(&self) -> String {
        let plugin = self
            .entries
            .iter()
            .map(|(source, locked)| WrittenItem {
                source,
                digest: locked.digest.to_string(),
                manifest: locked.manifest.as_ref().map(Digest::to_string),
                api: locked.api.as_deref(),
                hooks: &locked.hooks,
                imports: &locked.imports,
            })
            .collect();
        let written = Written {
            version: VERSION,
            plugin,
        };
        let body = toml::to_string_pretty(&written)
            .expect("strings, a number and lists of them can be written as TOML");
        format!("{HEADER}{body}")
    }

    /// Writes it, at once or not at all.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let io = |source| LockError::Io {
            path: path.to_path_buf(),
            source,
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)
            .map_err(io)?;
        file.write_all(self.render().as_bytes()).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// What is locked for a source.
    pub fn get(&self, source: &Source) -> Option<&Locked> {
        self.entries.get(&source.to_string())
    }

    /// Whether a component may ask for what it asks for: a source that is in the lock for no more than was accepted. What is not in
    /// the lock is the operator's own: a path, or a digest in the configuration.
    ///
    /// # Errors
    ///
    /// [`Widened`], which names what is new.
    pub fn check(&self, source: &Source, inspection: &Inspection) -> Result<(), Widened> {
        let Some(locked) = self.get(source) else {
            return Ok(());
        };
        let now = Locked::of(inspection, Digest::of(b""), None);
        let widened = locked.widened_by(source, &now);
        match widened {
            Some(widened) => Err(widened),
            None => Ok(()),
        }
    }
}

impl Locked {
    /// What is to be locked of a component.
    pub fn of(inspection: &Inspection, digest: Digest, manifest: Option<Digest>) -> Self {
        let hooks = inspection.hooks.iter().map(|hook: &Hook| hook.name());
        let command = inspection.command.then_some(COMMAND);
        Self {
            digest,
            manifest,
            api: inspection.api.clone(),
            hooks: hooks.chain(command).map(str::to_owned).collect(),
            imports: inspection.imports.iter().map(|name| line(name)).collect(),
        }
    }

    /// What `next` asks for beyond this; `None` if that is nothing.
    pub fn widened_by(&self, source: &Source, next: &Self) -> Option<Widened> {
        let widened = Widened {
            source_name: source.to_string(),
            hooks: &next.hooks - &self.hooks,
            imports: &next.imports - &self.imports,
        };
        (!widened.hooks.is_empty() || !widened.imports.is_empty()).then_some(widened)
    }
}

impl fmt::Display for Widened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |one: &str, names: Vec<&str>| match names.as_slice() {
            [] => None,
            [name] => Some(format!("the {one} {name}")),
            names => Some(format!("the {one}s {}", names.join(", "))),
        };
        let names = self.hooks.iter().map(String::as_str);
        let (commands, hooks) = names.partition(|name| *name == COMMAND);
        let commands: Vec<_> = commands;
        let all = [
            (!commands.is_empty()).then(|| "to be run as a step".to_owned()),
            list("hook", hooks),
            list("import", self.imports.iter().map(String::as_str).collect()),
        ];
        let all: Vec<_> = all.into_iter().flatten().collect();
        write!(
            f,
            "{} asks for more than capstan.lock accepts: {}",
            self.source_name,
            all.join("; ")
        )
    }
}

/// An interface's name without its patch version, which changes nothing that can be asked for.
fn line(name: &str) -> String {
    let Some((interface, version)) = name.split_once('@') else {
        return name.to_owned();
    };
    match version.split('.').collect::<Vec<_>>().as_slice() {
        [major, minor, patch] if patch.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{interface}@{major}.{minor}")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn inspection(hooks: &[Hook], command: bool, imports: &[&str]) -> Inspection {
        Inspection {
            digest: String::new(),
            size: 0,
            hooks: hooks.iter().copied().collect(),
            command,
            api: Some("0.1.0".to_owned()),
            imports: imports.iter().map(|name| (*name).to_owned()).collect(),
            exports: Vec::new(),
        }
    }

    fn locked() -> Locked {
        let imports = ["capstan:plugin/log@0.1.0", "wasi:cli/stdin@0.2.6"];
        let component = inspection(&[Hook::Policy], false, &imports);
        Locked::of(&component, Digest::of(b"x"), Some(Digest::of(b"m")))
    }

    fn lock() -> Lock {
        let mut lock = Lock::default();
        let mut step = Locked::of(&inspection(&[], true, &[]), Digest::of(b"y"), None);
        step.api = None;
        let source = "https://example.com/tool.wasm".to_owned();
        lock.entries.insert(source, step);
        let source = "oci://ghcr.io/acme/x:1".to_owned();
        lock.entries.insert(source, locked());
        lock
    }

    fn source() -> Source {
        "oci://ghcr.io/acme/x:1".parse().unwrap()
    }

    #[test]
    fn it_is_written_for_people_and_read_again() {
        let text = lock().render();
        assert_snapshot!(text, @r#"
        # Which bytes the plugins of capstan.toml and the steps in WebAssembly are, and what they may ask for.
        # Written by `capstan plugin pull`; belongs into version control.
        version = 1

        [[plugin]]
        source = "https://example.com/tool.wasm"
        digest = "sha256:a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa"
        hooks = ["command"]
        imports = []

        [[plugin]]
        source = "oci://ghcr.io/acme/x:1"
        digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        manifest = "sha256:62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"
        api = "0.1.0"
        hooks = ["policy"]
        imports = [
            "capstan:plugin/log@0.1",
            "wasi:cli/stdin@0.2",
        ]
        "#);
        assert_eq!(Lock::parse(&text, Path::new("l")).unwrap(), lock());
    }

    #[test]
    fn it_is_written_at_once_and_one_that_is_missing_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capstan.lock");
        assert_eq!(Lock::read(&path).unwrap(), Lock::default());
        lock().write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock());
        lock().write(&path).unwrap();
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 1);
        let error = lock().write(&directory.path().join("no/such")).unwrap_err();
        assert!(error.to_string().contains("no/such: "), "{error}");
    }

    #[rstest]
    #[case("", "l, line 1: `version = 1` is missing")]
    #[case(
        "# x\nversion = 2\n",
        "l, line 2: its version is 2, and this Capstan knows 1; update Capstan, or delete the file and run `capstan plugin pull`"
    )]
    #[case("version = 1\n[[plugin]\n", "l, line 2: ")]
    #[case("version = 1\nplugins = 1\n", "l, line 2: unknown field `plugins`")]
    #[case(
        "version = 1\n[[plugin]]\nsource = 'a'\n",
        "l, line 2: missing field `digest`"
    )]
    #[case(
        "version = 1\n[[plugin]]\nsource = 'oci://a.b/c'\ndigest = 'b'\n",
        "l, line 4: \"b\" is not a digest"
    )]
    #[case(
        "version = 1\n[[plugin]]\nsource = 'ftp://a'\ndigest = 'b'\n",
        "l, line 3: ftp:// is no place"
    )]
    #[case(
        "version = 1\n[[plugin]]\nsource = './a'\ndigest = 'b'\n",
        "l, line 3: ./a is a file, and only"
    )]
    fn mistakes_are_told_with_their_line(#[case] text: &str, #[case] expected: &str) {
        let error = Lock::parse(text, Path::new("l")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_source_is_there_once() {
        let text = lock().render();
        let item = text.split("[[plugin]]").nth(2).unwrap();
        let twice = format!("{text}\n[[plugin]]{item}");
        let error = Lock::parse(&twice, Path::new("l")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.ends_with("oci://ghcr.io/acme/x:1 is there twice"),
            "{error}"
        );
    }

    #[rstest]
    #[case::the_same(&[Hook::Policy], false, &["capstan:plugin/log@0.1.0", "wasi:cli/stdin@0.2.6"], "")]
    #[case::less(&[], false, &[], "")]
    #[case::patch(&[Hook::Policy], false, &["capstan:plugin/log@0.1.9", "wasi:cli/stdin@0.2.0"], "")]
    #[case::hook(&[Hook::Policy, Hook::Workspace], false, &[], "the hook workspace")]
    #[case::command(&[], true, &[], "to be run as a step")]
    #[case::line(&[], false, &["wasi:cli/stdin@0.3.0"], "the import wasi:cli/stdin@0.3")]
    #[case::several(&[Hook::Diff], false, &["wasi:sockets/tcp@0.2.0", "a:b/c"], "the hook diff; the imports a:b/c, wasi:sockets/tcp@0.2")]
    fn what_asks_for_more_than_is_locked_is_named(
        #[case] hooks: &[Hook],
        #[case] command: bool,
        #[case] imports: &[&str],
        #[case] more: &str,
    ) {
        let checked = lock().check(&source(), &inspection(hooks, command, imports));
        match checked {
            Ok(()) => assert_eq!(more, ""),
            Err(widened) => assert_eq!(
                widened.to_string(),
                format!("oci://ghcr.io/acme/x:1 asks for more than capstan.lock accepts: {more}")
            ),
        }
    }

    #[test]
    fn what_is_not_in_the_lock_may_ask_for_anything() {
        let other = "./other.wasm".parse().unwrap();
        let all = inspection(&Hook::ALL, true, &["wasi:sockets/tcp@0.2.0"]);
        assert_eq!(lock().check(&other, &all), Ok(()));
    }

    #[rstest]
    #[case("wasi:cli/stdin@0.2.6", "wasi:cli/stdin@0.2")]
    #[case("a:b/c@1.2.3", "a:b/c@1.2")]
    #[case("a:b/c@0.3.0-rc-2026-01-02", "a:b/c@0.3.0-rc-2026-01-02")]
    #[case("a:b/c@1.2", "a:b/c@1.2")]
    #[case("a:b/c", "a:b/c")]
    #[case("run", "run")]
    fn patch_versions_are_dropped(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(line(name), expected);
    }

    #[test]
    fn nesting_without_end_is_refused() {
        for text in [
            format!("version = {}", "[".repeat(100_000)),
            format!("version = 1\na{} = 1", ".a".repeat(100_000)),
            format!("version = 1\n[[plugin{}]]", ".a".repeat(100_000)),
        ] {
            assert!(Lock::parse(&text, Path::new("l")).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            tag in "[a-z0-9]{1,8}",
            api in proptest::option::of(any::<String>()),
            hooks in proptest::collection::btree_set(any::<String>(), 0..4),
            imports in proptest::collection::btree_set(any::<String>(), 0..4),
            manifest: bool,
        ) {
            let locked = Locked {
                digest: Digest::of(tag.as_bytes()),
                manifest: manifest.then(|| Digest::of(b"m")),
                api,
                hooks,
                imports,
            };
            let mut lock = Lock::default();
            lock.entries.insert(format!("oci://a.example/b:{tag}"), locked);
            let written = lock.render();
            let read = Lock::parse(&written, Path::new("l")).unwrap();
            prop_assert_eq!(&read, &lock);
            prop_assert_eq!(read.render(), written);
        }

        #[test]
        fn nothing_makes_reading_panic(text in r#"(version = 1\n)?(\[\[plugin\]\]\n)?[a-z =\[\]{}"'\n.:/@0-9]{0,80}"#) {
            let _ = Lock::parse(&text, Path::new("l"));
        }
    }
}
