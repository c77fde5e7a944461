//! Reading a batch spec from a file or from standard input, and checking all that can be checked before a run.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstan_core::source::{Diagnostic, Diagnostics};
use capstan_core::spec::{self, BatchSpec, MountError, ResolvedMount, Spans};
use capstan_core::yaml;

use crate::failure::Failed;

/// A batch spec that was read and is valid.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The spec.
    pub(crate) spec: BatchSpec,
    /// Its text.
    pub(crate) text: Vec<u8>,
    /// What its file is called, for people.
    pub(crate) name: String,
    /// Directory that mount paths start from.
    pub(crate) directory: PathBuf,
    /// The host paths of the steps' mounts.
    pub(crate) mounts: Arc<[ResolvedMount]>,
}

/// Why there is no batch spec.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// It could not be read.
    Read(Failed),
    /// It is not valid.
    Invalid(Problems),
}

/// Everything that is wrong with a batch spec.
#[derive(Debug)]
pub(crate) struct Problems {
    name: String,
    text: Vec<u8>,
    diagnostics: Diagnostics,
}

impl Problems {
    /// As a JSON array, for editors.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let one = |diagnostic: &Diagnostic| {
            serde_json::json!({
                "path": diagnostic.path,
                "message": diagnostic.message,
                "hint": diagnostic.hint,
                "line": diagnostic.span.line,
                "column": diagnostic.span.column,
            })
        };
        self.diagnostics.iter().map(one).collect()
    }
}

impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        let count = problems.diagnostics.len();
        let text = problems.diagnostics.render(&problems.name, &problems.text);
        let text = text.trim_end();
        Self::usage(format_args!(
            "the batch spec is not valid ({}):\n\n{text}",
            crate::text::plural(count, "problem")
        ))
    }
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(failed) => failed,
            LoadError::Invalid(problems) => problems.into(),
        }
    }
}

impl Loaded {
    /// Version 3 is for servers only.
    pub(crate) fn refuse_version_3(self) -> Result<Self, Failed> {
        self.spec.check_local_version().map_err(|error| {
            Failed::usage(error)
                .hint("versions 1 and 2 run here; they have `container` in place of `image`")
        })?;
        Ok(self)
    }
}

/// Reads and checks a batch spec; `-` is standard input.
///
/// With `plugins`, steps may refer to outputs that no step sets: plugins set them.
pub(crate) fn load(file: &Path, plugins: bool) -> Result<Loaded, LoadError> {
    let (name, text) = read(file).map_err(LoadError::Read)?;
    let parsed = match spec::parse_whole(&text, plugins) {
        Ok(parsed) => parsed,
        Err(diagnostics) => {
            return Err(LoadError::Invalid(Problems {
                name,
                text,
                diagnostics,
            }));
        }
    };
    let directory = match file.parent() {
        _ if file == Path::new("-") => PathBuf::from("."),
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let directory =
        fs_err::canonicalize(directory).map_err(|e| LoadError::Read(Failed::usage(e)))?;
    let steps = &parsed.spec.steps;
    let mounts = spec::check_mounts(steps, &directory, &|path| fs_err::canonicalize(path));
    let mounts = match mounts {
        Ok(mounts) => mounts,
        Err(error) => {
            return Err(match mount_problem(&parsed.spans, &error, &directory) {
                Some(problem) => LoadError::Invalid(Problems {
                    name,
                    text,
                    diagnostics: problem.into(),
                }),
                None => LoadError::Read(Failed::usage(error)),
            });
        }
    };
    let diagnostics = spec::component_problems(&parsed);
    if !diagnostics.is_empty() {
        return Err(LoadError::Invalid(Problems {
            name,
            text,
            diagnostics,
        }));
    }
    Ok(Loaded {
        spec: parsed.spec,
        text,
        name,
        directory,
        mounts: mounts.into(),
    })
}

/// Points at the path of a mount that cannot be used; `None` if the spec is not to blame.
fn mount_problem(spans: &Spans, error: &MountError, directory: &Path) -> Option<Diagnostic> {
    let place = spans.nearest(&error.blames()?);
    let directory = directory.display();
    let hint = match error {
        MountError::Missing { .. } => {
            format!("relative paths start at the spec's directory, {directory}")
        }
        _ => format!(
            "only what is in the spec's directory, {directory}, can be mounted; --mount shows other paths to every step"
        ),
    };
    Some(Diagnostic::error("", error.to_string(), place).with_hint(hint))
}

/// The name for people, and the content.
fn read(file: &Path) -> Result<(String, Vec<u8>), Failed> {
    // One byte more than is accepted, so that a longer document is told as such.
    let limit = yaml::MAX_BYTES as u64 + 1;
    let mut text = Vec::new();
    if file == Path::new("-") {
        let name = "standard input".to_owned();
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut text)
            .map_err(Failed::usage)?;
        return Ok((name, text));
    }
    let name = file.display().to_string();
    match fs_err::File::open(file).and_then(|open| open.take(limit).read_to_end(&mut text)) {
        Ok(_) => Ok((name, text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Failed::usage(format!(
            "cannot open file {name}: no such file or directory"
        ))
        .hint("name the batch spec with -f, or pipe it in with -f -")),
        Err(_) if file.is_dir() => Err(Failed::usage(format!("{name} is a directory"))
            .hint("name the batch spec in it, for example batch.yaml")),
        Err(error) => Err(Failed::usage(error)),
    }
}
