//! Everything a run needs on this machine, opened in the right order and put away at the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capstan_core::plugin::Hook;
use capstan_core::spec::Step;
use capstan_core::task::Task;
use capstan_core::wasm_step::is_component;
use capstan_engine::cache::StepCache;
use capstan_engine::disk_cache::DiskCache;
use capstan_engine::docker::{Docker, DockerSandbox};
use capstan_engine::fault::Fault;
use capstan_engine::plugins::Plugins;
use capstan_engine::run::{Report, Runner, Settings, certain_images};
use capstan_engine::sandbox::{Engine as _, Limits, User};
use capstan_engine::state::{Run, State};
use capstan_engine::workspace::{self, Checkouts, Chosen, Place, Sight, Tidied};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment};
use crate::engines::{self, Engines};
use crate::failure::Failed;
use crate::plugins;
use crate::report::{Phase, Reporter};
use crate::tools::Tools;

/// Longest wait at the end for containers that are being removed.
const REMOVAL: Duration = Duration::from_secs(60);

/// Git, the engines, the caches and this run's own directories.
pub(crate) struct Workplace {
    pub(crate) tools: Tools,
    pub(crate) engines: Arc<Engines>,
    pub(crate) plugins: Plugins,
    pub(crate) cancel: CancellationToken,
    pub(crate) reporter: Arc<dyn Reporter>,
    /// Processors of the engine of containers, or of this machine if that is not needed.
    pub(crate) processors: usize,
    checkouts: Checkouts,
    run: Run,
    /// Where workspaces that are kept go.
    kept: PathBuf,
    logs: PathBuf,
    cache_dir: PathBuf,
}

/// The results of steps, in the cache directory.
pub(crate) fn step_cache(directory: &Path) -> StepCache {
    StepCache::open(directory.join("steps"))
}

impl Workplace {
    /// Opens all of it for these `steps` of a batch spec in `directory`, and sweeps away what killed runs have left. An engine of
    /// containers is looked for if one of the steps does not certainly run in WebAssembly.
    pub(crate) async fn open(
        config: &Config,
        environment: &Environment,
        steps: &[Step],
        directory: &Path,
        cancel: &CancellationToken,
        reporter: Arc<dyn Reporter>,
    ) -> Result<Self, Failed> {
        let state = State::open(&config.state_dir)?;
        let run = state.new_run()?;
        let equipped = Equipment::of(
            config,
            environment,
            steps,
            directory,
            &run,
            &state,
            &reporter,
        );
        let (tools, equipped) = tokio::join!(Tools::open(config, environment), equipped);
        // A run that did not begin leaves nothing behind.
        let tools = tools.inspect_err(|_| remove(&run))?;
        let Equipment {
            plugins,
            engines,
            processors,
            sight,
        } = equipped.inspect_err(|_| remove(&run))?;
        let chosen = checkouts(config, &tools.cache, run.directory(), sight);
        let checkouts = Checkouts::new(&chosen.inspect_err(|_| remove(&run))?, &tools.cache);
        sweep(&state);
        let logs = config.state_dir.join("logs");
        forget_old_logs(&logs, config.keep_logs);
        Ok(Self {
            tools,
            engines: Arc::new(engines),
            plugins,
            cancel: cancel.clone(),
            reporter,
            processors,
            checkouts,
            kept: config.state_dir.join("kept").join(run.id()),
            logs: logs.join(run.id()),
            run,
            cache_dir: config.cache_dir.clone(),
        })
    }

    /// A runner for jobs, with or without the cache of step results.
    pub(crate) fn runner(
        &self,
        config: &Config,
        use_cache: bool,
        keep_workspaces: bool,
    ) -> Result<Runner<Engines>, Failed> {
        let workspaces = if keep_workspaces {
            fs_err::create_dir_all(&self.kept).map_err(Failed::environment)?;
            self.kept.clone()
        } else {
            self.run.directory().join("workspaces")
        };
        Ok(Runner {
            engine: Arc::clone(&self.engines),
            git: self.tools.git.clone(),
            workspaces,
            checkouts: self.checkouts.clone(),
            logs: self.logs.clone(),
            cache: use_cache.then(|| step_cache(&self.cache_dir)),
            plugins: self.plugins.clone(),
            settings: settings(config, keep_workspaces),
            report: Arc::clone(&self.reporter) as Arc<dyn Report>,
            cancel: self.cancel.clone(),
        })
    }

    /// Gets the images whose names are certain before anything ran, all at once. One that cannot be had is told when
    /// the first step asks for it: that step may never run. Where there are policies, none is got before they have agreed to its step.
    pub(crate) async fn prepare_images(
        &self,
        tasks: impl IntoIterator<Item = &Task>,
        platform: Option<&str>,
    ) {
        let mut names = BTreeSet::new();
        let tasks = tasks.into_iter();
        for task in tasks.take_while(|_| !self.plugins.have(Hook::Policy)) {
            names.extend(certain_images(task));
        }
        let total = names.len();
        self.reporter.phase(Phase::PreparingImages { total });
        let mut getting: FuturesUnordered<_> = names
            .iter()
            .map(|name| self.engines.image(name, platform))
            .collect();
        let mut done = 0;
        while getting.next().await.is_some() {
            done += 1;
            self.reporter.phase(Phase::PreparedImage { done, total });
        }
        self.reporter.phase(Phase::PreparedImages);
    }

