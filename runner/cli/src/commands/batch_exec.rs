//! `capstan batch exec`: stands in for `src batch exec` inside an executor (facts/batch-spec.md 6.7).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capstan_core::diff::Encoding;
use capstan_core::exec_flags::FLAGS;
use capstan_core::exec_input::{self, ExecInput};
use capstan_core::go_flags::{self, Parsed};
use capstan_core::spec::check_mounts;
use capstan_engine::repository;
use capstan_engine::run::{Base, Job, Outcome, Resume, go_duration};

use crate::args::SettingFlags;
use crate::config::{Config, Environment, duration};
use crate::failure::{Exit, Failed};
use crate::report::{JobLabel, Json, Reporter};
use crate::workplace::Workplace;
use crate::{interrupt, plugins, printer};

/// Largest input that is read: a cached diff may be in it.
const INPUT_LIMIT: u64 = 1 << 30;

/// What the flags said, checked.
struct Arguments {
    input: PathBuf,
    temporary: PathBuf,
    repository: PathBuf,
    workspace_files: PathBuf,
    settings: SettingFlags,
    encoding: Encoding,
}

pub(super) async fn run(
    flags: &[OsString],
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let flags: Vec<String> = flags
        .iter()
        .map(|flag| flag.to_string_lossy().into_owned())
        .collect();
    let values = match go_flags::parse(FLAGS, &flags) {
        Ok(Parsed::Values(values)) => values,
        Ok(Parsed::Help) => {
            printer::result_line(usage()).map_err(Failed::environment)?;
            return Ok(Exit::Success);
        }
        Err(error) => return Err(Failed::usage(format_args!("{error}\n\n{}", usage()))),
    };
    // Go refuses a value that is none with the flag it belongs to.
    if let Some(text) = values.get("timeout").filter(|text| !text.is_empty()) {
        duration(text).map_err(|error| {
            Failed::usage(format_args!(
                "invalid value {text:?} for flag -timeout: {error}\n\n{}",
                usage()
            ))
        })?;
    }
    execute(&values, config_file, environment)
        .await
        .map_err(|mut failed| {
            // Whoever calls `src batch exec` knows these two codes only.
            if failed.exit != Exit::Interrupted {
                failed.exit = Exit::Failed;
            }
            if !failed.message.is_empty() {
                failed.message.push_str(" (exit code: 1)");
            }
            failed
        })
}

fn usage() -> String {
    format!(
        "Usage: capstan batch exec -f FILE -repo DIR -tmp DIR [flags]\n\n\
         Runs the steps of one workspace and tells of them in JSON lines, as `src batch exec` does.\n\n{}",
        go_flags::usage(FLAGS)
    )
}

async fn execute(
    values: &BTreeMap<&'static str, String>,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let arguments = arguments(values, &directory)?;
    let mut config = Config::load(config_file, environment, &arguments.settings, &directory)?;
    for warning in &config.warnings {
        printer::warning(warning);
    }
    config.state_dir.clone_from(&arguments.temporary);
    let input = read(&arguments.input)?;
    let reporter: Arc<dyn Reporter> = Json::for_exec(arguments.encoding);
    let cancel = interrupt::token(Arc::clone(&reporter)).map_err(Failed::environment)?;
    let workplace = Workplace::open(
        &config,
        environment,
        &input.task.steps,
        &arguments.workspace_files,
        &cancel,
        Arc::clone(&reporter),
    )
    .await?;
    let ended = run_task(
        &arguments,
        &config,
        environment,
        input,
        reporter.as_ref(),
        &workplace,
    )
    .await;
    workplace.close().await;
    reporter.finish();
    ended
}

async fn run_task(
    arguments: &Arguments,
    config: &Config,
    environment: &Environment,
    input: ExecInput,
    reporter: &dyn Reporter,
    workplace: &Workplace,
) -> Result<Exit, Failed> {
    let found = repository::discover(&arguments.repository)?;
    let source = repository::Source::Local(found.top);
    let mut origin = repository::open(
        &workplace.tools.git,
        &workplace.tools.remotes,
        &source,
        None,
        |_| {},
    )
    .await?;
    origin.name.clone_from(&input.task.repository.name);
    let known = input.known().map_err(Failed::run)?;
    let resume = known.map(|result| Resume {
        result: Arc::new(result),
    });
    let mounts = check_mounts(&input.task.steps, &arguments.workspace_files, &|path| {
        fs_err::canonicalize(path)
    })
    .map_err(Failed::run)?;
    let secrets = plugins::secrets(&input.task.steps, config, environment)?;
    let job = Job {
        task: Arc::new(input.task),
        base: Base::InPlace(Arc::new(origin)),
        outer_environment: Arc::new(environment.all().clone()),
        mount_directory: arguments.workspace_files.clone(),
        mounts: mounts.into(),
        secrets,
        resume,
        skip: BTreeSet::new(),
    };
    reporter.jobs(vec![JobLabel::of(&job)]);
    workplace.prepare_images([job.task.as_ref()], None).await;
    let runner = Arc::new(workplace.runner(config, false, false)?);
    let finished = runner.run(vec![job], 1, false).await;
    match finished.into_iter().next().map(|finished| finished.outcome) {
        Some(Outcome::Done { .. }) => Ok(Exit::Success),
        Some(Outcome::Failed(failure)) => {
            let mut failed = Failed::run(&failure.message);
            failed.hint = failure.hint;
            Err(failed)
        }
        Some(Outcome::Cancelled) | None => Err(Failed::told(Exit::Interrupted)),
    }
}

fn arguments(
    values: &BTreeMap<&'static str, String>,
    directory: &Path,
) -> Result<Arguments, Failed> {
    let get = |name| {
        values
            .get(name)
            .map(String::as_str)
            .filter(|value: &&str| !value.is_empty())
    };
    let required = |name, missing: &str| {
        get(name)
            .map(|path| directory.join(path))
            .ok_or_else(|| Failed::run(missing))
    };
    let input = required("f", "input file parameter missing")?;
    let temporary = required("tmp", "tempDir parameter missing")?;
    let repository = required("repo", "repoDir parameter missing")?;
    let relative = get("tmp").is_some_and(|path| Path::new(path).is_relative());
    if relative {
        fs_err::create_dir(&temporary).map_err(Failed::run)?;
    } else if !temporary.is_dir() {
        return Err(Failed::run(format!(
            "the temporary directory {} does not exist",
            temporary.display()
        )));
    }
    let timeout = match get("timeout") {
        None => None,
        Some(text) => {
            let limit = duration(text).map_err(|error| {
                Failed::run(format!("invalid value {text:?} for flag -timeout: {error}"))
            })?;
            Some(go_duration(limit))
        }
    };
    let flag = |name| values.get(name).is_some_and(|value| value == "true");
    Ok(Arguments {
        input,
        temporary,
        repository,
        workspace_files: get("workspaceFiles")
            .map_or_else(|| directory.to_path_buf(), |path| directory.join(path)),
        settings: SettingFlags {
            timeout,
            run_as_root: !flag("run-as-image-user"),
            ..SettingFlags::default()
        },
        encoding: if flag("binaryDiffs") {
            Encoding::Base64
        } else {
            Encoding::Text
        },
    })
}

fn read(path: &Path) -> Result<ExecInput, Failed> {
    use std::io::Read as _;
    let mut text = String::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(INPUT_LIMIT).read_to_string(&mut text))
        .map_err(|error| {
            Failed::run(format!(
                "failed to read workspace execution input file: {error}"
            ))
        })?;
    exec_input::parse(&text).map_err(Failed::run)
}
