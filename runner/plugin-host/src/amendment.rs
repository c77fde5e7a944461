//! What a policy may change about a step.

use crate::job::{Mount, Step};

/// One change to a step (`wit/step.wit`, `amendment`); its values are within their bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum Amendment {
    /// Another image.
    Image(String),
    /// A variable's value.
    SetEnvironment(String, String),
    /// A variable less.
    RemoveEnvironment(String),
    /// A mount, replacing one with the same target.
    AddMount(Mount),
    /// The mount with this target less.
    RemoveMount(String),
    /// A network mode.
    Network(String),
    /// Memory in MiB.
    Memory(u32),
    /// Thousandths of a processor.
    Cpus(u32),
    /// Processes and threads.
    Pids(u32),
    /// Seconds.
    Timeout(u32),
}

impl Amendment {
    /// Makes the change to `step`.
    pub fn apply(&self, step: &mut Step) {
        match self {
            Self::Image(image) => step.image.clone_from(image),
            Self::SetEnvironment(name, value) => {
                let value = Some(value.clone());
                match place(step, name) {
                    Ok(at) => step.environment[at].1 = value,
                    Err(at) => step.environment.insert(at, (name.clone(), value)),
                }
            }
            Self::RemoveEnvironment(name) => {
                if let Ok(at) = place(step, name) {
                    step.environment.remove(at);
                }
            }
            Self::AddMount(mount) => {
                let same = |other: &&mut Mount| same_path(&other.target, &mount.target);
                match step.mounts.iter_mut().find(same) {
                    Some(other) => other.clone_from(mount),
                    None => step.mounts.push(mount.clone()),
                }
            }
            Self::RemoveMount(target) => {
                step.mounts
                    .retain(|mount| !same_path(&mount.target, target));
            }
            Self::Network(network) => step.network = Some(network.clone()),
            Self::Memory(mebibytes) => step.limits.memory = Some(*mebibytes),
            Self::Cpus(thousandths) => step.limits.cpus = Some(*thousandths),
            Self::Pids(count) => step.limits.pids = Some(*count),
            Self::Timeout(seconds) => step.limits.timeout = Some(*seconds),
        }
    }

    /// Why the change makes no sense, if it makes none.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Image(image) => word("an image", image),
            Self::SetEnvironment(name, value) => variable(name).or_else(|| {
                value
                    .contains('\0')
                    .then(|| format!("the value of the variable `{name}` has a NUL byte"))
            }),
            Self::RemoveEnvironment(name) => variable(name),
            Self::AddMount(mount) => {
                path("the source of a mount", &mount.source).or_else(|| target(&mount.target))
            }
            Self::RemoveMount(name) => target(name),
            Self::Network(network) => word("a network", network),
            Self::Memory(mebibytes) => at_least("memory of", *mebibytes, 4, "MiB"),
            Self::Cpus(thousandths) => {
                at_least("processors of", *thousandths, 10, "thousandths of one")
            }
            Self::Pids(count) => at_least("a limit of", *count, 1, "processes"),
            Self::Timeout(seconds) => at_least("a run time of", *seconds, 1, "seconds"),
        }
    }
}

/// Where a variable is in the environment, or would be.
fn place(step: &Step, name: &str) -> Result<usize, usize> {
    let environment = &step.environment;
    environment.binary_search_by(|(other, _)| other.as_str().cmp(name))
}