    /// Waits for what is being removed in the background, then removes the rest of the run.
    pub(crate) async fn close(&self) {
        let containers = self.engines.connected();
        put_away(containers.map(|containers| &containers.sandbox), &self.run).await;
    }
}

/// What runs the steps of one run.
struct Equipment {
    plugins: Plugins,
    engines: Engines,
    processors: usize,
    /// How the engine of containers sees this machine, if it is needed.
    sight: Option<Sight<'static>>,
}

impl Equipment {
    async fn of(
        config: &Config,
        environment: &Environment,
        steps: &[Step],
        directory: &Path,
        run: &Run,
        state: &State,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self, Failed> {
        let workspaces = run.directory().join("workspaces");
        fs_err::create_dir(&workspaces).map_err(Failed::environment)?;
        let tell = Arc::clone(reporter);
        let host = engines::open_host(config);
        let plugins = plugins::load(config, environment, &host, tell.as_ref()).await?;
        let engines = engines::new(
            config,
            environment,
            state.clone(),
            run,
            directory,
            host,
            tell,
        )?;
        let (processors, sight) = if steps.iter().all(|step| is_component(&step.container)) {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            (processors, None)
        } else {
            // An engine that is not there is told before anything else is done.
            let info = engines.containers().await?.sandbox.info();
            (info.cpus.max(1), Some(info.sight()))
        };
        Ok(Self {
            plugins,
            engines,
            processors,
            sight,
        })
    }
}

/// How workspaces in `directory` get their files.
pub(crate) fn checkouts(
    config: &Config,
    cache: &DiskCache,
    directory: &Path,
    engine: Option<Sight<'_>>,
) -> Result<Chosen, Fault> {
    let place = Place {
        cache: cache.directory(),
        workspaces: directory,
        engine,
    };
    workspace::choose(config.workspaces, place)
}

/// Waits for the containers of a run that are being removed in the background, then removes those that are left, and its directory.
pub(crate) async fn put_away(sandbox: Option<&DockerSandbox>, run: &Run) {
    if let Some(sandbox) = sandbox {
        sandbox.finish(REMOVAL).await;
        if let Err(fault) = sandbox.remove_all(run.id()).await {
            tracing::warn!(%fault, "containers of this run may be left");
        }
    }
    remove(run);
}

/// Removes the directory of a run.
pub(crate) fn remove(run: &Run) {
    match run.remove() {
        Ok(Tidied::Done) => {}
        Ok(Tidied::NeedsReclaim { .. }) => {
            tracing::warn!(
                "files of another user are left in {}",
                run.directory().display()
            );
        }
        Err(fault) => tracing::warn!(%fault, "the run's directory could not be removed"),
    }
}

/// Removes the logs of all but the newest runs.
fn forget_old_logs(logs: &Path, keep: usize) {
    let Ok(entries) = fs_err::read_dir(logs) else {
        return;
    };
    let mut runs: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    runs.sort();
    // This run's own logs make one more.
    let surplus = runs.len().saturating_sub(keep.saturating_sub(1));
    for (_, directory) in runs.into_iter().take(surplus) {
        if let Err(error) = fs_err::remove_dir_all(&directory) {
            tracing::warn!(%error, "old logs could not be removed");
        }
    }
}

fn settings(config: &Config, keep_workspaces: bool) -> Settings {
    Settings {
        user: if config.run_as_root {
            User::Root
        } else {
            User::Image
        },
        limits: Limits {
            cpus: config.cpus,
            memory: config.memory,
            pids: config.pids,
        },
        network: config.network.clone(),
        platform: config.platform.clone(),
        mounts: config.mounts.clone(),
        step_timeout: config.step_timeout,
        task_timeout: config.timeout,
        prepare_ahead: config.prepare_ahead,
        capture_limit: usize::try_from(config.output_limit).unwrap_or(usize::MAX),
        log_limit: config.log_limit,
        diff_limit: usize::try_from(config.diff_limit).unwrap_or(usize::MAX),
        keep_workspaces,
        ..Settings::default()
    }
}

/// Finds the container engine.
pub(crate) async fn connect(config: &Config, environment: &Environment) -> Result<Docker, Failed> {
    Ok(Docker::connect(&engines::environment_of(config, environment)).await?)
}

/// Removes the directories of runs whose process is gone. Their containers are gone by then, or are removed by the next
/// run that has to do with containers.
pub(crate) fn sweep(state: &State) {
    match state.dead_runs() {
        Ok(dead) => {
            for run in dead {
                tracing::info!(run = run.id(), "removing what a killed run has left");
                if let Err(fault) = run.remove() {
                    tracing::warn!(%fault, "the directory of an earlier run could not be removed");
                }
            }
        }
        Err(fault) => tracing::warn!(%fault, "earlier runs could not be looked at"),
    }
}
