//! No two changesets of a repository may have one branch.

use std::collections::BTreeMap;
use std::fmt;

use super::ChangesetSpec;

/// Branches that several changeset specs of one repository have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateBranches {
    /// Repository name, branch and number of specs, sorted.
    pub branches: Vec<(String, String, usize)>,
}

/// Checks the specs of all tasks, cached ones included (facts/batch-spec.md 5.5).
///
/// # Errors
///
/// All branches that more than one spec of a repository has.
pub fn check_unique_branches<'a>(
    specs: impl IntoIterator<Item = &'a ChangesetSpec>,
) -> Result<(), DuplicateBranches> {
    let mut counts = BTreeMap::new();
    for spec in specs {
        let key = (&spec.repository_name, spec.branch(), &spec.repository_id);
        *counts.entry(key).or_insert(0_usize) += 1;
    }
    let branches: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|((repository, branch, _), count)| (repository.clone(), branch.to_owned(), count))
        .collect();
    if branches.is_empty() {
        Ok(())
    } else {
        Err(DuplicateBranches { branches })
    }
}

impl std::error::Error for DuplicateBranches {}

impl fmt::Display for DuplicateBranches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Multiple changeset specs have the same branch:\n")?;
        for (repository, branch, count) in &self.branches {
            writeln!(
                f,
                "\t* {repository}: {count} changeset specs have the branch \"{branch}\""
            )?;
        }
        write!(
            f,
            "\nMake changesetTemplate.branch unique within a repository. Where a repository has \
             several workspaces, put their path into it, for example with ${{{{ replace steps.path \
             \"/\" \"-\" }}}}."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Author;

    fn spec(repository: &str, branch: &str) -> ChangesetSpec {
        ChangesetSpec {
            repository_id: format!("id of {repository}"),
            repository_name: repository.to_owned(),
            base_rev: String::new(),
            base_ref: String::new(),
            head_ref: format!("refs/heads/{branch}"),
            title: String::new(),
            body: String::new(),
            message: String::new(),
            author: Author {
                name: String::new(),
                email: String::new(),
            },
            diff: Vec::new(),
            published: None,
            fork: None,
        }
    }

    #[test]
    fn one_branch_in_two_repositories_is_fine() {
        assert_eq!(
            check_unique_branches(&[spec("a", "x"), spec("b", "x"), spec("a", "y")]),
            Ok(())
        );
    }

    #[test]
    fn all_duplicates_are_told() {
        let specs = ["b", "a", "b", "a", "b"].map(|repository| spec(repository, "fix"));
        let error = check_unique_branches(&specs).unwrap_err();
        insta::assert_snapshot!(error, @r#"
        Multiple changeset specs have the same branch:

        	* a: 2 changeset specs have the branch "fix"
        	* b: 3 changeset specs have the branch "fix"

        Make changesetTemplate.branch unique within a repository. Where a repository has several workspaces, put their path into it, for example with ${{ replace steps.path "/" "-" }}.
        "#);
    }
}
