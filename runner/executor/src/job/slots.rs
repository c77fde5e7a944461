//! What containers a pod needs for a job.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstan_core::redact::Secrets;
use capstan_core::spec::check_mounts;
use capstan_core::task::Task;
use capstan_engine::pod::{Slot, Volume};
use capstan_engine::run;
use capstan_protocol::Job;

use super::check::Checked;
use super::native::Plan;
use super::place::Place;
use super::{Settings, check, containers, files, legacy, native};
use crate::client::Client;

/// The runner's directory for temporary files on the volume of a pod.
const TEMPORARY: &str = "tmp";

/// The containers that a pod needs for a job, and their gates, if its volume is where `settings` says. Nothing of the job has to be there yet.
///
/// # Errors
/// A text for the user, if the payload is not in order, or an image is not known before other steps ran.
pub fn gates(job: &Job, settings: &Settings) -> Result<Volume, String> {
    let checked = check::check(job).map_err(|refused| refused.to_string())?;
    gates_of(job, &checked, settings)
}

fn gates_of(job: &Job, checked: &Checked, settings: &Settings) -> Result<Volume, String> {
    let slots = match Plan::of(job, checked) {
        Some(Ok(plan)) => native::slots(plan, checked, settings),
        Some(Err(error)) => Err(format!("reading the job: {error}")),
        None if legacy::is_one(job) => legacy::slots(job, checked, settings),
        None => containers::slots(job, checked, settings),
    };
    Ok(Volume::new(&settings.volume().join("gates"), slots?))
}

/// Puts on the volume of a pod what its containers have to find there when they start: directories, the files of the payload, gates.
///
/// # Errors
/// A text for the user: as [`gates`], or what could not be got or written.
pub async fn lay_out(job: &Job, settings: &Settings, client: &Client) -> Result<Volume, String> {
    let checked = check::check(job).map_err(|refused| refused.to_string())?;
    let gates = gates_of(job, &checked, settings)?;
    let failed = |error: std::io::Error| format!("laying out the pod's volume: {error}");
    let place = Place::on_volume(settings.volume()).map_err(failed)?;
    for directory in [settings.repository(), settings.volume().join(TEMPORARY)] {
        fs_err::create_dir_all(directory).map_err(failed)?;
    }
    files::write_all(&place.data(), job, &checked.files, client)
        .await
        .map_err(|error| error.to_string())?;
    gates.lay_out().map_err(failed)?;
    Ok(gates)
}

/// Those of a task, with the files of users in the directory `files`.
pub(super) fn of_task(
    task: Task,
    skip: BTreeSet<usize>,
    files: PathBuf,
    settings: &run::Settings,
    workspace: &Path,
) -> Result<Vec<Slot>, String> {
    // They come with the job, so there are no links among them.
    let resolve = |path: &Path| Ok(path.to_owned());
    let mounts = check_mounts(&task.steps, &files, &resolve).map_err(|error| error.to_string())?;
    let job = run::Job {
        task: Arc::new(task),
        base: containers::laid_out_elsewhere(),
        outer_environment: Arc::default(),
        mount_directory: files,
        mounts: mounts.into(),
        secrets: Secrets::default(),
        resume: None,
        skip,
    };
    run::slots(&job, settings, workspace).map_err(|error| error.to_string())
}
