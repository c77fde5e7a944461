//! From a submitted batch spec to jobs.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use capstan_core::spec::{self, BatchSpec, On};
use capstan_core::wasm_step::{Place, Reference};
use capstan_engine::fault::Fault;
use capstan_engine::plan::{Plan, plan};
use capstan_engine::repository::{self, Origin, Selection, Source};

use crate::dispatch;
use crate::hub::{HubError, Shared};
use crate::store::{self, Execution, NewJob, Registered, StoreError, StoredFile};

/// The queue of batch changes.
const QUEUE: &str = "batches";

/// Goes on with what was being resolved when the hub stopped.
pub(crate) async fn resume(hub: &Arc<Shared>) -> Result<(), StoreError> {
    for execution in hub.store.read(store::to_resolve).await? {
        start(hub, execution);
    }
    Ok(())
}

/// Resolves an execution in the background.
pub(crate) fn start(hub: &Arc<Shared>, execution: i64) {
    let hub = Arc::clone(hub);
    let background = hub.background.clone();
    background.spawn(async move {
        let resolving = resolve(&hub, execution);
        let resolved = tokio::select! {
            resolved = resolving => resolved,
            // The next start goes on with it.
            () = hub.ending.cancelled() => return,
        };
        let failure = match resolved {
            Ok(()) => return,
            Err(failure) => failure.to_string(),
        };
        let now = hub.now();
        let failed = hub
            .store
            .write(move |store| store::fail_execution(store, execution, &failure, now))
            .await;
        if let Err(error) = failed {
            tracing::error!(execution, %error, "a failed submission could not be noted");
        }
    });
}

/// Why a spec has no jobs.
#[derive(Debug, thiserror::Error)]
enum ResolveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Spec(String),
}

async fn resolve(hub: &Shared, id: i64) -> Result<(), ResolveError> {
    let (execution, files, known) = hub
        .store
        .read(move |connection| {
            let execution = store::execution(connection, id)?;
            let execution =
                execution.ok_or_else(|| StoreError::Corrupt(format!("execution {id} is gone")))?;
            let files = store::files(connection, id)?;
            Ok((execution, files, store::repositories(connection)?))
        })
        .await?;
    let parsed = spec::parse_whole(execution.draft.spec.as_bytes(), true)
        .map_err(|problems| ResolveError::Spec(problems.to_string()))?;
    check_mounts(&parsed.spec, &files)?;
    check_components(&parsed.spec, &files)?;
    let wanted = wanted(hub, &execution, &parsed.spec, &known)?;
    let opened = open(hub, wanted).await?;
    let sources = opened.sources;
    let plan = plan(&hub.git, &parsed.spec, opened.origins)
        .await
        .map_err(|error| ResolveError::Spec(error.to_string()))?;
    enqueue(hub, &execution, plan, &sources).await?;
    Ok(())
}

/// Every mount has to be among the files that were sent.
fn check_mounts(spec: &BatchSpec, files: &[StoredFile]) -> Result<(), ResolveError> {
    for (index, step) in spec.steps.iter().enumerate() {
        for mount in &step.mount {
            let Some(normal) = below(Path::new(&mount.path)) else {
                return Err(ResolveError::Spec(format!(
                    "step {}: the mount path {:?} has to be below the batch spec's directory, and relative to it",
                    index + 1,
                    mount.path
                )));
            };
            if !files
                .iter()
                .any(|file| Path::new(&file.path).starts_with(&normal))
            {
                return Err(ResolveError::Spec(format!(
                    "step {}: no file was sent for the mount path {:?}",
                    index + 1,
                    mount.path
                )));
            }
        }
    }
    Ok(())
}

/// So has every component that is named by a path.
fn check_components(spec: &BatchSpec, files: &[StoredFile]) -> Result<(), ResolveError> {
    for (index, step) in spec.steps.iter().enumerate() {
        let name = &step.container;
        // What a template names is found when the step runs.
        let Some(Ok(Reference {
            place: Place::File(path),
            ..
        })) = Reference::parse(name).filter(|_| !name.contains("${{"))
        else {
            continue;
        };
        let Some(path) = below(&path) else {
            return Err(ResolveError::Spec(format!(
                "step {}: the component {name} has to be below the batch spec's directory, and relative to it",
                index + 1
            )));
        };
        if !files.iter().any(|file| Path::new(&file.path) == path) {
            return Err(ResolveError::Spec(format!(
                "step {}: no file was sent for the component {name}",
                index + 1
            )));
        }
    }
    Ok(())
}

