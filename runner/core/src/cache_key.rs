//! The name under which the result of a step is cached.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::gojson;
use crate::mounts::MountedFile;
use crate::spec::Step;
use crate::task::Task;

/// Variables that differ from one executor to the next and so must not reach the key.
const EXECUTOR_VARIABLES: [&str; 3] = [
    "SRC_EXECUTOR_JOB_TOKEN",
    "SRC_EXECUTOR_JOB_ID",
    "SRC_EXECUTOR_NAME",
];

/// The key of the result after step `step_index` of `task` (facts/batch-spec.md 3.8).
///
/// `environments` are the environments of the task's steps, resolved but unrendered (see
/// [`resolve_environment`](crate::environment::resolve_environment)); those after `step_index` do
/// not count. `mounts` are the mounted files of all steps. `components` are the digests of the components of steps in
/// WebAssembly, by step; those after `step_index` do not count. Without any, the key is that of `src`.
///
/// # Errors
///
/// Only if a step cannot be written as JSON.
pub fn cache_key(
    task: &Task,
    step_index: usize,
    environments: &[BTreeMap<String, String>],
    mounts: &[MountedFile],
    components: &BTreeMap<usize, String>,
) -> Result<String, serde_json::Error> {
    let text = hashed_text(task, step_index, environments, mounts, components)?;
    let digest = Sha256::digest(text.as_bytes());
    let name = URL_SAFE_NO_PAD.encode(&digest[..16]);
    Ok(format!("{name}-step-{step_index}"))
}

/// The key of a result that plugins had a hand in: `key`, made for `step_index`, with what distinguishes the plugins.
pub fn with_plugins(key: &str, step_index: usize, fingerprint: &str) -> String {
    let digest = Sha256::digest(format!("{key}\n{fingerprint}").as_bytes());
    let name = URL_SAFE_NO_PAD.encode(&digest[..16]);
    format!("{name}-step-{step_index}")
}

