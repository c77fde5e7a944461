//! Steps.

use super::decoder::{At, Decoder, Object};
use super::{Condition, EnvVar, Environment, Mount, Output, OutputFormat, Step};
use crate::source::Diagnostic;
use crate::yaml::Kind;

const FIELDS: [&str; 11] = [
    "run",
    "container",
    "image",
    "env",
    "files",
    "outputs",
    "mount",
    "if",
    "codingAgent",
    "buildImage",
    // Not a field of the spec's own steps; kept last so that it can be cut off.
    "maxAttempts",
];

const ENV_FORMS: &str = "env is either an object of texts, or a list whose entries are the name of a variable to pass on or one `NAME: value`";

/// Decodes one step; `version` decides what it needs (facts/batch-spec.md 1.5).
pub(super) fn step(decoder: &mut Decoder, at: At<'_>, version: u32) -> Step {
    let number = at.key().parse::<usize>().map_or(0, |n| n + 1);
    let prefix = format!("step {number}");
    let Some(object) = decoder.object(at, "object") else {
        return Step::default();
    };
    if version == 3 {
        require_version_3(decoder, &object, &prefix);
    } else {
        require(decoder, &object);
    }
    decoder.refuse_others(&object, &FIELDS[..10]);
    let mut step = body(decoder, &object, &prefix);
    if version == 3 {
        step.container = decoder.text_or_empty(&object, "image");
    }
    step
}

/// Checks a step of `changesetHooks`.
pub(super) fn hook_step(decoder: &mut Decoder, at: At<'_>, prefix: &str) {
    let fields: Vec<&str> = FIELDS
        .into_iter()
        .filter(|f| !["container", "buildImage"].contains(f))
        .collect();
    let Some(object) = decoder.closed(at, "object", &[], &fields) else {
        return;
    };
    if let Some(at) = object.get("maxAttempts") {
        match at.node.kind.as_integer() {
            Some(n) if n < 1 => decoder.problem(&at, "Must be greater than or equal to 1"),
            Some(_) => {}
            None => decoder.wrong_type(&at, "integer"),
        }
    }
    body(decoder, &object, prefix);
}

fn require(decoder: &mut Decoder, object: &Object<'_>) {
    if !object.has("run") {
        decoder.missing(object, "run", None);
    }
    if !object.has("container") {
        let hint = object
            .has("image")
            .then_some("`image` belongs to version 3; write `container`");
        decoder.missing(object, "container", hint);
    }
    for key in ["codingAgent", "buildImage"] {
        if object.has(key) {
            let message = format!("{key} requires version: 3");
            let at = object.key_span(key);
            decoder.report(Diagnostic::error(object.path(), message, at));
        }
    }
}

fn require_version_3(decoder: &mut Decoder, object: &Object<'_>, prefix: &str) {
    let mut other = false;
    for key in ["codingAgent", "buildImage"] {
        if object.has(key) {
            other = true;
            if object.has("run") {
                let message =
                    format!("{prefix}: {key} and run cannot be combined in the same step");
                decoder.report(Diagnostic::error("", message, object.key_span(key)));
            }
        }
    }
    if !other {
        let hint = "a version 3 step has `run` and `image`, or `buildImage`, or `codingAgent`";
        for key in ["run", "image"] {
            if !object.has(key) {
                decoder.missing(object, key, Some(hint));
            }
        }
    }
}

/// What steps of all kinds share.
fn body(decoder: &mut Decoder, object: &Object<'_>, prefix: &str) -> Step {
    let mut step = Step {
        run: decoder.text_or_empty(object, "run"),
        container: decoder.text_or_empty(object, "container"),
        ..Step::default()
    };
    if let Some(at) = object.get("image")
        && at.node.kind.as_text().is_none()
    {
        decoder.wrong_type(&at, "string");
    }
    if let Some(at) = object.get("env") {
        step.env = env(decoder, &at);
    }
    if let Some(at) = object.get("files").filter(|at| !at.is_null()) {
        step.files = files(decoder, at, prefix);
    }
    if let Some(at) = object.get("outputs").filter(|at| !at.is_null())
        && let Some(outputs) = decoder.object(at, "[object,null]")
    {
        for (name, _, at) in outputs.iter() {
            if let Some(output) = output(decoder, at) {
                step.outputs.insert(name.to_owned(), output);
            }
        }
    }
    if let Some(at) = object.get("mount") {
        for entry in decoder.list(&at, true) {
            step.mount.extend(mount(decoder, entry, prefix));
        }
    }
    if let Some(at) = object.get("if") {
        step.if_ = condition(decoder, &at);
    }
    if let Some(at) = object.get("codingAgent") {
        coding_agent(decoder, at);
    }
    if let Some(at) = object.get("buildImage")
        && let Some(build) =
            decoder.closed(at, "object", &["run", "baseImage"], &["run", "baseImage"])
    {
        decoder.text(&build, "run");
        decoder.text(&build, "baseImage");
    }
    step
}

fn env(decoder: &mut Decoder, at: &At<'_>) -> Environment {
    let mut vars = Vec::new();
    match &at.node.kind {
        Kind::Null => {}
        Kind::Map(_) => {
            for (name, value) in decoder.texts(at.again(), "object") {
                vars.push(EnvVar::Static { name, value });
            }
        }
        Kind::List(_) => {
            for item in decoder.list(at, false) {
                vars.extend(env_entry(decoder, at, &item));
            }
        }
        _ => decoder.wrong_type_hint(at, "[null,object,array]", ENV_FORMS),
    }
    Environment { vars }
}

