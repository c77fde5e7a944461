//! From the YAML tree to the spec: the schema of facts/batch-spec.md 1.3, field by field.
//!
//! Every problem is reported with the text that upstream's schema gives to the offending leaf
//! (1.4); the lines that only say which combinator failed are left out, a hint says it in words.

use super::decoder::{At, Decoder, Object};
use super::{BatchSpec, ImportChangesets, On, WorkspaceRule, decode_step, decode_template};
use crate::source::Diagnostic;
use crate::yaml::{Kind, Node};

const FIELDS: [&str; 10] = [
    "version",
    "name",
    "description",
    "on",
    "workspaces",
    "steps",
    "transformChanges",
    "importChangesets",
    "changesetTemplate",
    "changesetHooks",
];

const ON_FORMS: &str = "an entry has either `repositoriesMatchingQuery`, or `repository` with an optional `branch` or `branches`";

/// Decodes a whole spec. What is wrong is reported and left out.
pub(super) fn spec(decoder: &mut Decoder, root: &Node) -> BatchSpec {
    let mut spec = BatchSpec::default();
    let at = decoder.root(root);
    let Some(object) = decoder.closed(at, "object", &["name"], &FIELDS) else {
        return spec;
    };
    spec.version = version(decoder, &object);
    spec.name = name(decoder, &object);
    spec.description = decoder.text_or_empty(&object, "description");
    for entry in entries(decoder, &object, "on") {
        spec.on.extend(on(decoder, entry));
    }
    for entry in entries(decoder, &object, "workspaces") {
        spec.workspaces.extend(workspace(decoder, entry));
    }
    for entry in entries(decoder, &object, "steps") {
        spec.steps
            .push(decode_step::step(decoder, entry, spec.version));
    }
    spec.transform_changes = object
        .get("transformChanges")
        .and_then(|at| decode_template::transform_changes(decoder, at));
    for entry in entries(decoder, &object, "importChangesets") {
        spec.import_changesets.extend(import(decoder, entry));
    }
    spec.changeset_template = object
        .get("changesetTemplate")
        .and_then(|at| decode_template::template(decoder, at, spec.version));
    if let Some(at) = object.get("changesetHooks") {
        hooks(decoder, &object, at, spec.version);
    }
    if !spec.steps.is_empty() && !object.has("changesetTemplate") {
        decoder.report(
            Diagnostic::error(
                "",
                "batch spec includes steps but no changesetTemplate",
                object.key_span("steps"),
            )
            .with_hint("add `changesetTemplate` with `title`, `branch` and `commit.message`"),
        );
    }
    spec
}

/// The entries of a list field that may be null or absent.
fn entries<'a>(decoder: &mut Decoder, object: &Object<'a>, key: &str) -> Vec<At<'a>> {
    match object.get(key) {
        Some(at) => decoder.list(&at, true),
        None => Vec::new(),
    }
}

fn version(decoder: &mut Decoder, object: &Object<'_>) -> u32 {
    let Some(at) = object.get("version") else {
        return 0;
    };
    decoder.spans.insert(&at.path, at.node.span);
    match at.node.kind.as_integer() {
        Some(1) => 1,
        Some(2) => 2,
        Some(3) => 3,
        _ => {
            if matches!(at.node.kind.json_type(), "integer" | "number") {
                decoder.problem(&at, "version must be one of the following: 1, 2, 3");
            } else {
                let hint = "write 1 or 2, without quotes";
                decoder.wrong_type_hint(&at, "number", hint);
            }
            0
        }
    }
}

fn name(decoder: &mut Decoder, object: &Object<'_>) -> String {
    let Some(at) = object.get("name") else {
        return String::new();
    };
    let Some(name) = decoder.string(&at) else {
        return String::new();
    };
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(is_good) {
        // Upstream replaces the whole entry, path included.
        decoder.report(Diagnostic::error(
            "",
            "The batch change name can only contain word characters, dots and dashes. No whitespace or newlines allowed.",
            at.node.span,
        ));
    }
    name
}

