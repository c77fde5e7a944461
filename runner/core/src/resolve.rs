//! From repositories to workspaces: the `workspaces` rules of a spec (facts/batch-spec.md 1.10).

use std::collections::BTreeSet;

use crate::spec::WorkspaceRule;

/// A repository at a commit, as far as the rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Full name.
    pub name: &'a str,
    /// Branch name.
    pub branch: &'a str,
    /// Paths of the regular files of the commit, `/` between their parts, none in front.
    pub files: &'a [String],
    /// Paths that the search named.
    pub search_result_paths: &'a [String],
}

/// A place where the steps run once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Index of the repository among the candidates.
    pub repository: usize,
    /// Directory, empty at the root.
    pub path: String,
    /// Whether only that directory is wanted; never at the root.
    pub only_fetch_workspace: bool,
    /// The repository's search results whose path starts with `path`, sorted and unique.
    pub search_result_paths: Vec<String>,
    /// Whether the repository has `.batchignore` at its root.
    pub ignored: bool,
}

/// Why the rules cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Two rules claim a repository.
    #[error(
        "repository {repository} matches multiple workspaces.in globs in the batch spec. glob: \"{glob}\""
    )]
    Ambiguous {
        /// Name of the repository.
        repository: String,
        /// `in` of the second rule, empty if it has none.
        glob: String,
    },
    /// `in` is no glob.
    #[error("failed to compile glob \"{glob}\": {message}")]
    Glob {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        message: String,
    },
}

/// A compiled glob on repository names.
pub type Matcher = Box<dyn Fn(&str) -> bool>;

/// Applies the rules; the result is ordered by repository name, path and branch.
///
/// `compile` makes a matcher of a glob, or says what is wrong with it. `keep` says whether a workspace
/// has a step that may run; the others are dropped. Ignored repositories are in the result, marked: the
/// caller drops or keeps them.
pub fn workspaces(
    candidates: &[Candidate<'_>],
    rules: &[WorkspaceRule],
    compile: &dyn Fn(&str) -> Result<Matcher, String>,
    keep: &dyn Fn(&Workspace) -> bool,
) -> Result<Vec<Workspace>, ResolveError> {
    let mut matchers: Vec<(&WorkspaceRule, Option<Matcher>)> = Vec::new();
    for rule in rules {
        let matcher = match &rule.in_ {
            None => None,
            Some(glob) => Some(compile(glob).map_err(|message| ResolveError::Glob {
                glob: glob.clone(),
                message,
            })?),
        };
        matchers.push((rule, matcher));
    }
    let mut found = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let mut matching = matchers
            .iter()
            .filter(|(_, matcher)| matcher.as_ref().is_none_or(|m| m(candidate.name)));
        let rule = matching.next();
        if let Some((second, _)) = matching.next() {
            return Err(ResolveError::Ambiguous {
                repository: candidate.name.to_owned(),
                glob: second.in_.clone().unwrap_or_default(),
            });
        }
        match rule {
            None => found.push(candidate.workspace(index, "", false)),
            Some((rule, _)) => {
                let roots = candidate.directories_of(&rule.root_at_location_of);
                let only = rule.only_fetch_workspace;
                found.extend(
                    roots
                        .into_iter()
                        .map(|path| candidate.workspace(index, path, only && !path.is_empty())),
                );
            }
        }
    }
    found.retain(|workspace| keep(workspace));
    found.sort_by_key(|w| {
        let candidate = &candidates[w.repository];
        (candidate.name, w.path.clone(), candidate.branch)
    });
    Ok(found)
}

