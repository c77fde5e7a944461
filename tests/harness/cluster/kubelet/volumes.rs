//! The volumes of a pod: directories of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use super::secret_files;
use crate::cluster::quantity;
use crate::cluster::state::Shared;
use crate::cluster::store::list;
use crate::privilege::as_root;

pub(super) struct Volumes {
    all: BTreeMap<String, Volume>,
    /// The files that mounts show, and what they were when they could first be shown; `None`: they cannot be yet.
    shown: Option<BTreeMap<PathBuf, String>>,
}

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
        // Ours, so that files can be written below it.
        fs::create_dir_all(directory.join("volumes")).expect("the directory is writable");
        for spec in list(&pod["spec"]["volumes"]) {
            let name = spec["name"].as_str().unwrap_or_default();
            let path = directory.join("volumes").join(name);
            let failed = |why| format!("MountVolume.SetUp failed for volume {name:?} : {why}");
            let mut volume = Volume {
                path,
                is_read_only: false,
                limit: None,
            };
            if let Some(secret) = spec.get("secret") {
                volume.is_read_only = true;
                // It may have been made before another was found missing.
                if !volume.path.exists() {
                    secret_files::write(shared, secret, &volume.path, group).map_err(failed)?;
                }
            } else if let Some(map) = spec.get("configMap") {
                volume.is_read_only = true;
                if map["optional"] != true {
                    return Err(failed(format!("configmap {} not found", map["name"])));
                }
                make_directory(&volume.path, "0755");
            } else if let Some(host) = spec.get("hostPath") {
                volume.path = host["path"].as_str().unwrap_or_default().into();
                check_host(host, &volume.path).map_err(failed)?;
            } else {
                let is_disk = spec.get("ephemeral").is_some();
                make_directory(&volume.path, if is_disk { "0755" } else { "0777" });
                if is_disk {
                    // A new file system is not quite empty.
                    make_directory(&volume.path.join("lost+found"), "0700");
                }
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
        Ok(Self {
            all: volumes,
            shown: None,
        })
    }

    /// Whether nobody may write into a volume.
    pub(super) fn is_read_only(&self, name: &str) -> bool {
        self.all.get(name).is_some_and(|volume| volume.is_read_only)
    }

    /// From now on it may be looked up what the mounts of containers show. A node does so before it starts each, so a file must stay the one that it is.
    pub(super) fn show(&mut self, pod: &Value) {
        if self.shown.is_some() {
            return;
        }
        let containers = list(&pod["spec"]["containers"]);
        let mounts = containers.flat_map(|container| list(&container["volumeMounts"]));
        let paths: Vec<PathBuf> = mounts
            .filter_map(|mount| {
                let sub = mount["subPath"].as_str()?;
                let volume = self.all.get(mount["name"].as_str()?)?;
                Some(volume.path.join(sub))
            })
            .collect();
        self.shown = Some(files(paths.iter()));
    }

    /// The files that mounts show, and that have become others.
    pub(super) fn replaced(&self) -> Vec<&PathBuf> {
        let Some(shown) = &self.shown else {
            return Vec::new();
        };
        let now = files(shown.keys());
        let all = shown.iter();
        all.filter(|(path, was)| now.get(*path) != Some(was))
            .map(|(path, _)| path)
            .collect()
    }

    /// What a mount shows, which is a directory if nothing is there yet.
    pub(super) fn source(&self, mount: &Value, container: &str) -> Result<PathBuf, String> {
        let text = |field: &str| mount[field].as_str().unwrap_or_default();
        let volume = self.all.get(text("name")).expect("it was looked at before");
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
        for (name, volume) in &self.all {
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

/// Whether a path of this machine is what it is said to be.
fn check_host(spec: &Value, path: &Path) -> Result<(), String> {
    let kind = spec["type"].as_str().unwrap_or_default();
    let is_right = match kind {
        "DirectoryOrCreate" => {
            make_directory(path, "0755");
            true
        }
        "Directory" => path.is_dir(),
        "File" => path.is_file(),
        "" => true,
        _ => path.exists(),
    };
    match is_right {
        true => Ok(()),
        false => Err(format!(
            "hostPath type check failed: {} is not a {}",
            path.display(),
            kind.to_lowercase()
        )),
    }
}

/// Those of the paths that are files, and which: their inodes, and when these were made, as numbers come back. Also of what only root may look at.
fn files<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> BTreeMap<PathBuf, String> {
    let mut stat = as_root("stat");
    // It would complain if there were none.
    stat.args(["--format", "%F|%i %w|%n", "/dev/null"])
        .args(paths);
    let output = stat.output().expect("stat runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let files = text.lines().filter_map(|line| {
        let (kind, rest) = line.split_once('|')?;
        let (which, path) = rest.split_once('|')?;
        kind.contains("regular")
            .then(|| (path.into(), which.to_owned()))
    });
    files.collect()
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

/// Gives all that is in a directory to a group, with these rights.
pub(super) fn give_to_group(path: &Path, group: i64, mode: &str) {
    let given = as_root("chgrp")
        .arg("-R")
        .arg(group.to_string())
        .arg(path)
        .status();
    let allowed = as_root("chmod").args(["-R", mode]).arg(path).status();
    let both = given.and_then(|given| Ok(given.success() && allowed?.success()));
    assert!(both.expect("chgrp and chmod run"), "{}", path.display());
}
