//! What a run hands back: changeset specs and patches, printed, written, or applied.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use capstan_core::changeset::{self, ChangesetSpec, ImportedChangeset};
use capstan_core::diff::{Diff, Encoding, render_stat};
use capstan_core::spec::BatchSpec;
use capstan_core::task::Task;
use capstan_engine::repository::Origin;
use capstan_engine::run::{Cause, Failure, Finished, Outcome};
use owo_colors::OwoColorize as _;

use crate::failure::Failed;
use crate::{printer, text};

/// A job that is over.
pub(crate) struct Ended {
    pub(crate) task: Arc<Task>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) outcome: Outcome,
    pub(crate) log: Option<PathBuf>,
    pub(crate) workspace: Option<PathBuf>,
    /// Its changesets; none if it failed or nothing changed.
    pub(crate) changesets: Vec<ChangesetSpec>,
}

impl Ended {
    /// Builds the job's changesets. Templates that do not render make it a failed one.
    pub(crate) fn of(
        task: Arc<Task>,
        origin: Arc<Origin>,
        finished: Finished,
        spec: &BatchSpec,
    ) -> Self {
        let Finished {
            mut outcome,
            log,
            workspace,
            ..
        } = finished;
        let mut changesets = Vec::new();
        if let (
            Outcome::Done {
                result: Some(result),
                ..
            },
            Some(template),
        ) = (&outcome, &spec.changeset_template)
        {
            match changeset::build(&task, result, template, spec.transform_changes.as_ref()) {
                Ok(built) => changesets = built,
                Err(error) => {
                    let message = error.to_string();
                    outcome = Outcome::Failed(Failure {
                        cause: Cause::Template,
                        step: None,
                        summary: message.lines().next().unwrap_or_default().to_owned(),
                        message,
                        hint: None,
                    });
                }
            }
        }
        Self {
            task,
            origin,
            outcome,
            log,
            workspace,
            changesets,
        }
    }

    /// Repository and workspace path, for people.
    pub(crate) fn name(&self) -> String {
        self.task.name()
    }
}

/// All changesets of a run.
pub(crate) struct Results<'a> {
    /// With the job they came from, in the order of the jobs.
    pub(crate) changesets: Vec<(&'a Ended, &'a ChangesetSpec)>,
    /// Existing changesets to track.
    pub(crate) imports: Vec<ImportedChangeset>,
}

impl<'a> Results<'a> {
    /// The changesets alone.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &'a ChangesetSpec> {
        self.changesets.iter().map(|(_, changeset)| *changeset)
    }
}

/// Collects the changesets of all jobs.
///
/// Changesets of one repository with one branch would overwrite each other: an error.
pub(crate) fn collect<'a>(ended: &'a [Ended], spec: &BatchSpec) -> Result<Results<'a>, Failed> {
    let changesets: Vec<_> = ended
        .iter()
        .flat_map(|job| job.changesets.iter().map(move |changeset| (job, changeset)))
        .collect();
    changeset::check_unique_branches(changesets.iter().map(|(_, changeset)| *changeset))
        .map_err(Failed::run)?;
    // Without a server a repository's name is all the identity it has.
    let imports = changeset::import(&spec.import_changesets, &|name| Some(name.to_owned()))
        .map_err(Failed::run)?;
    Ok(Results {
        changesets,
        imports,
    })
}

/// Makes the directory for results, and sure that they can be written there: better before a run than after it.
pub(crate) fn prepare(directory: &Path) -> Result<(), Failed> {
    fs_err::create_dir_all(directory)
        .and_then(|()| tempfile::NamedTempFile::new_in(directory).map(drop))
        .map_err(|error| {
            Failed::environment(format!("--output cannot be written to: {error}"))
                .hint("name another directory, or make this one writable")
        })
}

/// Writes `changesets.json` and a patch per changeset under `directory`.
pub(crate) fn write<'a>(
    directory: &Path,
    changesets: impl IntoIterator<Item = &'a ChangesetSpec>,
    imports: &[ImportedChangeset],
) -> Result<(), Failed> {
    fs_err::create_dir_all(directory).map_err(Failed::environment)?;
    let mut specs = Vec::new();
    let mut written = BTreeSet::new();
    for changeset in changesets {
        let path = patch_path(&changeset.repository_name, changeset.branch());
        let path = directory.join(unused(&path, &mut written));
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(Failed::environment)?;
        }
        replace(&path, &changeset.diff)?;
        specs.push(changeset.to_json(Encoding::Base64));
    }
    specs.extend(imports.iter().map(ImportedChangeset::to_json));
    let mut json = b"[".to_vec();
    for (index, spec) in specs.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        json.extend_from_slice(spec.as_bytes());
    }
    json.extend_from_slice(b"\n]\n");
    replace(&directory.join("changesets.json"), &json)
}

