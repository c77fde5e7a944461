//! The volumes of a pod: directories of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::process::Command;

use crate::cluster::quantity;
use crate::cluster::resource::Kind;
use crate::cluster::state::Shared;
use crate::cluster::store::list;
use crate::privilege::as_root;

pub(super) struct Volumes(BTreeMap<String, Volume>);

struct Volume {
    path: PathBuf,
    is_read_only: bool,
    /// Bytes that may be in it, and how that was said.
    limit: Option<(f64, String)>,
}

impl Volumes {
    /// Makes all volumes of a pod, or says what is missing. What has been made stays.
    pub(super) fn set_up(shared: &Shared, pod: &Value, directory: &Path) -> Result<Self, String> {
        let group = pod["spec"]["securityContext"]["fsGroup"].as_i64();
        let mut volumes = BTreeMap::new();
        for spec in list(&pod["spec"]["volumes"]) {
            let name = spec["name"].as_str().unwrap_or_default();
            let path = directory.join("volumes").join(name);
            let mut volume = Volume {
                path,
                is_read_only: false,
                limit: None,
            };
            if let Some(secret) = spec.get("secret") {
                volume.is_read_only = true;
                write_secret(shared, secret, &volume.path, group).map_err(|why| {
                    format!("MountVolume.SetUp failed for volume {name:?} : {why}")
                })?;
            } else if let Some(map) = spec.get("configMap") {
                volume.is_read_only = true;
                if map["optional"] != true {
                    let map = map["name"].as_str().unwrap_or_default();
                    return Err(format!(
                        "MountVolume.SetUp failed for volume {name:?} : configmap {map:?} not found"
                    ));
                }
                make_directory(&volume.path, "0755");
            } else if let Some(host) = spec.get("hostPath") {
                volume.path = host["path"].as_str().unwrap_or_default().into();
                let kind = host["type"].as_str().unwrap_or_default();
                if kind == "DirectoryOrCreate" {
                    make_directory(&volume.path, "0755");
                } else if !kind.is_empty() && !volume.path.exists() {
                    return Err(format!(
                        "MountVolume.SetUp failed for volume {name:?} : hostPath type check failed: {} is not a {}",
                        volume.path.display(),
                        kind.to_lowercase()
                    ));
                }
            } else {
                make_directory(&volume.path, "0777");
                if let Some(group) = group {
                    give_to_group(&volume.path, group, "g+rwxs");
                }
                let limit = &spec["emptyDir"]["sizeLimit"];
                let said = limit
                    .as_str()
                    .map_or_else(|| limit.to_string(), str::to_owned);
                volume.limit = quantity::of(limit).map(|bytes| (bytes, said));
            }
            volumes.insert(name.to_owned(), volume);
        }
        Ok(Self(volumes))
    }

    /// Whether nobody may write into a volume.
    pub(super) fn is_read_only(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|volume| volume.is_read_only)
    }

    /// What a mount shows, which is a directory if nothing is there yet.
    pub(super) fn source(&self, mount: &Value, container: &str) -> Result<PathBuf, String> {
        let text = |field: &str| mount[field].as_str().unwrap_or_default();
        let volume = self.0.get(text("name")).expect("it was looked at before");
        let sub = text("subPath");
        if sub.is_empty() {
            return Ok(volume.path.clone());
        }
        let path = volume.path.join(sub);
        if !exists(&path) {
            if volume.is_read_only {
                let name = text("name");
                return Err(format!(
                    "failed to create subPath directory for volumeMount {name:?} of container {container:?}"
                ));
            }
            make_directory(&path, "0777");
        }
        // A link must not lead out of the volume.
        match (fs::canonicalize(&path), fs::canonicalize(&volume.path)) {
            (Ok(path), Ok(root)) if path.starts_with(&root) => Ok(path),
            _ => Err(format!(
                "failed to prepare subPath for volumeMount {:?} of container {container:?}",
                text("name")
            )),
        }
    }

    /// What is to be said of a volume in which there is too much.
    pub(super) async fn overflow(&self) -> Option<String> {
        for (name, volume) in &self.0 {
            let Some((limit, said)) = &volume.limit else {
                continue;
            };
            let mut measure = as_root("du");
            measure
                .args(["--summarize", "--block-size=1"])
                .arg(&volume.path);
            let measured = Command::from(measure).output().await.expect("du runs");
            // Files that go while it measures make it complain, and it counts on.
            let text = String::from_utf8_lossy(&measured.stdout).into_owned();
            let used: Option<f64> = text
                .split_whitespace()
                .next()
                .and_then(|used| used.parse().ok());
            if used.is_some_and(|used| used > *limit) {
                return Some(format!(
                    "Usage of EmptyDir volume {name:?} exceeds the limit {said:?}. "
                ));
            }
        }
        None
    }
}

/// Also of what only root may look at.
fn exists(path: &Path) -> bool {
    let status = as_root("test").arg("-e").arg(path).status();
    status.expect("test runs").success()
}

/// Makes a directory, and those above it, that belongs to root.
fn make_directory(path: &Path, mode: &str) {
    let status = as_root("mkdir").args(["-p", "-m", mode]).arg(path).status();
    assert!(status.expect("mkdir runs").success(), "{}", path.display());
}

fn give_to_group(path: &Path, group: i64, mode: &str) {
    let given = as_root("chgrp")
        .arg("-R")
        .arg(group.to_string())
        .arg(path)
        .status();
    let allowed = as_root("chmod").args(["-R", mode]).arg(path).status();
    let both = given.and_then(|given| Ok(given.success() && allowed?.success()));
    assert!(both.expect("chgrp and chmod run"), "{}", path.display());
}

/// Writes the files of a Secret into a directory.
fn write_secret(
    shared: &Shared,
    spec: &Value,
    path: &Path,
    group: Option<i64>,
) -> Result<(), String> {
    let name = spec["secretName"].as_str().unwrap_or_default();
    let is_optional = spec["optional"] == true;
    let secret = shared.lock().store.get(Kind::Secret, name).cloned();
    let data = match secret {
        Some(secret) => secret["data"].clone(),
        None if is_optional => Value::Null,
        None => return Err(format!("secret {name:?} not found")),
    };
    let default = spec["defaultMode"].as_u64().unwrap_or(0o644);
    let mut files = Vec::new();
    if list(&spec["items"]).next().is_none() {
        let all = data.as_object().into_iter().flatten();
        files.extend(all.map(|(key, value)| (key.clone(), value.clone(), default)));
    }
    for item in list(&spec["items"]) {
        let text = |field: &str| item[field].as_str().unwrap_or_default();
        let Some(value) = data.get(text("key")) else {
            if is_optional {
                continue;
            }
            return Err(format!(
                "references non-existent secret key: {}",
                text("key")
            ));
        };
        let mode = item["mode"].as_u64().unwrap_or(default);
        files.push((text("path").to_owned(), value.clone(), mode));
    }
    let written = write_files(&files, path);
    written.map_err(|error| format!("{}: {error}", path.display()))?;
    let owned = as_root("chown").args(["-R", "0:0"]).arg(path).status();
    assert!(owned.expect("chown runs").success(), "{}", path.display());
    if let Some(group) = group {
        give_to_group(path, group, "g+rX");
    }
    Ok(())
}

fn write_files(files: &[(String, Value, u64)], path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    for (name, value, mode) in files {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default());
        let file = path.join(name);
        fs::create_dir_all(file.parent().expect("it is below"))?;
        fs::write(&file, bytes.expect("it was looked at before"))?;
        let mode = u32::try_from(*mode).expect("it is a mode");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
