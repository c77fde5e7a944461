//! Native jobs: each step as the three containers that Sourcegraph asks for (facts/executor-protocol.md 7).

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::diff::Encoding;
use capstan_core::exec_input::ExecInput;
use capstan_core::task::Task;
use capstan_protocol::{Content, DockerStep, File, Generation, Job};

use super::Ingredients;
use super::known::{Known, is_skipped};

/// Where the repository is in a workspace.
const REPOSITORY: &str = "repository";

/// The bucket of mounted files.
const BUCKET: &str = "batch-changes";

/// The job without its identity.
pub(super) fn job(ingredients: &Ingredients, known: Option<&Known>, helper_image: &str) -> Job {
    let task = &ingredients.task;
    let first = known.map_or(0, |known| known.result.step_index + 1);
    let skipped: BTreeSet<usize> = (0..task.steps.len())
        .filter(|&step| is_skipped(task, step))
        .collect();
    let helper = Helper {
        image: helper_image,
        env: ingredients
            .secrets
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
    };
    let diff = known.map(|known| &known.result.diff);
    let has_diff = diff.is_some_and(|diff| !diff.is_empty());
    let mut docker_steps = Vec::new();
    if has_diff {
        docker_steps.push(helper.apply_diff());
    }
    for step in (first..task.steps.len()).filter(|step| !skipped.contains(step)) {
        docker_steps.push(helper.beside("pre", step));
        docker_steps.push(run(task, step));
        docker_steps.push(helper.beside("post", step));
    }
    Job {
        generation: Generation::V2,
        repository_name: task.repository.name.clone(),
        repository_directory: REPOSITORY.to_owned(),
        commit: task.repository.rev.clone(),
        shallow_clone: true,
        sparse_checkout: sparse(task),
        files: files(ingredients, known, skipped),
        docker_steps,
        redacted_values: ingredients.redacted(),
        ..Job::default()
    }
}

fn sparse(task: &Task) -> Vec<String> {
    if task.only_fetch_workspace && !task.path.is_empty() {
        vec![format!("{}/*", task.path)]
    } else {
        Vec::new()
    }
}

fn files(
    ingredients: &Ingredients,
    known: Option<&Known>,
    skipped_steps: BTreeSet<usize>,
) -> BTreeMap<String, File> {
    let inline = |bytes: Vec<u8>| File {
        content: Content::Inline(bytes),
        modified_at: None,
    };
    let task = &ingredients.task;
    let input = ExecInput {
        // Without `refs/heads/`: templates show the branch as it stands here, and are to show what they show in a run without a hub.
        task: task.clone(),
        cached_step_result_found: false,
        cached_step_result: None,
        skipped_steps,
    };
    let mut files = BTreeMap::new();
    files.insert(
        "input.json".to_owned(),
        inline(input.to_json().into_bytes()),
    );
    if let Some(Known { result, .. }) = known {
        let name = format!("step{}.json", result.step_index);
        files.insert(name, inline(result.to_json(Encoding::Base64).into_bytes()));
        if !result.diff.is_empty() {
            files.insert("state.diff".to_owned(), inline(result.diff.clone()));
        }
    }
    for file in &ingredients.files {
        let stored = File {
            content: Content::Stored {
                bucket: BUCKET.to_owned(),
                key: format!("{}/{}", ingredients.execution.draft.key, file.key),
            },
            modified_at: Some(file.modified_at),
        };
        files.insert(format!("workspace-files/{}", file.path), stored);
    }
    files
}

/// What runs in the helper's image, with the values of the secrets.
struct Helper<'a> {
    image: &'a str,
    env: Vec<String>,
}

impl Helper<'_> {
    fn apply_diff(&self) -> DockerStep {
        DockerStep {
            key: "apply-diff".to_owned(),
            image: self.image.to_owned(),
            commands: ["set -e", "git apply -p0 ../state.diff", "git add --all"]
                .map(str::to_owned)
                .into(),
            dir: REPOSITORY.to_owned(),
            env: Vec::new(),
        }
    }

    /// What is before or after a step.
    fn beside(&self, mode: &str, step: usize) -> DockerStep {
        DockerStep {
            key: format!("step.{step}.{mode}"),
            image: self.image.to_owned(),
            commands: vec![format!("batcheshelper {mode} {step}")],
            dir: ".".to_owned(),
            env: self.env.clone(),
        }
    }
}

/// The step itself: its script, with its output in files for what comes after it (facts/executor-protocol.md 7.3).
fn run(task: &Task, step: usize) -> DockerStep {
    let mut dir = REPOSITORY.to_owned();
    let mut back = "..".to_owned();
    if !task.path.is_empty() {
        dir = format!("{dir}/{}", task.path);
        for _ in task.path.split('/') {
            back.push_str("/..");
        }
    }
    let script = format!(
        "({back}/step{step}.sh | tee {back}/stdout{step}.log) 3>&1 1>&2 2>&3 | tee {back}/stderr{step}.log"
    );
    DockerStep {
        key: format!("step.{step}.run"),
        image: task.steps[step].container.clone(),
        commands: vec![
            "{ set +x; } 2>/dev/null".to_owned(),
            "{ set -eo pipefail; } 2>/dev/null".to_owned(),
            script,
        ],
        dir,
        env: Vec::new(),
    }
}