/// The Go-JSON that the key is a digest of.
fn hashed_text(
    task: &Task,
    step_index: usize,
    environments: &[BTreeMap<String, String>],
    mounts: &[MountedFile],
    components: &BTreeMap<usize, String>,
) -> Result<String, serde_json::Error> {
    let mut file_matches: Vec<&str> = task
        .search_result_paths
        .iter()
        .map(String::as_str)
        .collect();
    file_matches.sort_unstable();
    let environments = environments
        .iter()
        .take(step_index + 1)
        .map(|environment| {
            environment
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .filter(|(name, _)| !EXECUTOR_VARIABLES.contains(name))
                .collect()
        })
        .collect();
    let steps = task.steps.get(..=step_index).unwrap_or(&task.steps);
    gojson::to_string(&KeyText {
        repository: RepositoryText {
            id: &task.repository.id,
            name: &task.repository.name,
            base_ref: task.repository.base_ref(),
            base_rev: &task.repository.rev,
            file_matches,
        },
        path: &task.path,
        only_fetch_workspace: task.only_fetch_workspace,
        steps,
        batch_change_attributes: BatchChangeText {
            name: &task.batch_change.name,
            description: &task.batch_change.description,
        },
        step_index,
        environments,
        mounts_metadata: mounts,
        components: components.range(..=step_index).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyText<'a> {
    repository: RepositoryText<'a>,
    path: &'a str,
    only_fetch_workspace: bool,
    steps: &'a [Step],
    batch_change_attributes: BatchChangeText<'a>,
    step_index: usize,
    environments: Vec<BTreeMap<&'a str, &'a str>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mounts_metadata: &'a [MountedFile],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<&'a usize, &'a String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RepositoryText<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    base_ref: String,
    base_rev: &'a str,
    file_matches: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchChangeText<'a> {
    name: &'a str,
    description: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::resolve_environment;
    use crate::spec::{Condition, EnvVar, Environment, Mount, Output, OutputFormat};
    use crate::task::{BatchChange, Repository};

    fn step(run: &str, container: &str) -> Step {
        Step {
            run: run.to_owned(),
            container: container.to_owned(),
            ..Step::default()
        }
    }

    fn base(steps: Vec<Step>) -> Task {
        Task {
            repository: Repository {
                id: "UmVwbzox".to_owned(),
                name: "github.com/acme/widgets".to_owned(),
                branch: "main".to_owned(),
                rev: "d34db33f".to_owned(),
            },
            path: String::new(),
            only_fetch_workspace: false,
            search_result_paths: vec!["a.go".to_owned(), "README.md".to_owned()],
            batch_change: BatchChange {
                name: "hello".to_owned(),
                description: "say <hi> & bye".to_owned(),
            },
            steps,
        }
    }

    fn step_0() -> Step {
        step("echo \"<hi> & bye\" >> x", "alpine:3")
    }

    fn step_1() -> Step {
        let output = |value: &str, format| Output {
            value: value.to_owned(),
            format,
        };
        Step {
            env: Environment {
                vars: vec![
                    EnvVar::Forwarded {
                        name: "HOME_DIR".to_owned(),
                    },
                    EnvVar::Static {
                        name: "A".to_owned(),
                        value: "b".to_owned(),
                    },
                ],
            },
            files: [("/tmp/f", "hi"), ("/tmp/a", "yo")]
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
            outputs: [
                ("o".to_owned(), output("v", Some(OutputFormat::Json))),
                ("b".to_owned(), output("w", None)),
            ]
            .into(),
            mount: vec![Mount {
                path: "./m".to_owned(),
                mountpoint: "/mnt".to_owned(),
            }],
            if_: Condition::Bool(true),
            ..step("make", "alpine:3")
        }
    }

    fn environments(task: &Task, outer: &[(&str, &str)]) -> Vec<BTreeMap<String, String>> {
        let lookup = |name: &str| {
            outer
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        task.steps
            .iter()
            .map(|step| resolve_environment(&step.env, &lookup))
            .collect()
    }

    fn key(
        task: &Task,
        step_index: usize,
        outer: &[(&str, &str)],
        mounts: &[MountedFile],
    ) -> String {
        cache_key(
            task,
            step_index,
            &environments(task, outer),
            mounts,
            &BTreeMap::new(),
        )
        .unwrap()
    }

    #[test]
    fn vector_a0() {
        let task = base(vec![step_0()]);
        assert_eq!(key(&task, 0, &[], &[]), "TNaJZBLAWE7_1KHs6nGi0Q-step-0");
        assert_eq!(
            hashed_text(&task, 0, &environments(&task, &[]), &[], &BTreeMap::new()).unwrap(),
            r#"{"Repository":{"ID":"UmVwbzox","Name":"github.com/acme/widgets","BaseRef":"refs/heads/main","BaseRev":"d34db33f","FileMatches":["README.md","a.go"]},"Path":"","OnlyFetchWorkspace":false,"Steps":[{"run":"echo \"\u003chi\u003e \u0026 bye\" \u003e\u003e x","container":"alpine:3","env":{}}],"BatchChangeAttributes":{"Name":"hello","Description":"say \u003chi\u003e \u0026 bye"},"StepIndex":0,"Environments":[{}]}"#
        );
    }

    #[test]
    fn vector_a1() {
        let task = base(vec![step_0(), step_1()]);
        let outer = [("HOME_DIR", "/h")];
        let text = hashed_text(
            &task,
            1,
            &environments(&task, &outer),
            &[],
            &BTreeMap::new(),
        )
        .unwrap();
        assert!(
            text.contains(r#",{"run":"make","container":"alpine:3","env":["HOME_DIR",{"A":"b"}],"files":{"/tmp/a":"yo","/tmp/f":"hi"},"outputs":{"b":{"value":"w"},"o":{"value":"v","format":"json"}},"mount":[{"mountpoint":"/mnt","path":"./m"}],"if":true}],"#),
            "{text}"
        );
        assert!(
            text.ends_with(r#""Environments":[{},{"A":"b","HOME_DIR":"/h"}]}"#),
            "{text}"
        );
        assert_eq!(key(&task, 1, &outer, &[]), "VbCahdshr8_RSc3HoRUEOQ-step-1");
    }

    #[test]
    fn a_component_changes_the_keys_of_its_step_and_of_those_after_it() {
        let task = base(vec![step_0(), step("-x", "wasm://./fix.wasm"), step_1()]);
        let keys = |components: &BTreeMap<usize, String>| {
            let key = |index| {
                let environments = environments(&task, &[]);
                cache_key(&task, index, &environments, &[], components).unwrap()
            };
            [key(0), key(1), key(2)]
        };
        let with = |digest: &str| keys(&[(1, digest.to_owned())].into());
        let (without, one, other) = (keys(&BTreeMap::new()), with("sha256:1"), with("sha256:2"));
        assert!(without[0] == one[0] && one[0] == other[0]);
        for step in [1, 2] {
            assert!(without[step] != one[step] && one[step] != other[step]);
        }
    }

    #[test]
    fn later_steps_do_not_change_the_key_of_an_earlier_one() {
        let task = base(vec![step_0(), step_1()]);
        assert_eq!(key(&task, 0, &[], &[]), "TNaJZBLAWE7_1KHs6nGi0Q-step-0");
    }

    #[test]
    fn vector_b() {
        let task = Task {
            repository: Repository {
                id: "r".to_owned(),
                name: "r".to_owned(),
                branch: "refs/heads/main".to_owned(),
                rev: "c".to_owned(),
            },
            path: "a/b".to_owned(),
            only_fetch_workspace: true,
            search_result_paths: Vec::new(),
            batch_change: BatchChange {
                name: "hello".to_owned(),
                description: String::new(),
            },
            steps: vec![step_0()],
        };
        assert_eq!(key(&task, 0, &[], &[]), "J0PHNVwjm_yQ7QZ193ouHA-step-0");
    }

    #[test]
    fn vector_d() {
        let mounts = [
            ("m/file.txt", 12, "2024-02-03T04:05:06.7Z"),
            ("m/whole", 0, "2024-02-03T04:05:06Z"),
        ]
        .map(|(path, size, modified)| MountedFile {
            path: path.to_owned(),
            size,
            modified: modified.parse().unwrap(),
        });
        let task = base(vec![step_0()]);
        assert_eq!(key(&task, 0, &[], &mounts), "5cfSVL8so4amutBZZwIZsg-step-0");
    }

    #[test]
    fn vector_e() {
        let forwarded = |name: &str| EnvVar::Forwarded {
            name: name.to_owned(),
        };
        let task = base(vec![Step {
            env: Environment {
                vars: vec![forwarded("SRC_EXECUTOR_NAME"), forwarded("Z")],
            },
            ..step("x", "y")
        }]);
        for executor in ["one", "two"] {
            let outer = [("SRC_EXECUTOR_NAME", executor), ("Z", "1")];
            assert_eq!(key(&task, 0, &outer, &[]), "xw2y9gj6_Kn3M04G6j8ETw-step-0");
        }
    }
}