/// A path without what means nothing in it; `None` if it leads out of the directory that it starts from.
fn below(path: &Path) -> Option<PathBuf> {
    let parts = path.components();
    parts
        .filter(|component| *component != Component::CurDir)
        .map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// A repository to open, and the text that it is registered under.
struct Asked {
    text: String,
    wanted: Selection,
}

/// The repositories that were named in the submission, else those that the spec names.
fn wanted(
    hub: &Shared,
    execution: &Execution,
    spec: &BatchSpec,
    known: &[Registered],
) -> Result<Vec<Asked>, ResolveError> {
    let mut wanted: Vec<Asked> = Vec::new();
    let mut unknown = Vec::new();
    if !execution.draft.arguments.is_empty() {
        for argument in &execution.draft.arguments {
            match find(known, argument) {
                Some(registered) => wanted.push(asked(registered, None)?),
                None if hub.settings.open_to_new_repositories => wanted.push(new(argument)?),
                None => unknown.push(argument.as_str()),
            }
        }
        return none_unknown(wanted, &unknown, known);
    }
    // Later entries take the place of earlier ones (facts/batch-spec.md 1.10).
    let mut named: Vec<(&str, &[String])> = Vec::new();
    for on in &spec.on {
        match on {
            On::Query(query) => {
                return Err(ResolveError::Spec(format!(
                    "repositoriesMatchingQuery {query:?} needs a Sourcegraph instance to search; name repositories when you submit"
                )));
            }
            On::Repository { name, branches } => {
                named.retain(|(other, _)| other != name);
                named.push((name, branches));
            }
        }
    }
    if named.is_empty() {
        return Err(ResolveError::Spec(
            "there is no repository to work on; name repositories when you submit".to_owned(),
        ));
    }
    for (name, branches) in named {
        let Some(registered) = find(known, name) else {
            unknown.push(name);
            continue;
        };
        if branches.is_empty() {
            wanted.push(asked(registered, None)?);
        }
        for branch in branches {
            wanted.push(asked(registered, Some(branch.clone()))?);
        }
    }
    none_unknown(wanted, &unknown, known)
}

fn none_unknown(
    wanted: Vec<Asked>,
    unknown: &[&str],
    known: &[Registered],
) -> Result<Vec<Asked>, ResolveError> {
    if unknown.is_empty() {
        return Ok(wanted);
    }
    let unknown: Vec<String> = unknown.iter().map(|name| shown(name)).collect();
    let known: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    let known = match known.as_slice() {
        [] => "it knows none yet".to_owned(),
        known => format!("it knows {}", known.join(", ")),
    };
    Err(ResolveError::Spec(format!(
        "the hub does not know {}: {known}; register repositories with capstan hub serve --repository",
        unknown.join(", ")
    )))
}

/// A repository as it may be shown: without credentials.
fn shown(text: &str) -> String {
    match Source::parse(text, Path::new("/")) {
        Ok(Source::Remote { url, .. }) => url.to_string(),
        Ok(Source::Local(_)) => text.to_owned(),
        Err(_) if text.contains('@') => "a repository that cannot be read".to_owned(),
        Err(_) => text.to_owned(),
    }
}

fn find<'a>(known: &'a [Registered], name: &str) -> Option<&'a Registered> {
    let by_name = known.iter().find(|registered| registered.name == name);
    by_name.or_else(|| known.iter().find(|registered| registered.source == name))
}

fn asked(registered: &Registered, branch: Option<String>) -> Result<Asked, ResolveError> {
    Ok(Asked {
        text: registered.source.clone(),
        wanted: Selection {
            source: parse(&registered.source)?,
            branch,
            name: Some(registered.name.clone()),
        },
    })
}

fn new(argument: &str) -> Result<Asked, ResolveError> {
    let source = parse(argument)?;
    // What follows the # is wanted this time only.
    let text = match &source {
        Source::Local(path) => path.to_string_lossy().into_owned(),
        Source::Remote { .. } => argument.split('#').next().unwrap_or(argument).to_owned(),
    };
    Ok(Asked {
        text,
        wanted: Selection {
            source,
            branch: None,
            name: None,
        },
    })
}

fn parse(text: &str) -> Result<Source, ResolveError> {
    Source::parse(text, Path::new("/")).map_err(|error| ResolveError::Spec(error.to_string()))
}

struct Opened {
    origins: Vec<Origin>,
    /// The registered text of each repository, by the git directory.
    sources: Vec<(PathBuf, String)>,
}

