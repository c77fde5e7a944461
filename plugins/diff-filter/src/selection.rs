//! Which files stay.

use capstan_plugin::{Glob, Result};
use serde::Deserialize;

/// The plugin's configuration; see README.md.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Globs of files to drop.
    pub(crate) drop: Vec<String>,
    /// Globs of files to keep, whatever else says.
    pub(crate) keep: Vec<String>,
    /// Whether to drop what tools write.
    pub(crate) generated: bool,
    /// Whether to drop other people's code.
    pub(crate) vendored: bool,
    /// Whether to drop what package managers write down.
    pub(crate) lockfiles: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            drop: Vec::new(),
            keep: Vec::new(),
            generated: true,
            vendored: true,
            lockfiles: false,
        }
    }
}

/// What tools write, after GitHub's Linguist.
const GENERATED: &[&str] = &[
    "*.min.{js,css}",
    "*.{js,css}.map",
    "*.pb.{go,h,cc}",
    "*.pb.gw.go",
    "*_pb2{,_grpc}.py",
    "*_pb.{js,ts,d.ts}",
    "*.g.dart",
    "*.freezed.dart",
    "*.designer.{cs,vb}",
    "*.generated.{cs,go,js,ts,tsx,rs,swift,kt,java}",
    "*_generated.{go,rs,py,rb}",
    "zz_generated.*.go",
    "__generated__/",
    "__pycache__/",
    "*.{pyc,class,o,obj}",
    "*.snap.new",
];

/// Other people's code, after GitHub's Linguist.
const VENDORED: &[&str] = &[
    "node_modules/",
    "bower_components/",
    "jspm_packages/",
    "vendor/",
    "third_party/",
    "thirdparty/",
    "Godeps/_workspace/",
    "Carthage/",
    "Pods/",
    ".yarn/{cache,releases,plugins,sdks,unplugged}/",
    "site-packages/",
];

/// What package managers write down.
const LOCKFILES: &[&str] = &[
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock{,b}",
    "Cargo.lock",
    "Gemfile.lock",
    "Pipfile.lock",
    "composer.lock",
    "go.sum",
    "{poetry,pdm,uv,flake,mix,pubspec,Podfile}.lock",
    "gradle.lockfile",
    "packages.lock.json",
];

/// A configuration, ready to be asked.
#[derive(Debug)]
pub(crate) struct Selection {
    keep: Vec<Glob>,
    /// The name of a rule, and a pattern.
    drop: Vec<(&'static str, Glob)>,
}

impl Selection {
    /// Compiles the patterns.
    ///
    /// # Errors
    ///
    /// If one is malformed.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let lists = [
            ("generated", config.generated, GENERATED),
            ("vendored", config.vendored, VENDORED),
            ("lockfiles", config.lockfiles, LOCKFILES),
        ];
        let mut drop = Vec::new();
        for pattern in &config.drop {
            drop.push(("drop", Glob::path(pattern)?));
        }
        for (name, _, patterns) in lists.into_iter().filter(|(_, wanted, _)| *wanted) {
            for pattern in patterns {
                drop.push((name, Glob::path(pattern)?));
            }
        }
        let keep = config.keep.iter().map(|pattern| Glob::path(pattern));
        Ok(Self {
            keep: keep.collect::<Result<_>>()?,
            drop,
        })
    }

    /// Why a file is dropped; `None` if it stays.
    pub(crate) fn drops(&self, path: &str) -> Option<String> {
        if self.keep.iter().any(|glob| glob.matches(path)) {
            return None;
        }
        let (rule, glob) = self.drop.iter().find(|(_, glob)| glob.matches(path))?;
        Some(format!("{rule} ({})", glob.pattern()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped<'a>(config: &Config, paths: &[&'a str]) -> Vec<&'a str> {
        let selection = Selection::new(config).unwrap();
        let dropped = paths.iter().filter(|path| selection.drops(path).is_some());
        dropped.copied().collect()
    }

    const PATHS: &[&str] = &[
        "src/main.go",
        "api/v1/user.pb.go",
        "web/app.min.js",
        "proto/user_pb2_grpc.py",
        "pkg/zz_generated.deepcopy.go",
        "web/node_modules/left-pad/index.js",
        "vendor/x/y.go",
        "docs/vendor.md",
        "package-lock.json",
        "crates/a/Cargo.lock",
    ];

    #[test]
    fn without_configuration_generated_and_vendored_files_go() {
        assert_eq!(
            dropped(&Config::default(), PATHS),
            [
                "api/v1/user.pb.go",
                "web/app.min.js",
                "proto/user_pb2_grpc.py",
                "pkg/zz_generated.deepcopy.go",
                "web/node_modules/left-pad/index.js",
                "vendor/x/y.go",
            ]
        );
    }

    #[test]
    fn lists_are_chosen_and_keep_wins() {
        let config = Config {
            generated: false,
            vendored: true,
            lockfiles: true,
            drop: vec!["src/".to_owned()],
            keep: vec!["vendor/x/".to_owned(), "/package-lock.json".to_owned()],
        };
        assert_eq!(
            dropped(&config, PATHS),
            [
                "src/main.go",
                "web/node_modules/left-pad/index.js",
                "crates/a/Cargo.lock",
            ]
        );
    }

    #[test]
    fn malformed_patterns_are_told() {
        let config = Config {
            keep: vec!["[a".to_owned()],
            ..Config::default()
        };
        let error = Selection::new(&config).unwrap_err();
        assert_eq!(error.code, "config");
        assert!(error.message.contains("`[` is not closed"));
    }
}
