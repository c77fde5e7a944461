//! The status of a pod, made of how its containers are.

use serde_json::{Value, json};

use super::container::Container;
use super::images;
use crate::cluster::clock;
use crate::cluster::conditions;

/// Where everything is.
const ADDRESS: &str = "127.0.0.1";

/// Why a pod was made to fail.
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) message: String,
}

/// Writes the status into a pod.
pub(super) fn write(pod: &mut Value, containers: &[Container], failure: Option<&Failure>) {
    let (init, main): (Vec<&Container>, Vec<&Container>) =
        containers.iter().partition(|container| container.is_init);
    let phase = match failure {
        Some(_) => "Failed",
        None => phase(&init, &main),
    };
    let status = &mut pod["status"];
    status["phase"] = json!(phase);
    if let Some(failure) = failure {
        status["reason"] = json!(failure.reason);
        status["message"] = json!(failure.message);
    }
    if status.get("startTime").is_none() {
        status["startTime"] = json!(clock::now());
    }
    status["hostIP"] = json!(ADDRESS);
    status["hostIPs"] = json!([{"ip": ADDRESS}]);
    if containers.iter().any(|container| container.id.is_some()) {
        status["podIP"] = json!(ADDRESS);
        status["podIPs"] = json!([{"ip": ADDRESS}]);
    }
    if !init.is_empty() {
        status["initContainerStatuses"] = init.iter().map(|one| of_container(one)).collect();
    }
    status["containerStatuses"] = main.iter().map(|one| of_container(one)).collect();
    write_conditions(pod, phase, &init, &main);
}

/// A pod is pending as long as one of its containers has not started, whatever the others do.
fn phase(init: &[&Container], main: &[&Container]) -> &'static str {
    if init
        .iter()
        .any(|one| one.exit_code().is_some_and(|code| code != 0))
    {
        return "Failed";
    }
    if init.iter().any(|one| !one.has_succeeded()) || main.iter().any(|one| one.is_waiting()) {
        return "Pending";
    }
    if main.iter().any(|one| one.is_running()) {
        return "Running";
    }
    match main.iter().all(|one| one.has_succeeded()) {
        true => "Succeeded",
        false => "Failed",
    }
}

fn of_container(container: &Container) -> Value {
    let ready = match container.is_init {
        true => container.has_succeeded(),
        false => container.is_running(),
    };
    let mut status = json!({
        "name": container.name(),
        "state": container.state,
        "lastState": {},
        "ready": ready,
        "started": container.is_running(),
        "restartCount": 0,
        "image": container.image(),
        "imageID": container.image_id,
    });
    if let Some(id) = container.container_id() {
        status["containerID"] = json!(id);
        status["image"] = json!(images::full_name(container.image()));
    }
    status
}

fn write_conditions(pod: &mut Value, phase: &str, init: &[&Container], main: &[&Container]) {
    let names = |containers: Vec<&str>| containers.join(" ");
    let is_over = matches!(phase, "Succeeded" | "Failed");
    let has_sandbox = !is_over && init.iter().chain(main).any(|one| one.id.is_some());
    conditions::set(pod, "PodReadyToStartContainers", has_sandbox, "", "");
    let incomplete = init.iter().filter(|one| !one.has_succeeded());
    let incomplete: Vec<&str> = incomplete.map(|one| one.name()).collect();
    match (&*incomplete, phase) {
        ([], "Succeeded") => conditions::set(pod, "Initialized", true, "PodCompleted", ""),
        ([], _) => conditions::set(pod, "Initialized", true, "", ""),
        _ => {
            let message = format!("containers with incomplete status: [{}]", names(incomplete));
            conditions::set(
                pod,
                "Initialized",
                false,
                "ContainersNotInitialized",
                &message,
            );
        }
    }
    let unready = main.iter().filter(|one| !one.is_running());
    let unready: Vec<&str> = unready.map(|one| one.name()).collect();
    let message = format!(
        "containers with unready status: [{}]",
        names(unready.clone())
    );
    for kind in ["Ready", "ContainersReady"] {
        match phase {
            "Succeeded" => conditions::set(pod, kind, false, "PodCompleted", ""),
            "Failed" => conditions::set(pod, kind, false, "PodFailed", ""),
            _ if unready.is_empty() => conditions::set(pod, kind, true, "", ""),
            _ => conditions::set(pod, kind, false, "ContainersNotReady", &message),
        }
    }
    conditions::set(pod, "PodScheduled", true, "", "");
}
