//! `transformChanges`: one diff, several branches.

use super::short;
use crate::diff::{Diff, DiffError};
use crate::spec::{Group, TransformChanges};

/// Groups whose branches clash in one repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Two groups have the same branch.
    #[error(
        "transformChanges would lead to multiple changesets in repository {repository} to have \
         the same branch \"{branch}\""
    )]
    SameBranch {
        /// Name of the repository.
        repository: String,
        /// The branch.
        branch: String,
    },
    /// A group has the branch that the changeset template renders to.
    #[error(
        "transformChanges group branch for repository {repository} is the same as branch \
         \"{branch}\" in changesetTemplate"
    )]
    TemplateBranch {
        /// Name of the repository.
        repository: String,
        /// The branch.
        branch: String,
    },
}

/// The groups that apply to a repository, and the branch of what they leave.
pub(super) struct Groups<'a> {
    template_branch: &'a str,
    /// Normalised directory and branch, in the spec's order.
    groups: Vec<(String, &'a str)>,
}

impl<'a> Groups<'a> {
    /// Picks the groups for `repository` and checks their branches against each other and against the
    /// rendered branch of the template (upstream compares with the unrendered one and then merges the
    /// diffs of both; facts/batch-spec.md 9, item 6).
    pub(super) fn of(
        transform: Option<&'a TransformChanges>,
        repository: &str,
        template_branch: &'a str,
    ) -> Result<Self, GroupError> {
        let applies = |group: &&Group| {
            group
                .repository
                .as_ref()
                .is_none_or(|name| name == repository)
        };
        let groups = transform.map_or(&[][..], |transform| &transform.group);
        let mut chosen: Vec<(String, &'a str)> = Vec::new();
        for group in groups.iter().filter(applies) {
            let branch = group.branch.as_str();
            if chosen
                .iter()
                .any(|(_, other)| short(other) == short(branch))
            {
                return Err(GroupError::SameBranch {
                    repository: repository.to_owned(),
                    branch: branch.to_owned(),
                });
            }
            if short(branch) == short(template_branch) {
                return Err(GroupError::TemplateBranch {
                    repository: repository.to_owned(),
                    branch: branch.to_owned(),
                });
            }
            chosen.push((normalise(&group.directory), branch));
        }
        Ok(Self {
            template_branch,
            groups: chosen,
        })
    }

    /// Cuts the diff into one for each branch that gets files. Without groups it is passed on unread.
    pub(super) fn split(&self, diff: &[u8]) -> Result<Vec<(&'a str, Vec<u8>)>, DiffError> {
        if self.groups.is_empty() {
            return Ok(vec![(self.template_branch, diff.to_vec())]);
        }
        let branches = self.groups.iter().map(|(_, branch)| *branch);
        let mut diffs: Vec<(&str, Vec<u8>)> = std::iter::once(self.template_branch)
            .chain(branches)
            .map(|branch| (branch, Vec::new()))
            .collect();
        for section in &Diff::parse(diff)?.sections {
            // The last group that matches has the file; the template's branch comes before all.
            let group = self
                .groups
                .iter()
                .rposition(|(directory, _)| contains(directory, section.name()));
            let (_, diff) = &mut diffs[group.map_or(0, |index| index + 1)];
            diff.extend_from_slice(section.raw);
        }
        diffs.retain(|(_, diff)| !diff.is_empty());
        Ok(diffs)
    }
}

/// A group's directory as names in diffs have it, ending in `/`; empty for the whole repository.
///
/// `./src`, `/src`, `~/src`, `src/` and `src` are one; names that begin with a dot are left alone
/// (upstream cannot match `.github` or `src/`; facts/batch-spec.md 9, item 5).
fn normalise(directory: &str) -> String {
    directory
        .split('/')
        .enumerate()
        .filter(|(index, part)| !matches!((index, *part), (_, "" | ".") | (0, "~")))
        .flat_map(|(_, part)| [part, "/"])
        .collect()
}

fn contains(directory: &str, name: &[u8]) -> bool {
    name.starts_with(directory.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("src", "src/main.rs", true)]
    #[case("./src", "src/main.rs", true)]
    #[case("/src", "src/main.rs", true)]
    #[case("~/src", "src/main.rs", true)]
    #[case("src/", "src/main.rs", true)]
    #[case("src/./a//", "src/a/main.rs", true)]
    #[case("src", "src", false)]
    #[case("src", "srcs/main.rs", false)]
    #[case("src", "lib/src/main.rs", false)]
    #[case(".github", ".github/workflows/ci.yml", true)]
    #[case(".github", "github/x", false)]
    #[case("github", ".github/x", false)]
    #[case("a", "a/x", true)]
    #[case("b", "b/x", true)]
    #[case("x", "a/x/y", false)]
    #[case(".", "anything", true)]
    #[case("/", "anything", true)]
    #[case("..", "anything", false)]
    #[case("~name", "~name/x", true)]
    fn directories(#[case] directory: &str, #[case] name: &str, #[case] matches: bool) {
        assert_eq!(contains(&normalise(directory), name.as_bytes()), matches);
    }

    fn transform(groups: &[(&str, &str, Option<&str>)]) -> TransformChanges {
        TransformChanges {
            group: groups
                .iter()
                .map(|(directory, branch, repository)| Group {
                    directory: (*directory).to_owned(),
                    branch: (*branch).to_owned(),
                    repository: repository.map(str::to_owned),
                })
                .collect(),
        }
    }

    #[test]
    fn clashing_branches() {
        let error = |groups: &[(&str, &str, Option<&str>)]| {
            Groups::of(Some(&transform(groups)), "r", "main-fix")
                .err()
                .map(|error| error.to_string())
        };
        insta::assert_snapshot!(
            error(&[("a", "x", None), ("b", "x", Some("r"))]).unwrap(),
            @r#"transformChanges would lead to multiple changesets in repository r to have the same branch "x""#
        );
        insta::assert_snapshot!(
            error(&[("a", "refs/heads/main-fix", None)]).unwrap(),
            @r#"transformChanges group branch for repository r is the same as branch "refs/heads/main-fix" in changesetTemplate"#
        );
        assert_eq!(error(&[("a", "x", None), ("b", "x", Some("other"))]), None);
        assert_eq!(error(&[("a", "main-fix", Some("other"))]), None);
    }

    fn section(name: &str) -> Vec<u8> {
        format!("diff --git {name} {name}\nold mode 100644\nnew mode 100755\n").into_bytes()
    }

    #[test]
    fn the_last_matching_group_wins() {
        let transform = transform(&[
            ("src", "one", None),
            ("src/web", "two", None),
            ("src", "three", None),
        ]);
        let groups = Groups::of(Some(&transform), "r", "rest").unwrap();
        let diff = [section("src/web/x"), section("x")].concat();
        assert_eq!(
            groups.split(&diff).unwrap(),
            [("rest", section("x")), ("three", section("src/web/x"))]
        );
    }

    #[test]
    fn names_are_old_for_deletions_and_new_for_renames() {
        let deleted = b"diff --git b/x b/x\ndeleted file mode 100644\nindex 1..0\n";
        let renamed =
            b"diff --git b/y a/y\nsimilarity index 100%\nrename from b/y\nrename to a/y\n";
        let transform = transform(&[("a", "A", None), ("b", "B", None)]);
        let groups = Groups::of(Some(&transform), "r", "rest").unwrap();
        assert_eq!(
            groups
                .split(&[deleted.as_slice(), renamed].concat())
                .unwrap(),
            [("A", renamed.to_vec()), ("B", deleted.to_vec())]
        );
    }

    proptest! {
        #[test]
        fn every_section_goes_to_exactly_one_branch(
            names in prop::collection::btree_set("[abc]/[abc]", 0..8),
            directories in prop::collection::vec("[abc](/[abc])?", 0..4),
        ) {
            let branches: Vec<String> = (0..directories.len()).map(|n| format!("branch-{n}")).collect();
            let transform = TransformChanges {
                group: directories.iter().zip(&branches).map(|(directory, branch)| Group {
                    directory: directory.clone(),
                    branch: branch.clone(),
                    repository: None,
                }).collect(),
            };
            let diff: Vec<u8> = names.iter().flat_map(|name| section(name)).collect();
            let diffs = Groups::of(Some(&transform), "r", "rest").unwrap().split(&diff).unwrap();
            let mut seen: Vec<String> = diffs.iter()
                .flat_map(|(_, diff)| Diff::parse(diff).unwrap().changed_files().modified)
                .collect();
            seen.sort();
            prop_assert_eq!(seen, names.into_iter().collect::<Vec<_>>());
        }
    }
}
