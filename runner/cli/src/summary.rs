//! What people read when a run is over, and the exit code it ends with.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use capstan_engine::run::{Cause, Failure, Outcome};
use owo_colors::OwoColorize as _;

use crate::apply::Applied;
use crate::failure::Exit;
use crate::printer;
use crate::results::{Ended, diffstat};
use crate::text::{self, plural};

/// Width of a diffstat.
const WIDTH: usize = 80;

/// Tells what became of every job, failures last so that they are what is on the screen.
pub(crate) fn tell(ended: &[Ended], applied: &[Applied], output: Option<&Path>, elapsed: Duration) {
    for job in ended {
        if let Outcome::Done { .. } = job.outcome {
            printer::note(done(job));
        }
        if let Some(workspace) = &job.workspace {
            printer::note(format_args!("  workspace: {}", path(workspace)));
        }
    }
    for one in applied {
        printer::note(one);
    }
    for job in ended {
        if let Outcome::Failed(failure) = &job.outcome {
            printer::note(failed(job, failure));
            if let Some(hint) = &failure.hint {
                printer::hint(hint);
            }
        }
    }
    if let Some(output) = output {
        printer::note(format_args!(
            "wrote {}",
            path(&output.join("changesets.json"))
        ));
    }
    printer::note(total(ended, applied, elapsed));
}

fn path(path: &Path) -> String {
    text::name(&path.to_string_lossy())
}

fn done(job: &Ended) -> String {
    let name = text::name(&job.name());
    let name = name.bold();
    if job.changesets.is_empty() {
        return format!("{name}: nothing changed");
    }
    let mut text = String::new();
    for changeset in &job.changesets {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(
            text,
            "{name}: branch {}",
            text::name(changeset.branch()).cyan()
        );
        for line in diffstat(changeset, WIDTH).lines() {
            let _ = write!(text, "\n {line}");
        }
    }
    text
}

fn failed(job: &Ended, failure: &Failure) -> String {
    let name = text::name(&job.name());
    let what = if failure.cause == Cause::Refused {
        "refused"
    } else {
        "failed"
    };
    let mut text = match failure.step {
        Some(step) => format!("{} {}: step {} {what}", "✗".red(), name.bold(), step + 1),
        None => format!("{} {}: {what}", "✗".red(), name.bold()),
    };
    for line in text::lines(&failure.message).lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        let _ = write!(text, "\n{indent}{line}");
    }
    if let Some(log) = &job.log {
        let _ = write!(text, "\n  log: {}", path(log));
    }
    text
}

fn total(ended: &[Ended], applied: &[Applied], elapsed: Duration) -> String {
    let count = |is: &dyn Fn(&Outcome) -> bool| ended.iter().filter(|job| is(&job.outcome)).count();
    let done = count(&|outcome| matches!(outcome, Outcome::Done { .. }));
    let cached = count(&|outcome| matches!(outcome, Outcome::Done { cached: true, .. }));
    let failed = count(&failed_otherwise);
    let refused =
        count(&|outcome| matches!(outcome, Outcome::Failed(_)) && !failed_otherwise(outcome));
    let cancelled = count(&|outcome| matches!(outcome, Outcome::Cancelled));
    let changesets: usize = ended.iter().map(|job| job.changesets.len()).sum();
    let mut text = format!("{}: {done} done", plural(ended.len(), "workspace"));
    if cached > 0 {
        let _ = write!(text, " ({cached} from the cache)");
    }
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    }
    if refused > 0 {
        let _ = write!(text, ", {refused} refused");
    }
    if cancelled > 0 {
        let _ = write!(text, ", {cancelled} cancelled");
    }
    let _ = write!(text, "; {}", plural(changesets, "changeset"));
    let not_applied = applied.iter().filter(|one| !one.is_ok()).count();
    if not_applied > 0 {
        let _ = write!(text, ", {not_applied} not applied");
    }
    let _ = write!(text, "; {:.1}s", elapsed.as_secs_f64());
    text
}

/// Why a run with these ends is not a success, in the form of facts/batch-spec.md 1.1 and 3.11.
pub(crate) fn error(ended: &[Ended], applied: &[Applied], interrupted: bool) -> String {
    let mut errors = Vec::new();
    for job in ended {
        if let Outcome::Failed(failure) = &job.outcome {
            let (name, message) = (&job.task.repository.name, &failure.message);
            let log = job.log.as_ref().map_or_else(String::new, |log| {
                format!(" (see {} for details)", log.display())
            });
            errors.push(format!("execution in {name} failed: {message}{log}"));
        }
    }
    errors.extend(
        applied
            .iter()
            .filter(|one| !one.is_ok())
            .map(|one| anstream::adapter::strip_str(&one.to_string()).to_string()),
    );
    match errors.as_slice() {
        _ if interrupted => "interrupted".to_owned(),
        [only] => only.clone(),
        all => {
            let list: String = all.iter().map(|error| format!("\n\t* {error}")).collect();
            format!("{} errors occurred:{list}", all.len())
        }
    }
}

/// The code that a run with these ends exits with.
pub(crate) fn exit(ended: &[Ended], applied: &[Applied], interrupted: bool) -> Exit {
    let unfit = |job: &Ended| match &job.outcome {
        Outcome::Failed(failure) => failure.cause == Cause::Environment,
        _ => false,
    };
    if interrupted {
        Exit::Interrupted
    } else if ended.iter().any(unfit) {
        Exit::Environment
    } else if ended
        .iter()
        .all(|job| matches!(job.outcome, Outcome::Done { .. }))
        && applied.iter().all(Applied::is_ok)
    {
        Exit::Success
    } else if ended.iter().all(|job| !failed_otherwise(&job.outcome))
        && applied.iter().all(Applied::is_ok)
    {
        Exit::Refused
    } else {
        Exit::Failed
    }
}

/// Whether a job failed for another reason than a refusal. One that a refusal elsewhere stopped did not.
fn failed_otherwise(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(failure) if failure.cause != Cause::Refused)
}
