//! What importing an interface means, in words, and whether a plugin gets it.

use std::collections::BTreeSet;

use capstan_core::plugin::Hook;
use serde::Serialize;

/// Whether a plugin gets what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    /// Always: it gives no right over anything.
    Given,
    /// The functions are there, and find nothing unless the operator grants it.
    Grant,
    /// This host does not offer it.
    Missing,
}

/// Something that a component can do through what it imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Capability {
    /// For people.
    pub(super) what: &'static str,
    pub(super) standing: Standing,
    /// What the operator writes into the configuration to grant it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grant: Option<&'static str>,
    /// The imports that ask for it.
    pub(super) imports: BTreeSet<String>,
}

/// The beginning of an interface's name, what it means, whether a plugin gets it, and what grants it.
type Words = (&'static str, &'static str, Standing, Option<&'static str>);

/// The first that fits counts.
const WORDS: &[Words] = &[
    (
        "capstan:plugin/config",
        "reads its configuration",
        Standing::Given,
        None,
    ),
    (
        "capstan:plugin/log",
        "writes to the log",
        Standing::Given,
        None,
    ),
    (
        "capstan:plugin/scratch",
        "keeps values from one call to the next of a job",
        Standing::Given,
        None,
    ),
    (
        "capstan:plugin/job",
        "looks at the job and its steps",
        Standing::Given,
        None,
    ),
    (
        "capstan:plugin/step",
        "looks at the job and its steps",
        Standing::Given,
        None,
    ),
    (
        "capstan:plugin/changes",
        "looks at the diff",
        Standing::Given,
        None,
    ),
    (
        "capstan:plugin/files",
        "makes files of the workspace executable",
        Standing::Grant,
        Some("workspace = \"write\""),
    ),
    (
        "wasi:filesystem/",
        "reads and writes files it is given",
        Standing::Grant,
        Some("workspace = \"read\" or \"write\""),
    ),
    (
        "wasi:sockets/",
        "opens network connections",
        Standing::Grant,
        Some("network = true"),
    ),
    (
        "wasi:cli/environment",
        "reads environment variables",
        Standing::Grant,
        Some("env = [NAMES]"),
    ),
    (
        "wasi:cli/stdin",
        "reads standard input, which is empty for hooks",
        Standing::Given,
        None,
    ),
    (
        "wasi:cli/stdout",
        "prints; for hooks, to the log",
        Standing::Given,
        None,
    ),
    (
        "wasi:cli/stderr",
        "prints; for hooks, to the log",
        Standing::Given,
        None,
    ),
    (
        "wasi:cli/terminal-",
        "asks whether it has a terminal, which it has not",
        Standing::Given,
        None,
    ),
    ("wasi:cli/exit", "ends early", Standing::Given, None),
    ("wasi:clocks/", "looks at the clock", Standing::Given, None),
    (
        "wasi:random/",
        "draws random numbers",
        Standing::Given,
        None,
    ),
    (
        "wasi:io/",
        "waits for and moves bytes",
        Standing::Given,
        None,
    ),
];

/// What stands in place of those words for a component that is only a command: the step it is says what it gets.
const STEP_WORDS: &[Words] = &[
    (
        "wasi:filesystem/",
        "reads and writes the step's workspace",
        Standing::Given,
        None,
    ),
    (
        "wasi:cli/environment",
        "reads the step's arguments and environment",
        Standing::Given,
        None,
    ),
    (
        "wasi:cli/std",
        "reads standard input and prints",
        Standing::Given,
        None,
    ),
];

/// What stands in place of those words for hooks that have no files, whatever is granted.
const FILELESS_WORDS: &[Words] = &[(
    "wasi:filesystem/",
    "reads and writes files it is given, which are none for its hooks",
    Standing::Given,
    None,
)];

const UNKNOWN: Words = (
    "",
    "asks for what this host does not offer",
    Standing::Missing,
    None,
);

/// What a component with these imports and hooks can do; what nobody has to think about first.
pub(super) fn of(imports: &BTreeSet<String>, hooks: &BTreeSet<Hook>) -> Vec<Capability> {
    let special = if hooks.is_empty() {
        STEP_WORDS
    } else if hooks.contains(&Hook::Workspace) {
        &[]
    } else {
        FILELESS_WORDS
    };
    let mut found: Vec<Capability> = Vec::new();
    // Types alone are nothing that can be done.
    let imports = imports
        .iter()
        .filter(|name| !name.starts_with("capstan:plugin/types"));
    for import in imports {
        let (_, what, standing, grant) = *special
            .iter()
            .chain(WORDS)
            .find(|(prefix, ..)| import.starts_with(prefix))
            .unwrap_or(&UNKNOWN);
        match found.iter_mut().find(|known| known.what == what) {
            Some(known) => {
                known.imports.insert(import.clone());
            }
            None => found.push(Capability {
                what,
                standing,
                grant,
                imports: BTreeSet::from([import.clone()]),
            }),
        }
    }
    found.sort_by_key(|capability| capability.standing);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_put_together_by_what_they_mean() {
        let imports = [
            "capstan:plugin/job@0.1.0",
            "capstan:plugin/step@0.1.0",
            "wasi:filesystem/preopens@0.2.6",
            "wasi:filesystem/types@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
        ];
        let found = of(
            &imports.map(str::to_owned).into(),
            &[Hook::Workspace].into(),
        );
        let told: Vec<_> = found
            .iter()
            .map(|capability| {
                (
                    capability.what,
                    capability.standing,
                    capability.imports.len(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("looks at the job and its steps", Standing::Given, 2),
                ("reads and writes files it is given", Standing::Grant, 2),
                (
                    "asks for what this host does not offer",
                    Standing::Missing,
                    1
                ),
            ]
        );
    }

    #[test]
    fn files_are_for_the_hook_that_has_them() {
        let imports = BTreeSet::from(["wasi:filesystem/types@0.2.6".to_owned()]);
        let told = |hooks: &[Hook]| of(&imports, &hooks.iter().copied().collect())[0].standing;
        assert_eq!(told(&[Hook::Policy, Hook::Workspace]), Standing::Grant);
        assert_eq!(told(&[Hook::Policy]), Standing::Given);
        assert_eq!(told(&[]), Standing::Given);
    }

    #[test]
    fn no_interface_of_the_contract_is_unknown() {
        let world = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/world.wit"));
        let host = world
            .split("world host {")
            .nth(1)
            .unwrap()
            .split('}')
            .next()
            .unwrap();
        let imports: BTreeSet<_> = host
            .lines()
            .filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'))
            .map(|name| format!("capstan:plugin/{name}@0.1.0"))
            .collect();
        assert!(imports.len() > 5, "{imports:?}");
        for capability in of(&imports, &Hook::ALL.into()) {
            assert!(capability.standing != Standing::Missing, "{capability:?}");
        }
    }
}
