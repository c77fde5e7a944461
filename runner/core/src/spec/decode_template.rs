//! `changesetTemplate` and `transformChanges`.

use super::decoder::{At, Decoder, Object};
use super::{
    Author, ChangesetTemplate, Group, Published, PublishedRule, PublishedValue, TransformChanges,
    email,
};
use crate::source::Diagnostic;
use crate::yaml::Kind;

const PUBLISHED_FORMS: &str = "published is true, false, draft, or a list whose entries are one `repository-glob: true`, `false` or `draft`";

/// Decodes `changesetTemplate`.
pub(super) fn template(
    decoder: &mut Decoder,
    at: At<'_>,
    version: u32,
) -> Option<ChangesetTemplate> {
    let fields = ["title", "body", "branch", "fork", "commit", "published"];
    let required = ["title", "branch", "commit"];
    let object = decoder.closed(at, "object", &required, &fields)?;
    let mut template = ChangesetTemplate {
        title: decoder.text_or_empty(&object, "title"),
        body: decoder.text_or_empty(&object, "body"),
        branch: decoder.text_or_empty(&object, "branch"),
        fork: object.get("fork").and_then(|at| decoder.boolean(&at)),
        ..ChangesetTemplate::default()
    };
    if let Some(at) = object.get("commit")
        && let Some(commit) = decoder.closed(at, "object", &["message"], &["message", "author"])
    {
        template.message = decoder.text_or_empty(&commit, "message");
        template.author = commit.get("author").and_then(|at| author(decoder, at));
    }
    if let Some(at) = object.get("published") {
        template.published = published(decoder, &at);
        if version == 3 && !at.is_null() {
            decoder.report(Diagnostic::error(
                "",
                "changesetTemplate.published is not supported in batch spec version 3; drive publication via the publish_changesets tool instead",
                object.key_span("published"),
            ));
        }
    }
    Some(template)
}

fn author(decoder: &mut Decoder, at: At<'_>) -> Option<Author> {
    let fields = ["name", "email"];
    let object = decoder.closed(at, "object", &fields, &fields)?;
    let (name, email) = (
        decoder.text(&object, "name"),
        decoder.text(&object, "email"),
    );
    if let Some(email) = &email
        && !email::is_address(email)
        && let Some(at) = object.get("email")
    {
        let hint = if email.contains("${{") {
            "the format is checked before templates are rendered: write `${{outputs.x}}@example.com`, without spaces and with a literal `@`"
        } else {
            "an e-mail address, for example me@example.com"
        };
        decoder.problem_hint(&at, "Does not match format 'email'", hint);
    }
    Some(Author {
        name: name?,
        email: email?,
    })
}

fn published(decoder: &mut Decoder, at: &At<'_>) -> Option<Published> {
    let rules = match &at.node.kind {
        Kind::Null => return None,
        Kind::List(_) => decoder
            .list(at, false)
            .into_iter()
            // A wrong entry keeps its number, so that later problems name the right one.
            .map(|entry| {
                rule(decoder, entry).unwrap_or(PublishedRule {
                    pattern: "*".to_owned(),
                    branch: None,
                    value: PublishedValue::No,
                })
            })
            .collect(),
        _ => vec![PublishedRule {
            pattern: "*".to_owned(),
            branch: None,
            value: published_value(decoder, at)?,
        }],
    };
    Some(Published { rules })
}

fn rule(decoder: &mut Decoder, at: At<'_>) -> Option<PublishedRule> {
    let entry = at.again();
    let object = decoder.object(at, "object")?;
    if object.len() != 1 {
        let word = if object.len() == 0 { "least" } else { "most" };
        let message = format!("Must have at {word} 1 properties");
        decoder.problem_hint(&entry, message, PUBLISHED_FORMS);
        return None;
    }
    let (key, _, value) = object.iter().next()?;
    let value = published_value(decoder, &value).unwrap_or(PublishedValue::No);
    let (pattern, branch) = match key.split_once('@') {
        Some((pattern, branch)) => (pattern, Some(branch.to_owned())),
        None => (key, None),
    };
    Some(PublishedRule {
        pattern: pattern.to_owned(),
        branch,
        value,
    })
}

fn published_value(decoder: &mut Decoder, at: &At<'_>) -> Option<PublishedValue> {
    decoder.spans.insert(&at.path, at.node.span);
    match &at.node.kind {
        Kind::Bool(true) => Some(PublishedValue::Yes),
        Kind::Bool(false) => Some(PublishedValue::No),
        Kind::String(text) if text == "draft" => Some(PublishedValue::Draft),
        Kind::String(_) | Kind::Time(_) => {
            decoder.problem_hint(at, "Does not match pattern '^draft$'", PUBLISHED_FORMS);
            None
        }
        _ => {
            decoder.wrong_type_hint(at, "boolean", PUBLISHED_FORMS);
            None
        }
    }
}

/// Decodes `transformChanges`.
pub(super) fn transform_changes(decoder: &mut Decoder, at: At<'_>) -> Option<TransformChanges> {
    if at.is_null() {
        return None;
    }
    let object = decoder.closed(at, "[object,null]", &[], &["group"])?;
    let mut group = Vec::new();
    if let Some(at) = object.get("group") {
        for entry in decoder.list(&at, true) {
            group.extend(self::group(decoder, entry));
        }
    }
    Some(TransformChanges { group })
}

fn group(decoder: &mut Decoder, at: At<'_>) -> Option<Group> {
    let fields = ["directory", "branch", "repository"];
    let object = decoder.closed(at, "object", &fields[..2], &fields)?;
    let directory = not_empty(decoder, &object, "directory");
    let branch = not_empty(decoder, &object, "branch");
    let repository = decoder
        .text(&object, "repository")
        .filter(|name| !name.is_empty());
    Some(Group {
        directory: directory?,
        branch: branch?,
        repository,
    })
}

fn not_empty(decoder: &mut Decoder, object: &Object<'_>, key: &str) -> Option<String> {
    let at = object.get(key)?;
    let text = decoder.string(&at)?;
    if text.is_empty() {
        decoder.problem(&at, "String length must be greater than or equal to 1");
        return None;
    }
    Some(text)
}
