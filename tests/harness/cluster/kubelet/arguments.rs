//! How the engine is asked for a container.

use serde_json::Value;

use super::environment::{self, Variables};
use super::volumes::Volumes;
use crate::cluster::docker::Docker;
use crate::cluster::quantity;
use crate::cluster::store::list;

/// The least memory that the engine takes as a limit, in bytes.
const LEAST_MEMORY: f64 = 6.0 * 1_048_576.0;

/// Arguments of the client that make it, or why there are none.
pub(super) fn of(
    docker: &Docker,
    pod: &Value,
    spec: &Value,
    volumes: &Volumes,
    variables: &Variables,
) -> Result<Vec<String>, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &pod["metadata"];
    let name = ["name", "namespace", "uid"].map(|field| text(&metadata[field]));
    let mut arguments = ["create", "--pull=never", "--network=host", "--restart=no"]
        .map(str::to_owned)
        .to_vec();
    arguments.push(format!("--label={}", docker.label()));
    arguments.push(format!(
        "--name=k8s_{}_{}_0",
        text(&spec["name"]),
        name.join("_")
    ));
    arguments.push(format!("--hostname={}", name[0]));
    for (name, value) in variables {
        arguments.push(format!("--env={name}={value}"));
    }
    if let Some(directory) = spec["workingDir"].as_str() {
        arguments.push(format!("--workdir={directory}"));
    }
    security(&mut arguments, pod, spec);
    resources(&mut arguments, &spec["resources"]["limits"]);
    for mount in list(&spec["volumeMounts"]) {
        let source = volumes.source(mount, &text(&spec["name"]))?;
        let mut option = format!(
            "--mount=type=bind,source={},target={}",
            source.display(),
            text(&mount["mountPath"])
        );
        if mount["readOnly"] == true || volumes.is_read_only(&text(&mount["name"])) {
            option += ",readonly";
        }
        arguments.push(option);
    }
    let words = |field: &str| -> Vec<String> {
        let words = list(&spec[field]).filter_map(Value::as_str);
        words
            .map(|word| environment::expand(word, variables))
            .collect()
    };
    let (command, args) = (words("command"), words("args"));
    if let [program, ..] = &*command {
        arguments.push(format!("--entrypoint={program}"));
    }
    arguments.push(text(&spec["image"]));
    arguments.extend(command.into_iter().skip(1));
    arguments.extend(args);
    Ok(arguments)
}

fn security(arguments: &mut Vec<String>, pod: &Value, spec: &Value) {
    let (own, of_pod) = (&spec["securityContext"], &pod["spec"]["securityContext"]);
    let number = |field: &str| {
        let number = own[field].as_i64();
        number.or_else(|| of_pod[field].as_i64())
    };
    match (number("runAsUser"), number("runAsGroup")) {
        (Some(user), Some(group)) => arguments.push(format!("--user={user}:{group}")),
        (Some(user), None) => arguments.push(format!("--user={user}")),
        (None, Some(group)) => arguments.push(format!("--user=0:{group}")),
        (None, None) => {}
    }
    let groups = list(&of_pod["supplementalGroups"]).filter_map(Value::as_i64);
    for group in groups.chain(of_pod["fsGroup"].as_i64()) {
        arguments.push(format!("--group-add={group}"));
    }
    for (what, option) in [("drop", "--cap-drop"), ("add", "--cap-add")] {
        for capability in list(&own["capabilities"][what]).filter_map(Value::as_str) {
            arguments.push(format!("{option}={capability}"));
        }
    }
    for (field, value, option) in [
        ("privileged", true, "--privileged"),
        ("readOnlyRootFilesystem", true, "--read-only"),
        (
            "allowPrivilegeEscalation",
            false,
            "--security-opt=no-new-privileges",
        ),
    ] {
        if own[field] == value {
            arguments.push(option.to_owned());
        }
    }
}

fn resources(arguments: &mut Vec<String>, limits: &Value) {
    if let Some(memory) = quantity::of(&limits["memory"]) {
        let bytes = memory.max(LEAST_MEMORY);
        arguments.push(format!("--memory={bytes:.0}"));
        arguments.push(format!("--memory-swap={bytes:.0}"));
    }
    if let Some(cpus) = quantity::of(&limits["cpu"]) {
        // The engine takes no more than there are.
        let here = std::thread::available_parallelism().map_or(1, usize::from);
        let cpus = cpus.clamp(0.01, here as f64);
        arguments.push(format!("--cpus={cpus:.2}"));
    }
}
