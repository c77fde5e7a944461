//! What a pod's status says, in our words. Nothing here speaks with anybody.
//!
//! Everything in here is the cluster's affair, never the fault of a script: facts/user-pains.md 1.7 has what hurts.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::manifest::{PREPARE, RUNNER, STEP};

/// What is known of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Status {
    pub(super) name: String,
    pub(super) node: Option<String>,
    phase: Phase,
    /// Why it failed, and more about it.
    reason: String,
    message: String,
    /// Why no node takes it.
    unschedulable: Option<String>,
    /// What disturbs it, and more about it: it was preempted, or its node is drained.
    disruption: Option<(String, String)>,
    is_being_deleted: bool,
    containers: Vec<Container>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Container {
    name: String,
    image: String,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting {
        reason: String,
        message: String,
    },
    Running,
    Terminated {
        code: i32,
        reason: String,
        message: String,
    },
}

/// Something that is wrong with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What.
    pub(super) what: String,
    /// What to do about it.
    pub(super) hint: Option<&'static str>,
    /// Whether it stays so.
    pub(super) is_final: bool,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.hint {
            Some(hint) => write!(f, "{} ({hint})", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Trouble {
    fn new(what: String, is_final: bool) -> Self {
        Self {
            what,
            hint: None,
            is_final,
        }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }
}

impl Status {
    /// Of a pod as the cluster has it.
    pub(super) fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let spec = pod.spec.as_ref();
        let conditions = status.conditions.unwrap_or_default();
        let condition = |kind: &str, value: &str| {
            let mut all = conditions.iter();
            let found = all.find(|condition| condition.type_ == kind && condition.status == value);
            found.map(|condition| {
                let (reason, message) = (condition.reason.clone(), condition.message.clone());
                (reason.unwrap_or_default(), message.unwrap_or_default())
            })
        };
        let unscheduled = condition("PodScheduled", "False");
        let lists = [status.init_container_statuses, status.container_statuses];
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            node: spec.and_then(|spec| spec.node_name.clone()),
            phase: match status.phase.as_deref() {
                Some("Running") => Phase::Running,
                Some("Succeeded") => Phase::Succeeded,
                Some("Failed") => Phase::Failed,
                _ => Phase::Pending,
            },
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
            unschedulable: unscheduled
                .filter(|(reason, _)| reason == "Unschedulable")
                .map(|(_, message)| message),
            disruption: condition("DisruptionTarget", "True"),
            is_being_deleted: pod.metadata.deletion_timestamp.is_some(),
            containers: lists
                .into_iter()
                .flatten()
                .flatten()
                .map(|status| Container::of(&status))
                .collect(),
        }
    }

    /// Whether its runner has begun, and so has something to say.
    pub(super) fn has_begun(&self) -> bool {
        self.is_in(RUNNER, |state| !matches!(state, State::Waiting { .. }))
    }

    /// Whether its runner has ended, so that it says nothing new.
    pub(super) fn has_ended(&self) -> bool {
        self.is_in(RUNNER, |state| matches!(state, State::Terminated { .. }))
            || matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether somebody deletes it. Why, its Job may know.
    pub(super) fn is_going(&self) -> bool {
        self.is_being_deleted
    }

    fn is_in(&self, name: &str, state: impl Fn(&State) -> bool) -> bool {
        let mut all = self.containers.iter();
        all.any(|container| container.name == name && state(&container.state))
    }

    /// What is wrong with it, the worst first.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.failure().or_else(|| self.waits())
    }

    /// Why it has failed, or will.
    fn failure(&self) -> Option<Trouble> {
        if self.phase == Phase::Failed && !self.reason.is_empty() {
            let what = format!(
                "pod {}: {}: {}",
                self.name,
                self.reason,
                self.message.trim()
            );
            return Some(hinted(
                Trouble::new(what, true),
                &self.reason,
                &self.message,
            ));
        }
        if let Some((reason, message)) = &self.disruption {
            let what = format!("pod {} is taken away: {reason}: {message}", self.name);
            return Some(Trouble::new(what, true).hint(
                "its node is drained or too full, or a pod of a higher priority needs the place; a PodDisruptionBudget makes drains wait",
            ));
        }
        let mut containers = self.containers.iter();
        containers.find_map(|container| container.failure(&self.name))
    }

    /// What it waits for.
    fn waits(&self) -> Option<Trouble> {
        if let Some(message) = &self.unschedulable {
            let what = format!("pod {}: no node takes it: {message}", self.name);
            return Some(hinted(Trouble::new(what, false), "Unschedulable", message));
        }
        let mut containers = self.containers.iter();
        containers.find_map(|container| container.waits(&self.name))
    }

    /// What has not started yet: container and image.
    pub(super) fn not_started(&self) -> Vec<String> {
        let waiting = self.containers.iter().filter(|container| {
            container.name != PREPARE && matches!(container.state, State::Waiting { .. })
        });
        waiting
            .map(|container| format!("{} ({})", container.name, container.image))
            .collect()
    }

    /// Of a step's container that was killed while it ran: by the kernel, for lack of memory?
    pub(super) fn killed_step(&self) -> Option<String> {
        let mut steps = self.containers.iter();
        steps.find_map(|container| match &container.state {
            State::Terminated { code, reason, .. }
                if container.is_step() && reason == "OOMKilled" =>
            {
                Some(format!(
                    "container {} was killed for lack of memory, exit code {code}; give steps more with EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY",
                    container.name
                ))
            }
            _ => None,
        })
    }
}