/// One entry of `env` in its list form.
fn env_entry(decoder: &mut Decoder, env: &At<'_>, item: &At<'_>) -> Option<EnvVar> {
    match &item.node.kind {
        Kind::Map(entries) => {
            if entries.len() != 1 {
                let word = if entries.is_empty() { "least" } else { "most" };
                let message = format!("Must have at {word} 1 properties");
                decoder.problem_hint(item, message, ENV_FORMS);
                return None;
            }
            let (name, value) = decoder.texts(item.again(), "object").pop()?;
            let path = format!("{}.{name}", env.path);
            decoder.spans.insert(&path, entries[0].value.span);
            Some(EnvVar::Static { name, value })
        }
        kind => {
            let Some(name) = kind.as_text() else {
                decoder.wrong_type_hint(item, "string", ENV_FORMS);
                return None;
            };
            let path = format!("{}.{name}", env.path);
            decoder.spans.insert(&path, item.node.span);
            let name = name.into_owned();
            Some(EnvVar::Forwarded { name })
        }
    }
}

fn files(
    decoder: &mut Decoder,
    at: At<'_>,
    prefix: &str,
) -> std::collections::BTreeMap<String, String> {
    let mut files = std::collections::BTreeMap::new();
    let Some(object) = decoder.object(at, "[object,null]") else {
        return files;
    };
    for (target, key_span, at) in object.iter() {
        if target.contains(',') {
            let message = format!("{prefix} files target path contains invalid characters");
            decoder.report(
                Diagnostic::error("", message, key_span)
                    .with_hint("the path must not contain a comma"),
            );
        }
        if !target.starts_with('/') {
            let message = format!("{prefix} files target path {target:?} is not absolute");
            decoder.report(Diagnostic::error("", message, key_span).with_hint(
                "the path is one in the container and has to start with `/`, for example /tmp/file",
            ));
        }
        if let Some(content) = decoder.string(&at) {
            files.insert(target.to_owned(), content);
        }
    }
    files
}

fn output(decoder: &mut Decoder, at: At<'_>) -> Option<Output> {
    let object = decoder.object(at, "object")?;
    decoder.require(&object, &["value"]);
    let format = object.get("format").and_then(|at| {
        let text = decoder.string(&at)?;
        match text.as_str() {
            "json" => Some(OutputFormat::Json),
            "yaml" => Some(OutputFormat::Yaml),
            "text" => Some(OutputFormat::Text),
            _ => {
                // The schema names the field by its whole path here.
                let message = format!(
                    r#"{} must be one of the following: "json", "yaml", "text""#,
                    at.path
                );
                decoder.problem(&at, message);
                None
            }
        }
    });
    let value = decoder.text(&object, "value")?;
    Some(Output { value, format })
}

fn mount(decoder: &mut Decoder, at: At<'_>, prefix: &str) -> Option<Mount> {
    let object = decoder.closed(
        at,
        "object",
        &["path", "mountpoint"],
        &["path", "mountpoint"],
    )?;
    let mut part =
        |key| {
            let text = decoder.text(&object, key)?;
            if text.contains(',') {
                let at = object.get(key)?;
                let message = format!("{prefix} mount {key} contains invalid characters");
                decoder.report(
                    Diagnostic::error("", message, at.node.span)
                        .with_hint("the path must not contain a comma"),
                );
            }
            if key == "mountpoint" && !text.starts_with('/') {
                let at = object.get(key)?;
                let message = format!("{prefix} mount mountpoint {text:?} is not absolute");
                decoder.report(Diagnostic::error("", message, at.node.span).with_hint(
                    "the mountpoint is a path in the container and has to start with `/`",
                ));
            }
            Some(text)
        };
    let (path, mountpoint) = (part("path"), part("mountpoint"));
    Some(Mount {
        path: path?,
        mountpoint: mountpoint?,
    })
}

fn condition(decoder: &mut Decoder, at: &At<'_>) -> Condition {
    decoder.spans.insert(&at.path, at.node.span);
    match &at.node.kind {
        Kind::Null => Condition::Absent,
        Kind::Bool(b) => Condition::Bool(*b),
        kind => match kind.as_text() {
            Some(text) => Condition::Text(text.into_owned()),
            None => {
                let hint = "`if` is true, false, or a text such as \"${{ eq repository.name \\\"x\\\" }}\"";
                decoder.wrong_type_hint(at, "boolean", hint);
                Condition::Absent
            }
        },
    }
}

fn coding_agent(decoder: &mut Decoder, at: At<'_>) {
    let Some(agent) = decoder.closed(at, "object", &["type", "prompt"], &["type", "prompt"]) else {
        return;
    };
    decoder.text(&agent, "prompt");
    if let Some(at) = agent.get("type")
        && let Some(kind) = decoder.string(&at)
        && !["codex", "claude-code"].contains(&kind.as_str())
    {
        let message = format!(
            r#"{} must be one of the following: "codex", "claude-code""#,
            at.path
        );
        decoder.problem(&at, message);
    }
}
