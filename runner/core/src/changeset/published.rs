//! `published`: whether a changeset is published, by repository and branch.

use crate::glob::{Glob, GlobError};
use crate::spec::{Published, PublishedValue};

/// The value of the last rule that matches the repository's name and the branch
/// (facts/batch-spec.md 1.8); `None` if none does.
///
/// `branch` is the rendered branch, without `refs/heads/` being added.
///
/// # Errors
///
/// If a pattern up to the deciding one is not a glob.
pub fn published_for(
    published: &Published,
    repository: &str,
    branch: &str,
) -> Result<Option<PublishedValue>, GlobError> {
    for rule in published.rules.iter().rev() {
        let of_branch = rule.branch.as_ref().is_none_or(|name| name == branch);
        if of_branch && Glob::new(&rule.pattern)?.is_match(repository) {
            return Ok(Some(rule.value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::spec::PublishedRule;

    fn rules(rules: &[(&str, Option<&str>, PublishedValue)]) -> Published {
        Published {
            rules: rules
                .iter()
                .map(|(pattern, branch, value)| PublishedRule {
                    pattern: (*pattern).to_owned(),
                    branch: branch.map(str::to_owned),
                    value: *value,
                })
                .collect(),
        }
    }

    #[rstest]
    #[case("github.com/acme/a", "x", Some(PublishedValue::No))]
    #[case("github.com/acme/widgets", "x", Some(PublishedValue::Yes))]
    #[case("github.com/acme/widgets", "y@z", Some(PublishedValue::Draft))]
    #[case("github.com/acme/widgets", "refs/heads/y@z", Some(PublishedValue::Yes))]
    #[case("gitlab.com/a", "x", None)]
    fn the_last_match_decides(
        #[case] repository: &str,
        #[case] branch: &str,
        #[case] expected: Option<PublishedValue>,
    ) {
        let published = rules(&[
            ("github.com/*", None, PublishedValue::No),
            ("*/widgets", None, PublishedValue::Yes),
            ("*/widgets", Some("y@z"), PublishedValue::Draft),
        ]);
        assert_eq!(
            published_for(&published, repository, branch).unwrap(),
            expected
        );
    }

    #[test]
    fn no_rules_is_unset() {
        assert_eq!(published_for(&rules(&[]), "r", "b").unwrap(), None);
    }
}