/// Slashes at the end make no difference.
fn same_path(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn word(what: &str, text: &str) -> Option<String> {
    let bad = |character: char| character.is_control() || character.is_whitespace();
    (text.is_empty() || text.contains(bad)).then(|| {
        format!("{what} must not be empty nor have blanks or control characters, as {text:?} does")
    })
}

fn variable(name: &str) -> Option<String> {
    (name.is_empty() || name.contains(['=', '\0'])).then(|| {
        format!("the name of a variable must not be empty nor have a `=` or NUL, as {name:?} does")
    })
}

fn path(what: &str, path: &str) -> Option<String> {
    let sound = path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(|part| matches!(part, "." | ".."));
    (!sound).then(|| {
        format!("{what} must be an absolute path without `.`, `..` and NUL, and is {path:?}")
    })
}

fn target(target: &str) -> Option<String> {
    path("the target of a mount", target).or_else(|| {
        same_path(target, "").then(|| "the target of a mount must not be the root".to_owned())
    })
}

fn at_least(what: &str, number: u32, least: u32, unit: &str) -> Option<String> {
    (number < least).then(|| format!("{what} {number} {unit} is too little: {least} is the least"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn mount(source: &str, target: &str) -> Mount {
        Mount {
            source: source.into(),
            target: target.into(),
            read_only: true,
        }
    }

    #[test]
    fn changes_are_made_in_order() {
        let mut step = Step {
            image: "old".into(),
            environment: vec![("B".into(), None), ("D".into(), Some("d".into()))],
            mounts: vec![mount("/a", "/x"), mount("/b", "/y/")],
            ..Step::default()
        };
        for amendment in [
            Amendment::Image("one".into()),
            Amendment::Image("two".into()),
            Amendment::SetEnvironment("C".into(), "c".into()),
            Amendment::SetEnvironment("B".into(), "b".into()),
            Amendment::SetEnvironment("A".into(), "a".into()),
            Amendment::RemoveEnvironment("D".into()),
            Amendment::RemoveEnvironment("E".into()),
            Amendment::AddMount(mount("/c", "/y")),
            Amendment::AddMount(mount("/d", "/z")),
            Amendment::RemoveMount("/x/".into()),
            Amendment::Network("none".into()),
            Amendment::Memory(4),
            Amendment::Cpus(10),
            Amendment::Pids(2),
            Amendment::Timeout(3),
        ] {
            assert_eq!(amendment.fault(), None);
            amendment.apply(&mut step);
        }
        assert_eq!(step.image, "two");
        let environment: Vec<(&str, Option<&str>)> = step
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        assert_eq!(
            environment,
            [("A", Some("a")), ("B", Some("b")), ("C", Some("c"))]
        );
        assert_eq!(step.mounts, [mount("/c", "/y"), mount("/d", "/z")]);
        assert_eq!(step.network.as_deref(), Some("none"));
        let limits = step.limits;
        assert_eq!(
            (limits.memory, limits.cpus, limits.pids, limits.timeout),
            (Some(4), Some(10), Some(2), Some(3))
        );
    }

    #[rstest]
    #[case(
        Amendment::Image(String::new()),
        "an image must not be empty nor have blanks or control characters, as \"\" does"
    )]
    #[case(Amendment::Image("a b".into()), "an image must not be empty nor have blanks or control characters, as \"a b\" does")]
    #[case(Amendment::SetEnvironment("A=B".into(), "c".into()), "the name of a variable must not be empty nor have a `=` or NUL, as \"A=B\" does")]
    #[case(Amendment::SetEnvironment("A".into(), "\0".into()), "the value of the variable `A` has a NUL byte")]
    #[case(
        Amendment::RemoveEnvironment(String::new()),
        "the name of a variable must not be empty nor have a `=` or NUL, as \"\" does"
    )]
    #[case(
        Amendment::AddMount(mount("a", "/b")),
        "the source of a mount must be an absolute path without `.`, `..` and NUL, and is \"a\""
    )]
    #[case(
        Amendment::AddMount(mount("/a", "b")),
        "the target of a mount must be an absolute path without `.`, `..` and NUL, and is \"b\""
    )]
    #[case(
        Amendment::AddMount(mount("/a", "/b/../c")),
        "the target of a mount must be an absolute path without `.`, `..` and NUL, and is \"/b/../c\""
    )]
    #[case(
        Amendment::AddMount(mount("/a", "//")),
        "the target of a mount must not be the root"
    )]
    #[case(Amendment::RemoveMount("/a\0".into()), "the target of a mount must be an absolute path without `.`, `..` and NUL, and is \"/a\\0\"")]
    #[case(Amendment::Network("\n".into()), "a network must not be empty nor have blanks or control characters, as \"\\n\" does")]
    #[case(Amendment::Memory(3), "memory of 3 MiB is too little: 4 is the least")]
    #[case(
        Amendment::Cpus(9),
        "processors of 9 thousandths of one is too little: 10 is the least"
    )]
    #[case(
        Amendment::Pids(0),
        "a limit of 0 processes is too little: 1 is the least"
    )]
    #[case(
        Amendment::Timeout(0),
        "a run time of 0 seconds is too little: 1 is the least"
    )]
    fn nonsense(#[case] amendment: Amendment, #[case] fault: &str) {
        assert_eq!(amendment.fault().as_deref(), Some(fault));
    }
}
