//! From the last step's result to changeset specs.

use super::group::Groups;
use super::{ChangesetError, ChangesetSpec, full_ref, published_for};
use crate::result::StepResult;
use crate::spec::{Author, ChangesetTemplate, TransformChanges};
use crate::task::Task;
use crate::template::{ChangesetContext, RepositoryVars, TemplateError, render_changeset};

/// Makes the changeset specs of a task from the result of its last executed step (facts/batch-spec.md 5.1
/// to 5.4).
///
/// An empty diff makes none, and then no template is rendered. Without groups there is one, its diff byte for
/// byte that of the result; with groups, one for each branch that got files, the template's branch first
/// and then the groups' in their order.
///
/// # Errors
///
/// The first template that does not render; groups with clashing branches; with groups, a diff
/// that cannot be read; a malformed pattern in `published`.
pub fn build(
    task: &Task,
    result: &StepResult,
    template: &ChangesetTemplate,
    transform: Option<&TransformChanges>,
) -> Result<Vec<ChangesetSpec>, ChangesetError> {
    if result.diff.is_empty() {
        return Ok(Vec::new());
    }
    let texts = Texts::render(template, &context(task, result))?;
    let repository = &task.repository;
    let groups = Groups::of(transform, &repository.name, &texts.branch)?;
    groups
        .split(&result.diff)?
        .into_iter()
        .map(|(branch, diff)| {
            let published = match &template.published {
                Some(rules) => published_for(rules, &repository.name, branch)?,
                None => None,
            };
            Ok(ChangesetSpec {
                repository_id: repository.id.clone(),
                repository_name: repository.name.clone(),
                base_rev: repository.rev.clone(),
                base_ref: repository.base_ref(),
                head_ref: full_ref(branch),
                title: texts.title.clone(),
                body: texts.body.clone(),
                message: texts.message.clone(),
                author: texts.author.clone(),
                diff,
                published,
                fork: template.fork,
            })
        })
        .collect()
}

fn context(task: &Task, result: &StepResult) -> ChangesetContext {
    ChangesetContext {
        repository: RepositoryVars {
            name: task.repository.name.clone(),
            branch: task.repository.short_branch().to_owned(),
            search_result_paths: task.search_result_paths.clone(),
        },
        batch_change: task.batch_change.clone(),
        outputs: result.outputs.clone(),
        steps: result.changed_files.clone(),
        path: task.path.clone(),
    }
}

/// The rendered fields of a changeset template, trimmed.
struct Texts {
    author: Author,
    title: String,
    body: String,
    message: String,
    branch: String,
}

