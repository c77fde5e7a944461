//! Which repositories a run works on: those given as arguments, else those the batch spec's `on` names.

use std::path::Path;

use capstan_core::spec::{BatchSpec, On};
use capstan_engine::repository::{self, Origin, Selection, Source};

use crate::failure::{Exit, Failed};
use crate::tools::Tools;

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
    let opened = repository::open_all(&tools.git, &tools.remotes, wanted, progress).await;
    opened.map_err(|faults| combined(faults.into_iter().map(Failed::from).collect()))
}

fn from_arguments(arguments: &[String], directory: &Path) -> Result<Vec<Selection>, Failed> {
    let parse = |argument: &String| {
        let source = Source::parse(argument, directory).map_err(Failed::usage)?;
        Ok(Selection {
            source,
            branch: None,
            name: None,
        })
    };
    arguments.iter().map(parse).collect()
}

/// Without a Sourcegraph instance, `repository: github.com/acme/widgets` can only mean that place on the web.
fn from_spec(spec: &BatchSpec) -> Result<Vec<Selection>, Failed> {
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
        let one = |branch| Selection {
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
fn combined(mut failures: Vec<Failed>) -> Failed {
    if failures.len() == 1
        && let Some(failed) = failures.pop()
    {
        return failed;
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
    if environment {
        Failed::environment(text)
    } else {
        Failed::usage(text)
    }
}
