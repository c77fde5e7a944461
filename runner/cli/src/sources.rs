//! Which repositories a run works on: those given as arguments, else those the batch spec's `on` names.

use std::collections::BTreeSet;
use std::path::Path;

use capstan_core::spec::{BatchSpec, On};
use capstan_engine::repository::{self, Origin, Source};
use tokio::task::JoinSet;

use crate::failure::{Exit, Failed};
use crate::tools::Tools;

/// How many repositories are opened at a time.
const AT_A_TIME: usize = 4;

/// A repository to open, and the branch wanted of it.
#[derive(Debug, Clone)]
struct Wanted {
    source: Source,
    branch: Option<String>,
    /// Name it goes by, where the spec gives one.
    name: Option<String>,
}

/// Opens all repositories, remote ones through the cache; `progress` is told of fetches.
///
/// # Errors
/// All that went wrong, not just the first.
pub(crate) async fn open(
    spec: &BatchSpec,
    arguments: &[String],
    directory: &Path,
    tools: &Tools,
    progress: impl Fn(&str) + Clone + Send + 'static,
) -> Result<Vec<Origin>, Failed> {
    let wanted = if arguments.is_empty() {
        from_spec(spec)?
    } else {
        from_arguments(arguments, directory)?
    };
    let mut origins: Vec<Option<Origin>> = vec![None; wanted.len()];
    let mut failures = Vec::new();
    let mut opening = JoinSet::new();
    let mut waiting = wanted.into_iter().enumerate();
    loop {
        while opening.len() < AT_A_TIME
            && let Some((index, wanted)) = waiting.next()
        {
            let (tools, progress) = (tools.clone(), progress.clone());
            opening.spawn(async move {
                let tell = move |line: &str| progress(line);
                let branch = wanted.branch.as_deref();
                let origin =
                    repository::open(&tools.git, &tools.remotes, &wanted.source, branch, tell)
                        .await;
                (index, origin.map(|origin| renamed(origin, wanted.name)))
            });
        }
        match opening.join_next().await {
            None => break,
            Some(Ok((index, Ok(origin)))) => origins[index] = Some(origin),
            Some(Ok((index, Err(fault)))) => failures.push((index, Failed::from(fault))),
            Some(Err(error)) => return Err(Failed::environment(error)),
        }
    }
    failures.sort_by_key(|(index, _)| *index);
    match combined(failures.into_iter().map(|(_, failed)| failed).collect()) {
        Some(failed) => Err(failed),
        None => {
            let mut origins = once_each(origins.into_iter().flatten());
            repository::tell_apart(&mut origins);
            Ok(origins)
        }
    }
}

/// Leaves out what was named before: the same branch and commit of the same repository.
fn once_each(origins: impl Iterator<Item = Origin>) -> Vec<Origin> {
    let mut seen = BTreeSet::new();
    origins
        .filter(|origin| {
            let directory = match &origin.local {
                Some(local) => &local.common_dir,
                None => &origin.git_dir,
            };
            seen.insert((
                directory.clone(),
                origin.name.clone(),
                origin.branch.clone(),
                origin.rev.clone(),
            ))
        })
        .collect()
}

fn renamed(mut origin: Origin, name: Option<String>) -> Origin {
    if let Some(name) = name {
        origin.name = name;
    }
    origin
}

fn from_arguments(arguments: &[String], directory: &Path) -> Result<Vec<Wanted>, Failed> {
    let parse = |argument: &String| {
        let source = Source::parse(argument, directory).map_err(Failed::usage)?;
        Ok(Wanted {
            source,
            branch: None,
            name: None,
        })
    };
    arguments.iter().map(parse).collect()
}

/// Without a Sourcegraph instance, `repository: github.com/acme/widgets` can only mean that place on the web.
fn from_spec(spec: &BatchSpec) -> Result<Vec<Wanted>, Failed> {
    const HINT: &str =
        "name repositories after the spec: capstan batch run -f SPEC ./repo-a ./repo-b";
    let mut wanted: Vec<(String, Vec<String>)> = Vec::new();
    for on in &spec.on {
        match on {
            On::Query(query) => {
                return Err(Failed::usage(format!(
                    "repositoriesMatchingQuery {query:?} needs a Sourcegraph instance to search"
                ))
                .hint(HINT));
            }
            On::Repository { name, branches } => {
                // Later rules replace earlier ones (facts/batch-spec.md 1.10).
                wanted.retain(|(other, _)| other != name);
                wanted.push((name.clone(), branches.clone()));
            }
        }
    }
    if wanted.is_empty() {
        return Err(Failed::usage("there is no repository to work on").hint(HINT));
    }
    let mut sources = Vec::new();
    for (name, branches) in wanted {
        let url = if name.contains("://") {
            name.clone()
        } else {
            format!("https://{name}")
        };
        let source = Source::parse(&url, Path::new("/")).map_err(Failed::usage)?;
        let one = |branch| Wanted {
            source: source.clone(),
            branch,
            name: Some(name.clone()),
        };
        if branches.is_empty() {
            sources.push(one(None));
        } else {
            sources.extend(branches.into_iter().map(|branch| one(Some(branch))));
        }
    }
    Ok(sources)
}

/// Several failures as one: all messages, the gravest code.
fn combined(mut failures: Vec<Failed>) -> Option<Failed> {
    if failures.len() <= 1 {
        return failures.pop();
    }
    let environment = failures
        .iter()
        .any(|failed| failed.exit == Exit::Environment);
    let mut lines = vec![format!("{} repositories cannot be used:", failures.len())];
    for failed in failures {
        lines.push(format!("  {}", failed.message.replace('\n', "\n  ")));
        lines.extend(failed.hint.map(|hint| format!("    hint: {hint}")));
    }
    let text = lines.join("\n");
    Some(if environment {
        Failed::environment(text)
    } else {
        Failed::usage(text)
    })
}