async fn open(hub: &Shared, asked: Vec<Asked>) -> Result<Opened, ResolveError> {
    let mut sources = Vec::new();
    for one in &asked {
        let git_dir = match &one.wanted.source {
            Source::Local(path) => {
                let found = repository::discover(path);
                found
                    .map_err(|fault| ResolveError::Spec(text(&fault)))?
                    .git_dir
            }
            Source::Remote { url, .. } => hub.remotes.git_dir(url),
        };
        sources.push((git_dir, one.text.clone()));
    }
    let wanted = asked.into_iter().map(|asked| asked.wanted).collect();
    let tell = |line: &str| tracing::info!("{line}");
    let origins = repository::open_all(&hub.git, &hub.remotes, wanted, tell).await;
    let origins = origins.map_err(|faults| {
        let texts: Vec<String> = faults.iter().map(text).collect();
        ResolveError::Spec(texts.join("\n"))
    })?;
    Ok(Opened { origins, sources })
}

fn text(fault: &Fault) -> String {
    match &fault.hint {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message.clone(),
    }
}

async fn enqueue(
    hub: &Shared,
    execution: &Execution,
    plan: Plan,
    sources: &[(PathBuf, String)],
) -> Result<(), StoreError> {
    let source = |origin: &Origin| {
        let found = sources
            .iter()
            .find(|(git_dir, _)| *git_dir == origin.git_dir);
        found.map_or_else(String::new, |(_, text)| text.clone())
    };
    let jobs: Vec<(String, NewJob)> = plan
        .tasks
        .into_iter()
        .map(|(task, origin)| {
            let job = NewJob {
                repository: 0,
                repository_name: task.repository.name,
                branch: task.repository.branch,
                rev: task.repository.rev,
                path: task.path,
                only_fetch_workspace: task.only_fetch_workspace,
            };
            (source(&origin), job)
        })
        .collect();
    let (id, warnings, now) = (execution.id, plan.warnings, hub.now());
    let use_cache = execution.draft.use_cache;
    let queued = hub
        .store
        .write(move |store| {
            let mut queued = Vec::new();
            if !store::set_running(store, id, &warnings)? {
                return Ok(queued);
            }
            for (source, mut job) in jobs {
                job.repository = store::known_or_new(store, &job.repository_name, &source, now)?;
                queued.push(store::insert_job(store, id, QUEUE, &job, now)?);
            }
            store::settle(store, id, now)?;
            Ok(queued)
        })
        .await?;
    if use_cache {
        end_known(hub, queued).await?;
    }
    Ok(())
}

/// What is known to its end needs no executor.
async fn end_known(hub: &Shared, jobs: Vec<i64>) -> Result<(), StoreError> {
    for id in jobs {
        let job = hub
            .store
            .read(move |connection| store::job(connection, id))
            .await?;
        if let Some(job) = job.filter(|job| job.state == store::JobState::Queued) {
            dispatch::end_if_known(hub, &job).await?;
        }
    }
    Ok(())
}

/// Makes a repository known that the operator names.
pub(crate) async fn register(
    hub: &Shared,
    name: Option<&str>,
    argument: &str,
    directory: &Path,
) -> Result<String, HubError> {
    let failed = |message: String| HubError::Repository {
        repository: shown(argument),
        message,
    };
    let source = Source::parse(argument, directory).map_err(|error| failed(error.to_string()))?;
    let text = match &source {
        Source::Local(path) => fs_err::canonicalize(path)
            .map_err(|error| failed(error.to_string()))?
            .to_string_lossy()
            .into_owned(),
        Source::Remote {
            revision: Some(_), ..
        } => {
            return Err(failed(
                "a branch belongs into the batch spec, not to the repository".to_owned(),
            ));
        }
        Source::Remote { .. } => argument.to_owned(),
    };
    let name = match (name, &source) {
        (Some(name), _) => name.to_owned(),
        // A remote that cannot be reached now must not keep the hub from starting.
        (None, Source::Remote { url, .. }) => url.repository_name(),
        (None, Source::Local(_)) => {
            let tell = |line: &str| tracing::info!("{line}");
            let origin = repository::open(&hub.git, &hub.remotes, &source, None, tell).await;
            origin.map_err(|fault| failed(self::text(&fault)))?.name
        }
    };
    let (known, now) = (name.clone(), hub.now());
    let taken = hub
        .store
        .write(move |store| {
            let other = store::repository_by_name(store, &known)?;
            if other.is_some_and(|other| other.source != text) {
                return Ok(true);
            }
            store::register(store, &known, &text, now)?;
            Ok(false)
        })
        .await?;
    match taken {
        true => Err(failed(format!(
            "the name {name:?} is taken by another repository; give this one another with NAME={}",
            shown(argument)
        ))),
        false => Ok(name),
    }
}
