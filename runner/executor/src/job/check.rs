//! Looks at a whole payload before anything is done with it.

use std::collections::BTreeMap;

use capstan_protocol::{Content, Job};

use super::paths::{self, Below, Refused};

/// Environment variables by name.
pub(super) type Variables = BTreeMap<String, String>;

/// What is taken from a payload once it was found to be in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// Where the repository goes.
    pub(super) repository_directory: Below,
    /// Where the files go, in the order of the payload.
    pub(super) files: Vec<Below>,
    /// Directory and environment of the steps that run in a container.
    pub(super) docker_steps: Vec<Surroundings>,
    /// Those of the steps that call `src`.
    pub(super) cli_steps: Vec<Surroundings>,
}

/// What a step runs in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) directory: Below,
    pub(super) environment: Variables,
}

/// Checks every name in the payload.
pub(super) fn check(job: &Job) -> Result<Checked, Refused> {
    paths::repository(&job.repository_name)?;
    if !job.repository_name.is_empty() {
        paths::commit(&job.commit)?;
    }
    for pattern in &job.sparse_checkout {
        paths::pattern(pattern)?;
    }
    let mut checked = Checked {
        repository_directory: Below::directory("repository directory", &job.repository_directory)?,
        ..Checked::default()
    };
    for (path, file) in &job.files {
        checked.files.push(Below::file("file", path)?);
        if let Content::Stored { bucket, key } = &file.content {
            paths::key("bucket of a file", bucket)?;
            paths::key("key of a file", key)?;
        }
    }
    for step in &job.docker_steps {
        let surroundings = surroundings(&step.key, &step.dir, &step.env)?;
        checked.docker_steps.push(surroundings);
    }
    for step in &job.cli_steps {
        let surroundings = surroundings(&step.key, &step.dir, &step.env)?;
        checked.cli_steps.push(surroundings);
    }
    Ok(checked)
}

fn surroundings(key: &str, directory: &str, env: &[String]) -> Result<Surroundings, Refused> {
    paths::key("key of a step", key)?;
    let mut environment = Variables::new();
    for variable in env {
        let (name, value) = paths::variable(variable)?;
        environment.insert(name.to_owned(), value.to_owned());
    }
    Ok(Surroundings {
        directory: Below::directory("directory of a step", directory)?,
        environment,
    })
}