impl Container {
    fn of(status: &ContainerStatus) -> Self {
        let state = status.state.clone().unwrap_or_default();
        Self {
            name: status.name.clone(),
            image: status.image.clone(),
            state: match (state.running, state.terminated, state.waiting) {
                (Some(_), _, _) => State::Running,
                (_, Some(ended), _) => State::Terminated {
                    code: ended.exit_code,
                    reason: ended.reason.unwrap_or_default(),
                    message: ended.message.unwrap_or_default(),
                },
                (_, _, waiting) => {
                    let waiting = waiting.unwrap_or_default();
                    State::Waiting {
                        reason: waiting.reason.unwrap_or_default(),
                        message: waiting.message.unwrap_or_default(),
                    }
                }
            },
        }
    }

    /// Others may have added containers of their own.
    fn is_step(&self) -> bool {
        self.name.starts_with(STEP)
    }

    fn is_ours(&self) -> bool {
        self.is_step() || self.name == RUNNER || self.name == PREPARE
    }

    fn failure(&self, pod: &str) -> Option<Trouble> {
        let State::Terminated {
            code,
            reason,
            message,
        } = &self.state
        else {
            return None;
        };
        let message = message.trim();
        match reason.as_str() {
            // The runtime could not even begin it.
            "StartError" | "ContainerCannotRun" => {
                let (name, image) = (&self.name, &self.image);
                let what =
                    format!("container {name} of image {image} cannot be started: {message}");
                let hint = match self.is_step() {
                    true if message.contains("/bin/sh") => "the image of a step needs /bin/sh",
                    true => {
                        "the image is not fit for this cluster's nodes, or for the user that it has to run as"
                    }
                    false => {
                        "the runner's image has to have capstan: see EXECUTOR_KUBERNETES_RUNNER_IMAGE"
                    }
                };
                Some(Trouble::new(what, true).hint(hint))
            }
            // The runner tells what becomes of steps.
            _ if self.is_step() || !self.is_ours() || *code == 0 => None,
            "OOMKilled" => {
                let what = format!(
                    "container {} of pod {pod} was killed for lack of memory",
                    self.name
                );
                Some(
                    Trouble::new(what, true)
                        .hint("give it more with EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY"),
                )
            }
            _ if self.name == PREPARE => Some(Trouble::new(last_words(message, *code), true)),
            _ => {
                let what = format!("the pod's runner: {}", last_words(message, *code));
                Some(Trouble::new(what, true))
            }
        }
    }

    fn waits(&self, pod: &str) -> Option<Trouble> {
        let State::Waiting { reason, message } = &self.state else {
            return None;
        };
        // These are on their way.
        if matches!(
            reason.as_str(),
            "" | "ContainerCreating" | "PodInitializing"
        ) {
            return None;
        }
        let (name, image) = (&self.name, &self.image);
        let what = format!("pod {pod}: container {name}, image {image}: {reason}: {message}");
        let stays = match reason.as_str() {
            "InvalidImageName" | "ErrImageNeverPull" | "CreateContainerConfigError" => true,
            // One that is tried again, but that will not get better.
            "ImagePullBackOff" => [
                "not found",
                "manifest unknown",
                "denied",
                "unauthorized",
                "authorization failed",
                "does not exist",
                "no such host",
            ]
            .iter()
            .any(|word| message.contains(word)),
            _ => false,
        };
        Some(hinted(Trouble::new(what, stays), reason, message))
    }
}