impl Texts {
    /// Renders in the order in which upstream does it, since the first error is the one reported.
    fn render(
        template: &ChangesetTemplate,
        context: &ChangesetContext,
    ) -> Result<Self, TemplateError> {
        let render = |name, text: &str| {
            render_changeset(name, text, context).map(|text| text.trim().to_owned())
        };
        let author = match &template.author {
            Some(author) => Author {
                name: render("authorName", &author.name)?,
                email: render("authorEmail", &author.email)?,
            },
            // facts/batch-spec.md 5.3.
            None => Author {
                name: "Sourcegraph".to_owned(),
                email: "batch-changes@sourcegraph.com".to_owned(),
            },
        };
        Ok(Self {
            author,
            title: render("title", &template.title)?,
            body: render("body", &template.body)?,
            message: render("message", &template.message)?,
            branch: render("branch", &template.branch)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Group, Published, PublishedRule, PublishedValue};
    use crate::task::{BatchChange, Repository};

    fn task() -> Task {
        Task {
            repository: Repository {
                id: "UmVwbzox".to_owned(),
                name: "github.com/acme/widgets".to_owned(),
                branch: "main".to_owned(),
                rev: "d34db33f".to_owned(),
            },
            path: "sub".to_owned(),
            only_fetch_workspace: false,
            search_result_paths: Vec::new(),
            batch_change: BatchChange::default(),
            steps: Vec::new(),
        }
    }

    fn template() -> ChangesetTemplate {
        ChangesetTemplate {
            title: " Title of ${{ repository.name }}\n".to_owned(),
            body: "\n".to_owned(),
            branch: "fix-${{ steps.path }} ".to_owned(),
            message: "On ${{ repository.branch }}".to_owned(),
            ..ChangesetTemplate::default()
        }
    }

    fn section(name: &str) -> String {
        format!(
            "diff --git {name} {name}\nindex 1..2 100644\n--- {name}\n+++ {name}\n@@ -1 +1 @@ fn x()\n-a\n+b\n"
        )
    }

    fn result(names: &[&str]) -> StepResult {
        StepResult {
            diff: names
                .iter()
                .map(|name| section(name))
                .collect::<String>()
                .into_bytes(),
            ..StepResult::default()
        }
    }

    fn transform(groups: &[(&str, &str)]) -> TransformChanges {
        TransformChanges {
            group: groups
                .iter()
                .map(|(directory, branch)| Group {
                    directory: (*directory).to_owned(),
                    branch: (*branch).to_owned(),
                    repository: None,
                })
                .collect(),
        }
    }

    #[test]
    fn one_spec_with_the_raw_diff() {
        let result = result(&["a/x", "b"]);
        let specs = build(&task(), &result, &template(), None).unwrap();
        assert_eq!(
            specs,
            [ChangesetSpec {
                repository_id: "UmVwbzox".to_owned(),
                repository_name: "github.com/acme/widgets".to_owned(),
                base_rev: "d34db33f".to_owned(),
                base_ref: "refs/heads/main".to_owned(),
                head_ref: "refs/heads/fix-sub".to_owned(),
                title: "Title of github.com/acme/widgets".to_owned(),
                body: String::new(),
                message: "On main".to_owned(),
                author: Author {
                    name: "Sourcegraph".to_owned(),
                    email: "batch-changes@sourcegraph.com".to_owned(),
                },
                diff: result.diff,
                published: None,
                fork: None,
            }]
        );
        assert_eq!(specs[0].branch(), "fix-sub");
    }

    #[test]
    fn a_diff_without_groups_is_not_even_read() {
        let result = StepResult {
            diff: b"\xff not a diff".to_vec(),
            ..StepResult::default()
        };
        let specs = build(&task(), &result, &template(), None).unwrap();
        assert_eq!(specs[0].diff, result.diff);
        let error = build(
            &task(),
            &result,
            &template(),
            Some(&transform(&[("a", "b")])),
        );
        insta::assert_snapshot!(error.unwrap_err(), @r#"grouping diffs failed: not a git diff: no line begins with "diff --git ""#);
    }

    #[test]
    fn an_empty_diff_makes_nothing_and_renders_nothing() {
        let broken = ChangesetTemplate {
            title: "${{ nope }}".to_owned(),
            ..template()
        };
        assert_eq!(build(&task(), &result(&[]), &broken, None).unwrap(), []);
        assert!(matches!(
            build(&task(), &result(&["x"]), &broken, None),
            Err(ChangesetError::Template(_))
        ));
    }

    #[test]
    fn the_author_is_rendered_and_a_full_ref_is_kept() {
        let template = ChangesetTemplate {
            author: Some(Author {
                name: " ${{ repository.name }} ".to_owned(),
                email: "a@b".to_owned(),
            }),
            branch: "refs/heads/full".to_owned(),
            fork: Some(false),
            ..template()
        };
        let spec = &build(&task(), &result(&["x"]), &template, None).unwrap()[0];
        assert_eq!(spec.author.name, "github.com/acme/widgets");
        assert_eq!(spec.head_ref, "refs/heads/full");
        assert_eq!(spec.fork, Some(false));
    }

    #[test]
    fn groups_split_the_diff_and_publish_by_branch() {
        let rule = |pattern: &str, branch: Option<&str>, value| PublishedRule {
            pattern: pattern.to_owned(),
            branch: branch.map(str::to_owned),
            value,
        };
        let template = ChangesetTemplate {
            published: Some(Published {
                rules: vec![
                    rule("*", None, PublishedValue::No),
                    rule("*/widgets", Some("web"), PublishedValue::Draft),
                ],
            }),
            ..template()
        };
        let result = result(&["docs/a", "src/b", "src/web/c", "top"]);
        let groups = transform(&[("src/web", "web"), ("docs", "words")]);
        let specs = build(&task(), &result, &template, Some(&groups)).unwrap();
        let summary: Vec<_> = specs
            .iter()
            .map(|spec| {
                (
                    spec.branch(),
                    String::from_utf8_lossy(&spec.diff),
                    spec.published,
                )
            })
            .collect();
        assert_eq!(
            summary,
            [
                (
                    "fix-sub",
                    (section("src/b") + &section("top")).into(),
                    Some(PublishedValue::No)
                ),
                (
                    "web",
                    section("src/web/c").into(),
                    Some(PublishedValue::Draft)
                ),
                ("words", section("docs/a").into(), Some(PublishedValue::No)),
            ]
        );
    }

    #[test]
    fn there_is_no_spec_without_files() {
        let groups = transform(&[("src", "all"), ("unused", "other")]);
        let specs = build(&task(), &result(&["src/b"]), &template(), Some(&groups)).unwrap();
        assert_eq!(
            specs.iter().map(ChangesetSpec::branch).collect::<Vec<_>>(),
            ["all"]
        );
    }
}