impl Candidate<'_> {
    /// The directories, at any depth, that have a file of that name.
    fn directories_of(&self, name: &str) -> BTreeSet<&str> {
        let split = |path: &'_ String| path.rfind('/');
        self.files
            .iter()
            .filter_map(|path| match split(path) {
                Some(slash) => (&path[slash + 1..] == name).then_some(&path[..slash]),
                None => (path == name).then_some(""),
            })
            .collect()
    }

    fn workspace(&self, repository: usize, path: &str, only_fetch_workspace: bool) -> Workspace {
        let paths = self.search_result_paths.iter();
        // A plain test of the text: `a` also keeps `ab/x`.
        let paths: BTreeSet<_> = paths.filter(|p| p.starts_with(path)).cloned().collect();
        Workspace {
            repository,
            path: path.to_owned(),
            only_fetch_workspace,
            search_result_paths: paths.into_iter().collect(),
            ignored: self.files.iter().any(|file| file == ".batchignore"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough of a glob for these tests: an exact name or `*`.
    fn compile(glob: &str) -> Result<Matcher, String> {
        if glob == "[" {
            return Err("unexpected end of input".to_owned());
        }
        let glob = glob.to_owned();
        Ok(Box::new(move |name| glob == "*" || glob == name))
    }

    fn rule(file: &str, in_: Option<&str>, only: bool) -> WorkspaceRule {
        WorkspaceRule {
            root_at_location_of: file.to_owned(),
            in_: in_.map(str::to_owned),
            only_fetch_workspace: only,
        }
    }

    fn run(rules: &[WorkspaceRule]) -> Result<Vec<String>, String> {
        let files =
            ["z/go.mod", "a/b/go.mod", "go.mod", "a/go.modx", "a/b/c.go"].map(str::to_owned);
        let other = [".batchignore".to_owned(), "x".to_owned()];
        let results = ["z/q", "a/b/q", "a/bc", "z/q"].map(str::to_owned);
        let candidates = [
            Candidate {
                name: "r2",
                branch: "main",
                files: &files,
                search_result_paths: &results,
            },
            Candidate {
                name: "r1",
                branch: "main",
                files: &other,
                search_result_paths: &[],
            },
        ];
        let found = workspaces(&candidates, rules, &compile, &|_| true);
        let found = found.map_err(|e| e.to_string())?;
        let show = |w: &Workspace| {
            format!(
                "{}:{}{}{} {}",
                candidates[w.repository].name,
                w.path,
                if w.only_fetch_workspace { " only" } else { "" },
                if w.ignored { " ignored" } else { "" },
                w.search_result_paths.join(",")
            )
        };
        Ok(found.iter().map(show).collect())
    }

    #[test]
    fn without_rules_every_repository_is_one_workspace() {
        assert_eq!(run(&[]).unwrap(), ["r1: ignored ", "r2: a/b/q,a/bc,z/q"]);
    }

    #[test]
    fn a_rule_gives_a_workspace_per_directory_and_none_without_the_file() {
        let rules = [rule("go.mod", None, true)];
        assert_eq!(
            run(&rules).unwrap(),
            [
                "r2: a/b/q,a/bc,z/q",
                "r2:a/b only a/b/q,a/bc",
                "r2:z only z/q"
            ]
        );
    }

    #[test]
    fn rules_are_chosen_by_repository_name() {
        let rules = [
            rule("x", Some("r1"), false),
            rule("go.mod", Some("r9"), false),
        ];
        assert_eq!(run(&rules).unwrap(), ["r1: ignored ", "r2: a/b/q,a/bc,z/q"]);
    }

    #[test]
    fn errors() {
        let rules = [rule("x", Some("*"), false), rule("y", Some("r2"), false)];
        assert_eq!(
            run(&rules).unwrap_err(),
            "repository r2 matches multiple workspaces.in globs in the batch spec. glob: \"r2\""
        );
        assert_eq!(
            run(&[rule("x", Some("["), false)]).unwrap_err(),
            "failed to compile glob \"[\": unexpected end of input"
        );
    }

    #[test]
    fn workspaces_without_a_step_are_dropped() {
        let files = ["a".to_owned()];
        let candidate = Candidate {
            name: "r",
            branch: "b",
            files: &files,
            search_result_paths: &[],
        };
        let found = workspaces(&[candidate], &[], &compile, &|_| false);
        assert_eq!(found, Ok(Vec::new()));
    }
}
