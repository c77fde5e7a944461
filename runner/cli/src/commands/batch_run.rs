//! `capstan batch run`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use capstan_engine::apply::Permission;
use capstan_engine::run::{Finished, Job, MountsError, Resume};
use tokio_util::sync::CancellationToken;

use crate::args::{EngineKind, Format, Run};
use crate::config::{Config, Environment};
use crate::failure::{Exit, Failed};
use crate::jobs::{self, Plan};
use crate::pods::Pods;
use crate::report::{JobLabel, Phase, Reporter, reporter};
use crate::results::{self, Ended};
use crate::spec_file::{self, Loaded};
use crate::tools::Tools;
use crate::workplace::Workplace;
use crate::{apply, interrupt, plugins, printer, summary};

pub(super) async fn run(
    args: Run,
    config_file: Option<&Path>,
    verbose: bool,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let begun = Instant::now();
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let config = Config::load(config_file, environment, &args.settings, &directory)?;
    for warning in &config.warnings {
        printer::warning(warning);
    }
    let reporter = reporter(args.format, verbose);
    let has_plugins = !config.plugins.is_empty();
    let loaded = parse(&args, has_plugins, reporter.as_ref())?;
    if let Some(output) = &args.output {
        results::prepare(&directory.join(output))?;
    }
    let cancel = interrupt::token(Arc::clone(&reporter)).map_err(Failed::environment)?;
    let inputs = Inputs {
        args: &args,
        config: &config,
        environment,
        directory: &directory,
        begun,
    };
    let ended = match args.engine {
        EngineKind::Docker => here(&inputs, &loaded, &reporter, &cancel).await,
        EngineKind::Kubernetes => in_pods(&inputs, &loaded, &reporter, &cancel).await,
    };
    reporter.finish();
    ended.inspect_err(|failed| {
        reporter.phase(Phase::Failed {
            error: &failed.message,
        });
    })
}

