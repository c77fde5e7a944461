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
        Language::Rust => &[],
        Language::Python => files!("examples/plugins/python": ".gitignore", "README.md"),
        Language::Js => files!("examples/plugins/javascript": ".gitignore", "README.md"),
        Language::C => files!("examples/plugins/c": ".gitignore", "README.md"),
    }
}

fn fixtures(hook: Hook) -> &'static [File] {
    match hook {
        Hook::Policy => files!("examples/plugins/hooks/policy":
            "fixtures/right-registry/fixture.json",
            "fixtures/wrong-registry/fixture.json",
        ),
        Hook::Workspace => files!("examples/plugins/hooks/workspace":
            "fixtures/leaves-a-note/fixture.json",
            "fixtures/leaves-a-note/workspace/README.md",
        ),
        Hook::Output => files!("examples/plugins/hooks/output":
            "fixtures/counts-lines/fixture.json",
            "fixtures/counts-lines/input",
            "fixtures/drops-lines/fixture.json",
            "fixtures/drops-lines/input",
        ),
        Hook::Diff => files!("examples/plugins/hooks/diff":
            "fixtures/drops-vendor/fixture.json",
            "fixtures/drops-vendor/input.diff",
        ),
    }
}

/// What only this hook in this language has.
fn own(language: Language, hook: Hook) -> &'static [File] {
    match (language, hook) {
        (Language::Rust, _) => &[],
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
