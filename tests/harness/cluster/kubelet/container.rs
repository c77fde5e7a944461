//! A container of a pod, and how it is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::images::{self, Trouble};
use super::volumes::Volumes;
use super::{arguments, environment};
use crate::cluster::clock;
use crate::cluster::events;
use crate::cluster::state::Shared;

/// What the node's events are told by.
pub(super) const SOURCE: &str = "kubelet";

/// Bytes of what a container has said last that its status has.
const LONGEST_MESSAGE: usize = 2048;

/// How soon something that failed is tried again: the first time, and later.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

pub(super) struct Container {
    pub(super) spec: Value,
    pub(super) is_init: bool,
    /// The engine's.
    pub(super) id: Option<String>,
    pub(super) image_id: String,
    /// As the pod's status has it.
    pub(super) state: Value,
    /// Not to be tried again before.
    due: Instant,
}

impl Container {
    pub(super) fn new(spec: &Value, is_init: bool, has_init: bool) -> Self {
        let reason = match has_init {
            true => "PodInitializing",
            false => "ContainerCreating",
        };
        Self {
            spec: spec.clone(),
            is_init,
            id: None,
            image_id: String::new(),
            state: json!({"waiting": {"reason": reason}}),
            due: Instant::now(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.spec["name"].as_str().unwrap_or_default()
    }

    /// The image that it asks for.
    pub(super) fn image(&self) -> &str {
        self.spec["image"].as_str().unwrap_or_default()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state.get("waiting").is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        self.state.get("running").is_some()
    }

    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// How it ended, if it has.
    pub(super) fn exit_code(&self) -> Option<i64> {
        self.state["terminated"]["exitCode"].as_i64()
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.exit_code() == Some(0)
    }

    /// Tries to start it. It waits, runs, or has ended after that.
    pub(super) async fn start(&mut self, shared: &Shared, pod: &Value, volumes: &Volumes) {
        let tell = |reason: &str, message: &str| {
            shared.change(|state| events::tell(state, pod, SOURCE, reason, message));
        };
        let image = match images::find(shared.docker(), &self.spec).await {
            Ok(image) => image,
            Err(trouble) => return self.complain(&trouble, tell),
        };
        tell(
            "Pulled",
            &format!(
                "Container image {:?} already present on machine",
                self.image()
            ),
        );
        self.image_id.clone_from(&image.id);
        let allowed = images::check_user(&image, pod, &self.spec);
        let variables = allowed.and_then(|()| environment::of(shared, pod, &self.spec));
        let arguments = variables.and_then(|variables| {
            arguments::of(shared.docker(), pod, &self.spec, volumes, &variables)
        });
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(message) => return self.fail("CreateContainerConfigError", &message, tell),
        };
        let id = match shared.docker().run(&arguments).await {
            Ok(id) => id.lines().last().unwrap_or_default().to_owned(),
            Err(message) => return self.fail("CreateContainerError", &message, tell),
        };
        tell("Created", &format!("Created container: {}", self.name()));
        self.id = Some(id.clone());
        match shared.docker().run(&["start".to_owned(), id]).await {
            Ok(_) => {
                tell("Started", &format!("Started container {}", self.name()));
                self.look(shared).await;
            }
            Err(message) => {
                tell("Failed", &format!("Error: {message}"));
                self.state = json!({"terminated": {
                    "exitCode": 128,
                    "reason": "StartError",
                    "message": message,
                    "startedAt": "1970-01-01T00:00:00Z",
                    "finishedAt": clock::now(),
                    "containerID": self.container_id(),
                }});
            }
        }
    }

    /// It waits on, and says why.
    fn fail(&mut self, reason: &str, message: &str, tell: impl Fn(&str, &str)) {
        tell("Failed", &format!("Error: {message}"));
        self.state = json!({"waiting": {"reason": reason, "message": message}});
        self.due = Instant::now() + AGAIN[1];
    }

    /// Its image is not to be had.
    fn complain(&mut self, trouble: &Trouble, tell: impl Fn(&str, &str)) {
        let before = self.state["waiting"]["reason"].as_str().unwrap_or_default();
        let is_again = matches!(before, "ErrImagePull" | "ImagePullBackOff");
        let image = self.image();
        let (reason, message) = match trouble.reason {
            "ErrImagePull" if is_again => {
                tell("BackOff", &format!("Back-off pulling image {image:?}"));
                let message = format!(
                    "Back-off pulling image {image:?}: ErrImagePull: {}",
                    trouble.message
                );
                ("ImagePullBackOff", message)
            }
            "ErrImagePull" => {
                tell(
                    "Failed",
                    &format!("Failed to pull image {image:?}: {}", trouble.message),
                );
                ("ErrImagePull", trouble.message.clone())
            }
            "InvalidImageName" => {
                tell("InspectFailed", &trouble.message);
                (trouble.reason, trouble.message.clone())
            }
            other => (other, trouble.message.clone()),
        };
        tell("Failed", &format!("Error: {reason}"));
        self.state = json!({"waiting": {"reason": reason, "message": message}});
        self.due = Instant::now() + AGAIN[usize::from(is_again)];
    }

    /// As a status names it.
    pub(super) fn container_id(&self) -> Option<String> {
        self.id.as_ref().map(|id| format!("containerd://{id}"))
    }

    /// Asks the engine how it is.
    pub(super) async fn look(&mut self, shared: &Shared) {
        let Some(id) = self.id.clone() else { return };
        let arguments = ["inspect", "--format", "{{json .State}}", &id].map(str::to_owned);
        let Ok(state) = shared.docker().run(&arguments).await else {
            // Somebody has removed it.
            self.state = json!({"terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": null,
                "finishedAt": null,
            }});
            return;
        };
        let state: Value = serde_json::from_str(&state).expect("the engine writes JSON");
        let time = |field: &str| clock::to_the_second(state[field].as_str().unwrap_or_default());
        if state["Running"] == true {
            self.state = json!({"running": {"startedAt": time("StartedAt")}});
            return;
        }
        shared.docker().forget(&id);
        let code = state["ExitCode"].as_i64().unwrap_or(0);
        let reason = match (code, state["OOMKilled"] == true) {
            (_, true) => "OOMKilled",
            (0, _) => "Completed",
            _ => "Error",
        };
        self.state = json!({"terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": time("StartedAt"),
            "finishedAt": time("FinishedAt"),
            "containerID": self.container_id(),
        }});
        // Nothing writes to the file for such messages here.
        if code != 0 && self.spec["terminationMessagePolicy"] == "FallbackToLogsOnError" {
            let words = shared.docker().last_words(&id).await;
            let from = words.ceil_char_boundary(words.len().saturating_sub(LONGEST_MESSAGE));
            self.state["terminated"]["message"] = json!(words[from..]);
        }
    }
}