/// `<repository>/<branch>.patch`, kept inside the directory whatever the names are.
fn patch_path(repository: &str, branch: &str) -> PathBuf {
    let inside = |text: &str| -> PathBuf {
        Path::new(text)
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect()
    };
    let mut file = inside(branch).into_os_string();
    file.push(".patch");
    inside(repository).join(file)
}

/// `path`, with a number if it has been taken: `a/b` with branch `c` and `a` with branch `b/c` want the same file.
fn unused(path: &Path, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let numbered = (2..).map(|number| path.with_extension(format!("{number}.patch")));
    let free = std::iter::once(path.to_path_buf())
        .chain(numbered)
        .find(|path| !taken.contains(path));
    let free = free.expect("there is always a next number");
    taken.insert(free.clone());
    free
}

/// Writes a file so that readers see the old or the new content, never half of it.
fn replace(path: &Path, content: &[u8]) -> Result<(), Failed> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        io::Write::write_all(&mut file, content)?;
        // Results are meant to be read by others, unlike temporary files.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Failed::environment(format!("writing {}: {error}", path.display())))
}

/// Prints the diffs as one patch; git skips the lines that tell where each belongs.
///
/// A terminal gets them in colours, and without what could control it.
pub(crate) fn print<'a>(
    changesets: impl IntoIterator<Item = &'a ChangesetSpec>,
) -> Result<(), Failed> {
    for changeset in changesets {
        let heading = format!(
            "# {}, branch {}",
            text::name(&changeset.repository_name),
            text::name(changeset.branch())
        );
        let written = if printer::results_are_read() {
            printer::result_line(heading.bold()).and_then(|()| print_coloured(&changeset.diff))
        } else {
            printer::result(heading.as_bytes())
                .and_then(|()| printer::result(b"\n"))
                .and_then(|()| printer::result(&changeset.diff))
        };
        written.map_err(Failed::environment)?;
    }
    Ok(())
}

fn print_coloured(diff: &[u8]) -> io::Result<()> {
    // Lines of a hunk may look like headers.
    let mut in_hunk = false;
    for line in String::from_utf8_lossy(diff).lines() {
        let line = text::lines(line);
        in_hunk = match line.get(..2) {
            Some("@@") => true,
            Some("di") => false,
            _ => in_hunk,
        };
        match line.chars().next() {
            Some('@') if in_hunk => printer::result_line(line.cyan()),
            Some('+') if in_hunk => printer::result_line(line.green()),
            Some('-') if in_hunk => printer::result_line(line.red()),
            _ if in_hunk => printer::result_line(line),
            _ => printer::result_line(line.bold()),
        }?;
    }
    Ok(())
}

/// What changed in a changeset, as text for people.
pub(crate) fn diffstat(changeset: &ChangesetSpec, width: usize) -> String {
    Diff::parse(&changeset.diff)
        .map(|diff| render_stat(&diff, width))
        .unwrap_or_else(|error| format!("the diff cannot be read: {error}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_patch_takes_the_place_of_another() {
        let mut taken = BTreeSet::new();
        let names = [("a/b", "v1.0"), ("a", "b/v1.0"), ("a", "/b/v1.0")]
            .map(|(repository, branch)| unused(&patch_path(repository, branch), &mut taken));
        let expected = ["a/b/v1.0.patch", "a/b/v1.0.2.patch", "a/b/v1.0.3.patch"];
        assert_eq!(names, expected.map(PathBuf::from));
    }

    #[test]
    fn patches_stay_inside_the_directory() {
        for (repository, branch, path) in [
            (
                "github.com/acme/widgets",
                "fix/it",
                "github.com/acme/widgets/fix/it.patch",
            ),
            ("../../etc", "../x", "etc/x.patch"),
            ("/abs", "/b", "abs/b.patch"),
        ] {
            assert_eq!(patch_path(repository, branch), Path::new(path));
        }
    }
}