fn on(decoder: &mut Decoder, at: At<'_>) -> Option<On> {
    let object = decoder.object(at, "object")?;
    let is_query = object.has("repositoriesMatchingQuery");
    let is_repository = ["repository", "branch", "branches"]
        .iter()
        .any(|key| object.has(key));
    if is_query || !is_repository {
        for key in ["repository", "branch", "branches"] {
            if object.has(key) {
                decoder.report(
                    Diagnostic::error(
                        object.path(),
                        format!("Additional property {key} is not allowed"),
                        object.key_span(key),
                    )
                    .with_hint(ON_FORMS),
                );
            }
        }
        if !is_query {
            decoder.missing(&object, "repositoriesMatchingQuery", Some(ON_FORMS));
        }
        let fields = [
            "repositoriesMatchingQuery",
            "repository",
            "branch",
            "branches",
        ];
        decoder.refuse_others(&object, &fields);
        return decoder
            .text(&object, "repositoriesMatchingQuery")
            .map(On::Query);
    }
    if !object.has("repository") {
        decoder.missing(&object, "repository", Some(ON_FORMS));
    }
    decoder.refuse_others(&object, &["repository", "branch", "branches"]);
    if object.has("branch") && object.has("branches") {
        decoder.report(
            Diagnostic::error(
                object.path(),
                "both branch and branches specified",
                object.key_span("branches"),
            )
            .with_hint("keep one of the two"),
        );
    }
    let mut branches = Vec::new();
    branches.extend(decoder.text(&object, "branch"));
    if let Some(at) = object.get("branches") {
        for branch in decoder.list(&at, false) {
            branches.extend(decoder.string(&branch));
        }
    }
    branches.retain(|branch| !branch.is_empty());
    let name = decoder.text(&object, "repository")?;
    Some(On::Repository { name, branches })
}

fn workspace(decoder: &mut Decoder, at: At<'_>) -> Option<WorkspaceRule> {
    let fields = ["rootAtLocationOf", "in", "onlyFetchWorkspace"];
    let object = decoder.closed(at, "object", &["rootAtLocationOf"], &fields)?;
    let in_ = decoder.text(&object, "in").filter(|glob| !glob.is_empty());
    let only_fetch_workspace = object
        .get("onlyFetchWorkspace")
        .and_then(|at| decoder.boolean(&at))
        .unwrap_or(false);
    let root_at_location_of = decoder.text(&object, "rootAtLocationOf")?;
    Some(WorkspaceRule {
        root_at_location_of,
        in_,
        only_fetch_workspace,
    })
}

fn import(decoder: &mut Decoder, at: At<'_>) -> Option<ImportChangesets> {
    let fields = ["repository", "externalIDs"];
    let object = decoder.closed(at, "object", &fields, &fields)?;
    let repository = decoder.text(&object, "repository");
    let mut external_ids = Vec::new();
    if let Some(list) = object.get("externalIDs") {
        let items = decoder.list(&list, true);
        // By kind and text, since `1` and `"1"` are two different identifiers to the schema.
        let mut seen = std::collections::HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(id) = external_id(decoder, item) else {
                continue;
            };
            let is_text = item.node.kind.as_text().is_some();
            if let Some(first) = seen.insert((is_text, id.clone()), index) {
                let message = format!("array items[{first},{index}] must be unique");
                decoder.report(Diagnostic::error(&list.path, message, item.node.span));
            }
            external_ids.push(id);
        }
    }
    Some(ImportChangesets {
        repository: repository?,
        external_ids,
    })
}

fn external_id(decoder: &mut Decoder, at: &At<'_>) -> Option<String> {
    match &at.node.kind {
        Kind::Unsigned(n) => Some(n.to_string()),
        kind => match kind.as_integer() {
            Some(n) => Some(n.to_string()),
            None => decoder.string(at),
        },
    }
}

/// `changesetHooks` is checked, but not kept: version 3 is not run locally.
fn hooks(decoder: &mut Decoder, spec: &Object<'_>, at: At<'_>, version: u32) {
    if version != 3 {
        let hint = "changesetHooks needs `version: 3`";
        match spec.get("version") {
            Some(at) if version != 0 => {
                decoder.problem_hint(&at, "version does not match: 3", hint);
            }
            Some(_) => {}
            None => decoder.report(
                Diagnostic::error(
                    "",
                    "batch spec hooks require version: 3",
                    spec.key_span("changesetHooks"),
                )
                .with_hint(hint),
            ),
        }
    }
    let fields = ["onCIFailure", "onMergeConflict"];
    let Some(object) = decoder.closed(at, "object", &[], &fields) else {
        return;
    };
    for key in fields {
        let Some(hook) = object.get(key) else {
            continue;
        };
        let Some(hook) = decoder.closed(hook, "object", &["steps"], &["steps"]) else {
            continue;
        };
        if let Some(steps) = hook.get("steps") {
            for (index, step) in decoder.list(&steps, false).into_iter().enumerate() {
                let prefix = format!("hooks.{key} step {}", index + 1);
                decode_step::hook_step(decoder, step, &prefix);
            }
        }
    }
}
