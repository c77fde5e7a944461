//! Images, which the engine has or has not. Nothing is pulled.

use serde_json::Value;

use crate::cluster::docker::Docker;

/// An image that is there.
pub(super) struct Image {
    /// As a status names it.
    pub(super) id: String,
    /// Whom its containers run as.
    user: String,
}

/// Why a container has no image.
pub(super) struct Trouble {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Looks for the image of a container.
pub(super) async fn find(docker: &Docker, spec: &Value) -> Result<Image, Trouble> {
    let name = spec["image"].as_str().unwrap_or_default();
    let arguments = ["image", "inspect", "--format", "{{json .}}", name].map(str::to_owned);
    let found = docker.run(&arguments).await.map_err(|complaint| {
        if complaint.contains("invalid reference format") {
            let message = format!(
                "Failed to apply default image tag {name:?}: couldn't parse image name {name:?}: invalid reference format"
            );
            return trouble("InvalidImageName", message);
        }
        if spec["imagePullPolicy"] == "Never" {
            let message = format!("Container image {name:?} is not present with pull policy of Never");
            return trouble("ErrImageNeverPull", message);
        }
        let full = full_name(name);
        let message = format!(
            "rpc error: code = NotFound desc = failed to pull and unpack image {full:?}: failed to resolve reference {full:?}: {full}: not found"
        );
        trouble("ErrImagePull", message)
    })?;
    let image: Value = serde_json::from_str(&found).expect("the engine writes JSON");
    let digest = image["RepoDigests"][0].as_str().or(image["Id"].as_str());
    Ok(Image {
        id: digest.unwrap_or_default().to_owned(),
        user: image["Config"]["User"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    })
}

fn trouble(reason: &'static str, message: String) -> Trouble {
    Trouble { reason, message }
}

/// A name with everything that may be left out.
pub(super) fn full_name(name: &str) -> String {
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let mut full = match name.split_once('/') {
        Some((first, _)) if is_host(first) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    };
    let last = full.rsplit('/').next().unwrap_or_default();
    if !last.contains([':', '@']) {
        full += ":latest";
    }
    full
}

/// Whether a container that must not run as root does not.
pub(super) fn check_user(image: &Image, pod: &Value, spec: &Value) -> Result<(), String> {
    let of = |field: &str| {
        let own = spec["securityContext"].get(field);
        own.or_else(|| pod["spec"]["securityContext"].get(field))
    };
    if of("runAsNonRoot").is_none_or(|value| *value != true) {
        return Ok(());
    }
    let place = format!(
        "(pod: \"{}_{}({})\", container: {})",
        pod["metadata"]["name"].as_str().unwrap_or_default(),
        pod["metadata"]["namespace"].as_str().unwrap_or_default(),
        pod["metadata"]["uid"].as_str().unwrap_or_default(),
        spec["name"].as_str().unwrap_or_default()
    );
    if let Some(user) = of("runAsUser").and_then(Value::as_i64) {
        return match user {
            0 => Err(format!(
                "container's runAsUser breaks non-root policy {place}"
            )),
            _ => Ok(()),
        };
    }
    let user = image.user.split(':').next().unwrap_or_default();
    match user.parse::<u64>() {
        Ok(0) => Err(format!(
            "container has runAsNonRoot and image will run as root {place}"
        )),
        Ok(_) => Ok(()),
        Err(_) if user.is_empty() => Err(format!(
            "container has runAsNonRoot and image will run as root {place}"
        )),
        Err(_) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {place}"
        )),
    }
}