/// On this machine.
async fn here(
    inputs: &Inputs<'_>,
    loaded: &Loaded,
    reporter: &Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Exit, Failed> {
    let workplace = Workplace::open(
        inputs.config,
        inputs.environment,
        &loaded.spec.steps,
        &loaded.directory,
        cancel,
        Arc::clone(reporter),
    );
    let workplace = workplace.await?;
    let ended = execute(inputs, loaded, reporter.as_ref(), &workplace).await;
    workplace.close().await;
    ended
}

/// In the pods of a cluster.
async fn in_pods(
    inputs: &Inputs<'_>,
    loaded: &Loaded,
    reporter: &Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Exit, Failed> {
    let Inputs {
        args,
        config,
        environment,
        ..
    } = *inputs;
    let pods = Pods::open(args, config, environment, Arc::clone(reporter), cancel).await?;
    let tools = Tools::open(config, environment).await?;
    let mut jobs = plan(inputs, loaded, reporter, &tools, cancel).await?;
    look_up(&mut jobs, reporter.as_ref(), async |index, job| {
        pods.look_up(index, job)
    })
    .await?;
    let finished = pods.run(&jobs).await;
    reporter.phase(Phase::Executed);
    reporter.finish();
    conclude(
        inputs,
        loaded,
        &jobs,
        finished,
        reporter.as_ref(),
        &tools,
        cancel,
    )
    .await
}

struct Inputs<'a> {
    args: &'a Run,
    config: &'a Config,
    environment: &'a Environment,
    directory: &'a Path,
    begun: Instant,
}

fn parse(args: &Run, has_plugins: bool, reporter: &dyn Reporter) -> Result<Loaded, Failed> {
    reporter.phase(Phase::Parsing);
    let loaded = spec_file::load(&args.spec.file, has_plugins)
        .map_err(Failed::from)
        .and_then(Loaded::refuse_version_3)
        .inspect_err(|failed| {
            reporter.phase(Phase::ParsingFailed {
                error: &failed.message,
            });
            // All that upstream says at the end of a run with an invalid spec.
            reporter.phase(Phase::Failed {
                error: "exit code: 2",
            });
        })?;
    reporter.phase(Phase::Parsed);
    Ok(loaded)
}

/// Opens the repositories and tells what there is to do.
async fn plan(
    inputs: &Inputs<'_>,
    loaded: &Loaded,
    reporter: &Arc<dyn Reporter>,
    tools: &Tools,
    cancel: &CancellationToken,
) -> Result<Vec<Job>, Failed> {
    reporter.phase(Phase::Resolving);
    let tell = {
        let reporter = Arc::clone(reporter);
        move |line: &str| reporter.fetching(line)
    };
    let secrets = plugins::secrets(&loaded.spec.steps, inputs.config, inputs.environment)?;
    let plan = jobs::plan(
        loaded,
        &inputs.args.repositories,
        inputs.directory,
        inputs.environment,
        tools,
        &secrets,
        tell,
    );
    let plan = tokio::select! {
        plan = plan => plan?,
        () = cancel.cancelled() => return Err(Failed::told(Exit::Interrupted)),
    };
    let Plan {
        jobs,
        repositories,
        ignored,
        warnings,
    } = plan;
    reporter.phase(Phase::Resolved {
        repositories,
        workspaces: jobs.len(),
        ignored,
    });
    for warning in &warnings {
        reporter.warn(warning);
    }
    reporter.jobs(jobs.iter().map(JobLabel::of).collect());
    Ok(jobs)
}

async fn execute(
    inputs: &Inputs<'_>,
    loaded: &Loaded,
    reporter: &dyn Reporter,
    workplace: &Workplace,
) -> Result<Exit, Failed> {
    let Inputs { args, config, .. } = *inputs;
    let (tools, cancel) = (&workplace.tools, &workplace.cancel);
    let mut jobs = plan(inputs, loaded, &workplace.reporter, tools, cancel).await?;

    let runner = Arc::new(workplace.runner(config, !args.no_cache, args.keep_workspaces)?);
    look_up(&mut jobs, reporter, async |index, job| {
        runner.look_up(index, job).await
    })
    .await?;

    let unknown = jobs
        .iter()
        .filter(|job| job.known().is_none())
        .map(|job| job.task.as_ref());
    tokio::select! {
        () = workplace.prepare_images(unknown, config.platform.as_deref()) => {}
        () = cancel.cancelled() => {}
    }

    let parallel = config.jobs.unwrap_or(workplace.processors);
    let finished = runner.run(jobs.clone(), parallel, args.fail_fast).await;
    reporter.phase(Phase::Executed);
    reporter.finish();
    conclude(inputs, loaded, &jobs, finished, reporter, tools, cancel).await
}

/// Writes the results of jobs that have ended, and tells how it went.
async fn conclude(
    inputs: &Inputs<'_>,
    loaded: &Loaded,
    jobs: &[Job],
    finished: Vec<Finished>,
    reporter: &dyn Reporter,
    tools: &Tools,
    cancel: &CancellationToken,
) -> Result<Exit, Failed> {
    let Inputs {
        args,
        directory,
        begun,
        ..
    } = *inputs;
    let tasks = jobs.iter().map(|job| Arc::clone(&job.task));
    let origins = jobs.iter().filter_map(|job| job.base.origin().cloned());
    let ended: Vec<Ended> = tasks
        .zip(origins)
        .zip(finished)
        .map(|((task, origin), finished)| Ended::of(task, origin, finished, &loaded.spec))
        .collect();
    let results = results::collect(&ended, &loaded.spec)?;
    if let Some(output) = &args.output {
        results::write(&directory.join(output), results.specs(), &results.imports)?;
    } else if args.format != Format::Json {
        results::print(results.specs())?;
    }
    let applied = if args.apply {
        let permission = Permission {
            replace: args.force,
            dirty: args.allow_dirty,
        };
        apply::apply(&results, &tools.git, permission).await
    } else {
        Vec::new()
    };
    summary::tell(&ended, &applied, args.output.as_deref(), begun.elapsed());
    let interrupted = cancel.is_cancelled();
    let exit = summary::exit(&ended, &applied, interrupted);
    if exit != Exit::Success {
        let error = summary::error(&ended, &applied, interrupted);
        reporter.phase(Phase::Failed { error: &error });
    }
    Ok(exit)
}

/// Fills in what is `known` of each job, and tells how many are known to the end.
async fn look_up(
    jobs: &mut [Job],
    reporter: &dyn Reporter,
    known: impl AsyncFn(usize, &Job) -> Result<Option<Resume>, MountsError>,
) -> Result<(), Failed> {
    reporter.phase(Phase::CheckingCache);
    for (index, job) in jobs.iter_mut().enumerate() {
        job.resume = known(index, job).await.map_err(Failed::usage)?;
    }
    let found = jobs.iter().filter(|job| job.known().is_some()).count();
    reporter.phase(Phase::CheckedCache {
        found,
        to_execute: jobs.len() - found,
    });
    Ok(())
}
