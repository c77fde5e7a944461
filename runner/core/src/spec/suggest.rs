//! What the author of an unknown key probably meant.

/// Longest key that is compared; comparing costs the product of the lengths.
const LONGEST: usize = 64;

/// Keys people write, and the field that does it.
const CONFUSIONS: &[(&str, &str)] = &[
    ("image", "container"),
    ("mounts", "mount"),
    ("volumes", "mount"),
    ("volume", "mount"),
    ("environment", "env"),
    ("envs", "env"),
    ("variables", "env"),
    ("command", "run"),
    ("commands", "run"),
    ("cmd", "run"),
    ("script", "run"),
    ("when", "if"),
    ("condition", "if"),
    ("output", "outputs"),
    ("file", "files"),
    ("hooks", "changesetHooks"),
    ("template", "changesetTemplate"),
    ("changeset", "changesetTemplate"),
    ("import", "importChangesets"),
    ("transform", "transformChanges"),
    ("query", "repositoriesMatchingQuery"),
    ("search", "repositoriesMatchingQuery"),
    ("repo", "repository"),
    ("repositories", "repository"),
    ("repositories", "on"),
    ("repos", "on"),
    ("ref", "branch"),
    ("rev", "branch"),
    ("revision", "branch"),
    ("target", "mountpoint"),
    ("destination", "mountpoint"),
    ("source", "path"),
    ("host", "path"),
    ("groups", "group"),
    ("dir", "directory"),
    ("ids", "externalIDs"),
    ("draft", "published"),
    ("publish", "published"),
    ("description", "body"),
];

/// Keys that belong one level deeper.
const NESTED: &[(&str, &str, &str)] = &[
    ("message", "commit", "`message` belongs under `commit`"),
    ("author", "commit", "`author` belongs under `commit`"),
    (
        "rootAtLocationOf",
        "workspaces",
        "`rootAtLocationOf` belongs in an entry of `workspaces`",
    ),
    (
        "container",
        "steps",
        "`container` belongs in an entry of `steps`",
    ),
    ("run", "steps", "`run` belongs in an entry of `steps`"),
    (
        "title",
        "changesetTemplate",
        "`title` belongs under `changesetTemplate`",
    ),
    (
        "branch",
        "changesetTemplate",
        "`branch` belongs under `changesetTemplate`",
    ),
    (
        "commit",
        "changesetTemplate",
        "`commit` belongs under `changesetTemplate`",
    ),
    (
        "published",
        "changesetTemplate",
        "`published` belongs under `changesetTemplate`",
    ),
];

/// A hint for an unknown key where only `fields` are known.
pub(super) fn key(key: &str, fields: &[&str]) -> Option<String> {
    if key.len() > LONGEST {
        return None;
    }
    let meant = |field: &str| format!("did you mean `{field}`?");
    if let Some(field) = fields.iter().find(|f| f.eq_ignore_ascii_case(key)) {
        return Some(format!("field names are case-sensitive: write `{field}`"));
    }
    for (wrong, field) in CONFUSIONS {
        if *wrong == key && fields.contains(field) {
            return Some(meant(field));
        }
    }
    for (wrong, parent, hint) in NESTED {
        if *wrong == key && fields.contains(parent) {
            return Some((*hint).to_owned());
        }
    }
    let distance =
        |field: &str| strsim::damerau_levenshtein(&key.to_lowercase(), &field.to_lowercase());
    let near = |field: &&&str| distance(field) <= (field.len().max(key.len()) / 3).max(1);
    match fields.iter().filter(near).min_by_key(|f| distance(f)) {
        Some(field) => Some(meant(field)),
        None if fields.len() <= 12 => Some(format!("known here: {}", fields.join(", "))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn suggestions() {
        let step = ["run", "container", "env", "mount", "if"];
        for (wrong, want) in [
            ("contaner", "did you mean `container`?"),
            ("image", "did you mean `container`?"),
            ("mounts", "did you mean `mount`?"),
            ("Run", "field names are case-sensitive: write `run`"),
            ("zebra", "known here: run, container, env, mount, if"),
        ] {
            assert_eq!(key(wrong, &step).as_deref(), Some(want), "{wrong}");
        }
        assert_eq!(key(&"x".repeat(100), &step), None);
    }
}
