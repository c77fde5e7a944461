//! A workspace as a job that executors take (facts/executor-protocol.md 8): one that calls `src batch exec`, which its pod's runner does in process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use capstan_core::diff::Encoding;
use capstan_core::exec_input::ExecInput;
use capstan_core::redact::MASK;
use capstan_core::result::StepResult;
use capstan_engine::run::Job;
use capstan_protocol::{CliStep, Content, File, Generation};

use crate::plugins;

/// Where the repository is in a workspace, and where files that steps mount are.
const REPOSITORY: &str = "repository";
const FILES: &str = "workspace-files";

/// Most bytes of files that steps mount: a Secret has to hold them.
const LARGEST: u64 = 16 << 20;

/// Largest diff of a known result that goes along: for a larger one its steps run again.
const LARGEST_KNOWN: usize = 256 << 10;

/// How workspaces are run.
pub(super) struct Settings {
    pub(super) run_as_root: bool,
    pub(super) timeout: Duration,
}

/// The job without its identity, and the URL that its repository is cloned from.
pub(super) fn of(
    job: &Job,
    settings: &Settings,
) -> Result<(capstan_protocol::Job, String), String> {
    let task = &job.task;
    let origin = job.base.origin().map(AsRef::as_ref);
    let remote = origin.and_then(|origin| origin.remote.as_ref());
    let Some(url) = remote.map(|url| url.with_credentials().to_owned()) else {
        return Err(format!(
            "{} is a repository of this machine, which pods do not reach: name it by its URL",
            task.repository.name
        ));
    };
    let known = resumed(job).map(|known| serde_json::to_value(known.as_json(Encoding::Base64)));
    let known = known.transpose().map_err(|error| error.to_string())?;
    let input = ExecInput {
        task: task.as_ref().clone(),
        cached_step_result_found: known.is_some(),
        cached_step_result: known,
        skipped_steps: BTreeSet::new(),
    };
    let mut files = mounted(job)?;
    let input = Content::Inline(input.to_json().into_bytes());
    files.insert("input.json".to_owned(), file(input));
    let forwarded = forwarded(job);
    let secret = |value: &String| (value.clone(), MASK.to_owned());
    Ok((
        capstan_protocol::Job {
            generation: Generation::V2,
            repository_name: task.repository.name.clone(),
            repository_directory: REPOSITORY.to_owned(),
            commit: task.repository.rev.clone(),
            shallow_clone: true,
            files,
            cli_steps: vec![CliStep {
                key: "batch-exec".to_owned(),
                command: command(settings),
                dir: ".".to_owned(),
                env: forwarded
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            }],
            redacted_values: forwarded
                .values()
                .filter(|value| !capstan_core::redact::is_short(value))
                .map(secret)
                .collect(),
            ..capstan_protocol::Job::default()
        },
        url,
    ))
}

/// The known result that a pod goes on from.
pub(super) fn resumed(job: &Job) -> Option<&StepResult> {
    let known = job.resume.as_ref().map(|known| known.result.as_ref());
    known.filter(|known| known.diff.len() <= LARGEST_KNOWN)
}

fn command(settings: &Settings) -> Vec<String> {
    let mut command: Vec<String> = [
        "batch",
        "exec",
        "-f",
        "input.json",
        "-repo",
        REPOSITORY,
        "-tmp",
        ".src-tmp",
        "-binaryDiffs",
        "-workspaceFiles",
        FILES,
        "-timeout",
    ]
    .map(str::to_owned)
    .into();
    command.push(format!("{}s", settings.timeout.as_secs().max(1)));
    if !settings.run_as_root {
        command.push("-run-as-image-user".to_owned());
    }
    command
}

/// Variables of this machine that steps ask for by name.
fn forwarded(job: &Job) -> BTreeMap<String, String> {
    plugins::forwarded(&job.task.steps)
        .filter_map(|name| Some((name.clone(), job.outer_environment.get(name)?.clone())))
        .collect()
}

/// The files and directories that steps mount, under the paths that the batch spec has for them.
fn mounted(job: &Job) -> Result<BTreeMap<String, File>, String> {
    let mut files = BTreeMap::new();
    let mut left = LARGEST;
    for mount in job.mounts.iter() {
        let step = job.task.steps.get(mount.step);
        let Some(path) = step.and_then(|step| step.mount.get(mount.mount)) else {
            continue;
        };
        let name = Path::new(&path.path);
        // An absolute one leads into the directory all the same, or it would have been refused.
        let name = name.strip_prefix(&job.mount_directory).unwrap_or(name);
        add(
            &mount.path,
            &Path::new(FILES).join(name),
            &mut left,
            &mut files,
        )?;
    }
    Ok(files)
}

fn add(
    path: &Path,
    name: &Path,
    left: &mut u64,
    files: &mut BTreeMap<String, File>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("reading what a step mounts: {error}");
    let metadata = fs_err::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        let mut below: Vec<PathBuf> = Vec::new();
        for entry in fs_err::read_dir(path).map_err(failed)? {
            below.push(entry.map_err(failed)?.path());
        }
        for path in below {
            let name = name.join(path.file_name().unwrap_or_default());
            add(&path, &name, left, files)?;
        }
        return Ok(());
    }
    let size = metadata.len();
    *left = left.checked_sub(size).ok_or_else(|| {
        format!("steps mount more than {LARGEST} bytes, which is more than pods can be handed")
    })?;
    let content = Content::Inline(fs_err::read(path).map_err(failed)?);
    let name: PathBuf = name
        .components()
        .filter(|part| part.as_os_str() != ".")
        .collect();
    files.insert(name.to_string_lossy().into_owned(), file(content));
    Ok(())
}

fn file(content: Content) -> File {
    File {
        content,
        modified_at: None,
    }
}