/// The last lines that one of our containers has said.
fn last_words(message: &str, code: i32) -> String {
    // A runner tells events, too.
    let for_people = message.lines().filter(|line| !line.starts_with('{'));
    let message = for_people.collect::<Vec<_>>().join("\n");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    match message.split_once("\nhint: ") {
        None if message.is_empty() => format!("it ended with exit code {code}"),
        None => message.to_owned(),
        Some((message, hint)) => format!("{message} ({hint})"),
    }
}

/// Why a Job has failed, in the words of its condition.
pub(super) fn of_failed_job(reason: &str, message: &str) -> Trouble {
    let what = format!("the cluster has ended the job: {reason}: {message}");
    hinted(Trouble::new(what, true), reason, message)
}

/// Somebody has deleted a pod or its Job.
pub(super) fn deleted(what: &str) -> Trouble {
    let what = format!("{what} was deleted while the job ran");
    Trouble::new(what, true).hint("somebody, or something, else deletes what the executor makes")
}

/// With what to do about it, as far as the texts of clusters tell.
fn hinted(trouble: Trouble, reason: &str, message: &str) -> Trouble {
    let has = |word: &str| message.contains(word);
    let hint = match reason {
        "DeadlineExceeded" => "the pod may live as long as KUBERNETES_JOB_DEADLINE says",
        "Evicted" if has("EmptyDir") || has("emptyDir") => {
            "the job needs more disk than KUBERNETES_JOB_VOLUME_SIZE says"
        }
        "Evicted" if has("ephemeral") => {
            "the node, or the container, has too little disk; give jobs a volume with KUBERNETES_JOB_VOLUME_TYPE=pvc"
        }
        "Evicted" if has("memory") => {
            "the node ran out of memory; ask for as much as jobs use with EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY"
        }
        "Evicted" => "the node was short of something; the job can be tried again",
        "NodeLost" | "NodeShutdown" | "Terminated" | "Shutdown" => {
            "its node is gone; the job can be tried again"
        }
        "Unschedulable" if has("Insufficient") => {
            "no node has enough left: lower EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU or _MEMORY, or add nodes"
        }
        "Unschedulable" if has("persistentvolumeclaim") || has("PersistentVolume") => {
            "the cluster makes no volume: look at its storage classes, or set KUBERNETES_JOB_VOLUME_TYPE=emptyDir"
        }
        "Unschedulable" if has("taint") => "see EXECUTOR_KUBERNETES_NODE_TOLERATIONS",
        "Unschedulable" if has("affinity") || has("selector") => {
            "see EXECUTOR_KUBERNETES_NODE_SELECTOR, EXECUTOR_KUBERNETES_NODE_NAME and the variables of affinities"
        }
        "ErrImagePull" | "ImagePullBackOff"
            if has("denied") || has("unauthorized") || has("authorization") =>
        {
            "name a Secret with the registry's credentials in KUBERNETES_IMAGE_PULL_SECRETS"
        }
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => {
            "check the image's name, and that the cluster's nodes reach its registry"
        }
        _ => return trouble,
    };
    trouble.hint(hint)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "values are written where they are passed"
    )]
    fn status(status: Value) -> Status {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [], "nodeName": "node-1"}, "status": status,
        });
        Status::of(&serde_json::from_value(pod).unwrap())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "values are written where they are passed"
    )]
    fn container(name: &str, state: Value) -> Value {
        json!({"name": name, "image": "acme/tool:1", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({"waiting": {"reason": reason, "message": message}})
    }

    fn terminated(code: i32, reason: &str, message: &str) -> Value {
        json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
    }

    #[test]
    fn a_pod_begins_runs_and_ends() {
        let created = status(json!({"phase": "Pending"}));
        assert!(!created.has_begun() && created.trouble().is_none());
        let preparing = status(json!({
            "phase": "Pending",
            "initContainerStatuses": [container("prepare", json!({"running": {}}))],
            "containerStatuses": [
                container("runner", waiting("PodInitializing", "")),
                container("step-0", waiting("PodInitializing", "")),
            ],
        }));
        assert!(!preparing.has_begun() && preparing.trouble().is_none());
        let begun = status(json!({
            "phase": "Running",
            "initContainerStatuses": [container("prepare", terminated(0, "Completed", ""))],
            "containerStatuses": [
                container("runner", json!({"running": {}})),
                container("step-0", waiting("ContainerCreating", "")),
            ],
        }));
        assert!(begun.has_begun() && !begun.has_ended());
        assert_eq!(begun.not_started(), ["step-0 (acme/tool:1)"]);
        let over = status(json!({
            "phase": "Running",
            "containerStatuses": [
                container("runner", terminated(0, "Completed", "")),
                container("step-0", terminated(3, "Error", "")),
                container("step-1", json!({"running": {}})),
            ],
        }));
        assert!(over.has_ended() && over.not_started().is_empty());
        // A step's exit code is the runner's affair.
        assert_eq!(over.trouble(), None);
        assert_eq!(over.killed_step(), None);
    }

    #[rstest]
    #[case::unschedulable(
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient memory."}]}),
        "pod p: no node takes it: 0/3 nodes are available: 3 Insufficient memory.",
        "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_",
        false
    )]
    #[case::selector(
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."}]}),
        "didn't match Pod's node affinity/selector",
        "EXECUTOR_KUBERNETES_NODE_SELECTOR",
        false
    )]
    #[case::volume_limit(
        json!({"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"job\" exceeds the limit \"5Gi\". "}),
        "pod p: Evicted: Usage of EmptyDir volume \"job\" exceeds the limit \"5Gi\".",
        "KUBERNETES_JOB_VOLUME_SIZE",
        true
    )]
    #[case::node_memory(
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}),
        "low on resource: memory.",
        "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY",
        true
    )]
    #[case::deadline(
        json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"}),
        "pod p: DeadlineExceeded",
        "KUBERNETES_JOB_DEADLINE",
        true
    )]
    #[case::preempted(
        json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            "message": "Preempted by a pod on node n"}]}),
        "pod p is taken away: PreemptionByScheduler",
        "a PodDisruptionBudget",
        true
    )]
    #[case::no_such_image(
        json!({"phase": "Pending", "containerStatuses": [
            container("step-1", waiting("ImagePullBackOff", "Back-off pulling image \"acme/tool:1\": ErrImagePull: docker.io/acme/tool:1: not found"))]}),
        "pod p: container step-1, image acme/tool:1: ImagePullBackOff: Back-off",
        "check the image's name",
        true
    )]
    #[case::no_such_registry(
        json!({"phase": "Pending", "containerStatuses": [
            container("step-1", waiting("ImagePullBackOff", "Back-off pulling image: ErrImagePull: dial tcp: lookup nowhere.invalid: no such host"))]}),
        "no such host",
        "reach its registry",
        true
    )]
    #[case::registry_is_down(
        json!({"phase": "Pending", "containerStatuses": [
            container("step-1", waiting("ImagePullBackOff", "Back-off pulling image: dial tcp: i/o timeout"))]}),
        "i/o timeout",
        "reach its registry",
        false
    )]
    #[case::no_credentials(
        json!({"phase": "Pending", "containerStatuses": [
            container("step-1", waiting("ErrImagePull", "pull access denied, repository does not exist or may require authorization"))]}),
        "pull access denied",
        "KUBERNETES_IMAGE_PULL_SECRETS",
        false
    )]
    #[case::no_shell(
        json!({"phase": "Running", "containerStatuses": [
            container("step-2", terminated(128, "StartError", "exec: \"/bin/sh\": no such file or directory"))]}),
        "container step-2 of image acme/tool:1 cannot be started: exec: \"/bin/sh\"",
        "needs /bin/sh",
        true
    )]
    #[case::runner_out_of_memory(
        json!({"phase": "Running", "containerStatuses": [container("runner", terminated(137, "OOMKilled", ""))]}),
        "container runner of pod p was killed for lack of memory",
        "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY",
        true
    )]
    fn troubles(
        #[case] pod: Value,
        #[case] what: &str,
        #[case] hint: &str,
        #[case] is_final: bool,
    ) {
        let trouble = status(pod).trouble().unwrap();
        assert!(trouble.what.contains(what), "{trouble}");
        assert!(trouble.hint.unwrap().contains(hint), "{trouble}");
        assert_eq!(trouble.is_final, is_final, "{trouble}");
    }

    #[test]
    fn what_prepare_says_is_the_reason() {
        let pod = status(json!({"phase": "Failed", "initContainerStatuses": [
            container("prepare", terminated(3, "Error", "error: the image of step 2 depends on what steps do\nhint: name it\n"))]}));
        let trouble = pod.trouble().unwrap();
        assert_eq!(
            trouble.what,
            "the image of step 2 depends on what steps do (name it)"
        );
    }

    #[test]
    fn a_step_without_memory_is_told() {
        let pod = status(json!({"phase": "Running", "containerStatuses": [
            container("runner", json!({"running": {}})),
            container("step-0", terminated(0, "Completed", "")),
            container("step-1", terminated(137, "OOMKilled", "")),
        ]}));
        assert_eq!(pod.trouble(), None);
        assert!(
            pod.killed_step()
                .unwrap()
                .starts_with("container step-1 was killed for lack of memory")
        );
    }
}
