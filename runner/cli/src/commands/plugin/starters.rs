//! The starters of `examples/plugins`, and the WIT package, as they were when this binary was made.

use capstan_core::plugin::Hook;

use crate::args::plugin::Language;

/// A file of a starter.
#[derive(Debug)]
pub(super) struct File {
    /// Path below the plugin's directory.
    pub(super) path: &'static str,
    /// Its text. The plugin's name stands in it as [`NAME`].
    pub(super) text: &'static str,
}

/// What stands for the plugin's name.
pub(super) const NAME: &str = "my-plugin";

/// How the starters in Rust depend on the SDK.
pub(super) const SDK: &str = "{ git = \"https://github.com/capstan-dev/capstan\" }";

/// Files below a directory of the repository.
macro_rules! files {
    ($directory:literal: $($path:literal),+ $(,)?) => {
        &[$(File {
            path: $path,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/../../", $directory, "/", $path
            )),
        }),+]
    };
}

/// The WIT package `capstan:plugin`.
pub(super) const WIT: &[File] = files!("wit":
    "changes.wit", "config.wit", "diff.wit", "files.wit", "job.wit", "log.wit", "output.wit",
    "policy.wit", "scratch.wit", "step.wit", "types.wit", "workspace.wit", "world.wit",
);

/// All files of a starter but the WIT package: its own, those of its language, and the fixtures of its hook.
pub(super) fn files(language: Language, hook: Hook) -> impl Iterator<Item = &'static File> {
    own(language, hook)
        .iter()
        .chain(of_language(language))
        .chain(fixtures(hook))
}

fn of_language(language: Language) -> &'static [File] {
    match language {
        Language::Rust => files!("examples/plugins/rust": ".gitignore", "README.md"),
        Language::Python => files!("examples/plugins/python": ".gitignore", "README.md"),
        Language::Js => files!("examples/plugins/javascript": ".gitignore", "README.md"),
        Language::C => files!("examples/plugins/c": ".gitignore", "README.md"),
    }
}

fn fixtures(hook: Hook) -> &'static [File] {
    match hook {
        Hook::Policy => files!("examples/plugins/hooks/policy":
            "fixtures/right-registry/fixture.json",
            "fixtures/right-registry/expected.json",
            "fixtures/wrong-registry/fixture.json",
            "fixtures/wrong-registry/expected.json",
        ),
        Hook::Workspace => files!("examples/plugins/hooks/workspace":
            "fixtures/leaves-a-note/fixture.json",
            "fixtures/leaves-a-note/workspace/README.md",
            "fixtures/leaves-a-note/expected-workspace/NOTE.txt",
            "fixtures/leaves-a-note/expected-workspace/README.md",
        ),
        Hook::Output => files!("examples/plugins/hooks/output":
            "fixtures/counts-lines/fixture.json",
            "fixtures/counts-lines/input",
            "fixtures/counts-lines/expected.json",
            "fixtures/drops-lines/fixture.json",
            "fixtures/drops-lines/input",
            "fixtures/drops-lines/expected",
        ),
        Hook::Diff => files!("examples/plugins/hooks/diff":
            "fixtures/drops-vendor/fixture.json",
            "fixtures/drops-vendor/input.diff",
            "fixtures/drops-vendor/expected.diff",
        ),
    }
}

/// What only this hook in this language has.
fn own(language: Language, hook: Hook) -> &'static [File] {
    match (language, hook) {
        (Language::Rust, Hook::Policy) => {
            files!("examples/plugins/rust/policy": "Cargo.toml", "capstan-plugin.toml", "src/lib.rs")
        }
        (Language::Rust, Hook::Workspace) => {
            files!("examples/plugins/rust/workspace":
                "Cargo.toml", "capstan-plugin.toml", "src/lib.rs",
            )
        }
        (Language::Rust, Hook::Output) => {
            files!("examples/plugins/rust/output": "Cargo.toml", "capstan-plugin.toml", "src/lib.rs")
        }
        (Language::Rust, Hook::Diff) => {
            files!("examples/plugins/rust/diff": "Cargo.toml", "capstan-plugin.toml", "src/lib.rs")
        }
        (Language::Python, Hook::Policy) => {
            files!("examples/plugins/python/policy": "capstan-plugin.toml", "app.py")
        }
        (Language::Python, Hook::Workspace) => {
            files!("examples/plugins/python/workspace": "capstan-plugin.toml", "app.py")
        }
        (Language::Python, Hook::Output) => {
            files!("examples/plugins/python/output": "capstan-plugin.toml", "app.py", "output.py")
        }
        (Language::Python, Hook::Diff) => {
            files!("examples/plugins/python/diff": "capstan-plugin.toml", "app.py")
        }
        (Language::Js, Hook::Policy) => {
            files!("examples/plugins/javascript/policy": "capstan-plugin.toml", "plugin.js")
        }
        (Language::Js, Hook::Workspace) => {
            files!("examples/plugins/javascript/workspace":
                "capstan-plugin.toml", "plugin.js", "wit/plugin.wit",
                "wit/deps/clocks.wit", "wit/deps/filesystem.wit", "wit/deps/io.wit",
            )
        }
        (Language::Js, Hook::Output) => {
            files!("examples/plugins/javascript/output": "capstan-plugin.toml", "plugin.js")
        }
        (Language::Js, Hook::Diff) => {
            files!("examples/plugins/javascript/diff": "capstan-plugin.toml", "plugin.js")
        }
        (Language::C, Hook::Policy) => {
            files!("examples/plugins/c/policy":
                "capstan-plugin.toml", "plugin.c", "bindings/plugin.c", "bindings/plugin.h",
            )
        }
        (Language::C, Hook::Workspace) => {
            files!("examples/plugins/c/workspace":
                "capstan-plugin.toml", "plugin.c", "bindings/plugin.c", "bindings/plugin.h",
            )
        }
        (Language::C, Hook::Output) => {
            files!("examples/plugins/c/output":
                "capstan-plugin.toml", "plugin.c", "bindings/plugin.c", "bindings/plugin.h",
            )
        }
        (Language::C, Hook::Diff) => {
            files!("examples/plugins/c/diff":
                "capstan-plugin.toml", "plugin.c", "bindings/plugin.c", "bindings/plugin.h",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::plugin::manifest::Manifest;

    #[test]
    fn every_starter_is_whole() {
        assert_eq!(
            SDK,
            format!("{{ git = \"{}\" }}", env!("CARGO_PKG_REPOSITORY"))
        );
        for language in Language::ALL {
            for hook in Hook::ALL {
                let file = |path: &str| files(language, hook).find(|file| file.path == path);
                let manifest = file("capstan-plugin.toml").expect("what build reads");
                let manifest = Manifest::parse(manifest.text).unwrap();
                assert_eq!((manifest.language, manifest.hook), (language, hook));
                assert_eq!(manifest.name, NAME);
                assert!(
                    file(manifest.entry.to_str().unwrap()).is_some(),
                    "{manifest:?}"
                );
                for path in [".gitignore", "README.md"] {
                    assert!(file(path).is_some(), "{language:?} has no {path}");
                }
                if let Some(cargo) = file("Cargo.toml") {
                    assert!(cargo.text.contains(SDK), "{}", cargo.text);
                }
            }
        }
    }
}
