//! `capstan hub submit`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use capstan_core::spec::{EnvVar, Step};
use capstan_engine::repository::{self, Source};
use capstan_hub::people::wire::{Detail, Submission};
use capstan_hub::{Client, ExecutionState};

use super::{contact, mounted, show};
use crate::args::hub::Submit;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::spec_file::{self, Loaded};
use crate::{printer, text};

/// Largest file that a hub takes.
const FILE_LIMIT: u64 = 10 << 20;

/// How often the hub is asked how far it is; less often of a large execution.
const INTERVAL: Duration = Duration::from_millis(300);

pub(super) async fn run(args: &Submit, environment: &Environment) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let loaded = spec_file::load(&args.spec.file, true)
        .map_err(Failed::from)
        .and_then(Loaded::refuse_version_3)?;
    let files = mounted::files(&loaded)?;
    let client = contact::client_that_answers(&args.contact, environment).await?;
    let submission = Submission {
        spec: String::from_utf8_lossy(&loaded.text).into_owned(),
        repositories: args
            .repositories
            .iter()
            .map(|argument| absolute(argument, &directory))
            .collect::<Result<_, _>>()?,
        secrets: secrets(&loaded.spec.steps, environment),
        no_cache: args.no_cache,
    };
    let id = client.submit(&submission).await?;
    for file in files {
        let content = content(&file.source)?;
        client
            .upload(id, &file.path, file.modified_at, content)
            .await?;
    }
    client.start(id).await?;
    let mut detail = resolved(&client, id).await?;
    for warning in &detail.warnings {
        printer::warning(warning);
    }
    if let Some(failure) = &detail.failure {
        return Err(Failed::usage(failure));
    }
    printer::note(format_args!(
        "execution {id}: {}",
        text::plural(detail.jobs.len(), "job")
    ));
    if !args.json {
        printer::result_line(id).map_err(Failed::environment)?;
    }
    if args.wait {
        detail = ended(&client, detail).await?;
    }
    if args.json {
        show::print_json(&detail)?;
    }
    Ok(match args.wait {
        true => show::exit(&detail),
        false => Exit::Success,
    })
}

/// A path from here as one from the root; names and URLs as they are.
fn absolute(argument: &str, directory: &Path) -> Result<String, Failed> {
    match Source::parse(argument, directory).map_err(Failed::usage)? {
        Source::Local(path) if path.exists() => {
            let top = repository::discover(&path)?.top;
            let top = top.into_os_string().into_string();
            top.map_err(|path| Failed::usage(format!("{}: its name is not UTF-8", path.display())))
        }
        _ => Ok(argument.to_owned()),
    }
}

/// The values of the variables that the steps take from outside.
fn secrets(steps: &[Step], environment: &Environment) -> BTreeMap<String, String> {
    let variables = steps.iter().flat_map(|step| &step.env.vars);
    variables
        .filter_map(|variable| match variable {
            EnvVar::Forwarded { name } => {
                Some((name.clone(), environment.all().get(name)?.clone()))
            }
            EnvVar::Static { .. } => None,
        })
        .collect()
}

fn content(path: &Path) -> Result<Vec<u8>, Failed> {
    let mut content = Vec::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut content))
        .map_err(Failed::usage)?;
    if content.len() as u64 > FILE_LIMIT {
        return Err(Failed::usage(format!(
            "{} is larger than {} MiB, which is the most that a hub takes",
            path.display(),
            FILE_LIMIT >> 20
        )));
    }
    Ok(content)
}

/// Waits until the hub knows the workspaces.
async fn resolved(client: &Client, id: i64) -> Result<Detail, Failed> {
    loop {
        let detail = client.execution(id).await?;
        let state = ExecutionState::of(&detail.state);
        if state != Some(ExecutionState::Resolving) {
            return Ok(detail);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits for the end, and tells of every job that ends.
async fn ended(client: &Client, mut detail: Detail) -> Result<Detail, Failed> {
    let mut told = BTreeMap::new();
    loop {
        let begun = Instant::now();
        for job in &detail.jobs {
            let before = told.insert(job.id, job.state.clone());
            if job.finished_at.is_some() && before.as_ref() != Some(&job.state) {
                printer::note(show::job_line(job));
            }
        }
        if ExecutionState::of(&detail.state).is_none_or(ExecutionState::has_ended) {
            return Ok(detail);
        }
        detail = client.execution(detail.id).await?;
        tokio::time::sleep(INTERVAL.max(begun.elapsed() * 4)).await;
    }
}
