//! The engine's request for a step's container.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use super::control::ControlDirectory;
use super::network::MARK;
use super::paths::SeenAt;
use super::sandbox::{Owner, Role};
use crate::fault::Fault;
use crate::gate::{GATE, MOUNT, Token};
use crate::sandbox::{Files, Overlay, Preparation, User};
use crate::workspace::overlay::PLAIN;

/// Label with the id of the run a container belongs to.
pub(super) const RUN: &str = "io.capstan.run";
/// Label that tells apart the state directories that share an engine.
pub(super) const STATE: &str = "io.capstan.state";
/// Label with the role of a container: [`Role::name`].
pub(super) const ROLE: &str = "io.capstan.role";
/// Label for people: what the container is for.
const PURPOSE: &str = "io.capstan.purpose";

/// Whether starting the container changes the workspace: the engine makes mount points that do not exist.
pub(super) fn touches_workspace(preparation: &Preparation) -> bool {
    let mounts = preparation.mounts.iter().map(|mount| &mount.target);
    preparation
        .files
        .iter()
        .chain(mounts)
        .any(|target| Path::new(target).starts_with(&preparation.place) || target.contains(".."))
}

/// The body of the request. The step's environment is not in it: it goes through the gate, so the engine's
/// metadata never show it.
#[expect(
    clippy::too_many_arguments,
    reason = "all of it goes into the one request"
)]
pub(super) fn body(
    preparation: &Preparation,
    role: &Role,
    owner: &Owner,
    control: &ControlDirectory,
    token: &Token,
    interpreter: &str,
    init: bool,
    seen_at: Option<&SeenAt>,
) -> Result<ContainerCreateBody, Fault> {
    let bind = |source: &Path, target: &str, read_only| match seen_at {
        Some(seen_at) => bind(&seen_at.of(source), target, read_only),
        None => bind(source, target, read_only),
    };
    let mut mounts = vec![bind(&control.control(), MOUNT, true)?];
    let is_step = matches!(role, Role::Step);
    if is_step {
        mounts.push(match &preparation.workspace {
            Files::Directory(path) => bind(path, &preparation.place, false)?,
            Files::Overlay(overlay) => volume(overlay, &preparation.place, owner, seen_at),
        });
    }
    for (target, path) in control.file_mounts() {
        mounts.push(bind(&path, target, true)?);
    }
    for mount in &preparation.mounts {
        mounts.push(bind(&mount.source, &mount.target, mount.read_only)?);
    }
    for (target, path) in control.network_mounts() {
        // The user's own are meant to be seen.
        if !mounts
            .iter()
            .any(|mount| mount.target.as_deref() == Some(target))
        {
            mounts.push(bind(&path, target, false)?);
        }
    }
    let limits = &preparation.limits;
    let memory = limits
        .memory
        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    Ok(ContainerCreateBody {
        image: Some(preparation.image.id.clone()),
        entrypoint: Some(vec![interpreter.to_owned()]),
        cmd: Some(match role {
            Role::Step => vec![
                GATE.to_owned(),
                token.first.clone(),
                token.second.clone(),
                preparation.step_directory(),
            ],
            Role::Holder(_) => vec![GATE.to_owned(), MARK.to_string(), token.whole()],
        }),
        user: match preparation.user {
            User::Root => Some("0:0".to_owned()),
            User::Image => None,
        },
        // The gate goes on to the step's directory, which may not exist yet.
        working_dir: is_step.then(|| preparation.place.clone()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        // When we die, the engine closes the standard input, and containers that still wait end by themselves.
        stdin_once: Some(true),
        // The image's health check would run beside the step.
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        labels: Some(HashMap::from([
            (RUN.to_owned(), owner.run.clone()),
            (STATE.to_owned(), owner.state.clone()),
            (PURPOSE.to_owned(), preparation.purpose.clone()),
            (ROLE.to_owned(), role.name().to_owned()),
        ])),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            init: Some(init),
            // The end of a step is looked at before it is removed.
            auto_remove: Some(!is_step),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            network_mode: match &preparation.shared {
                Some(shared) => Some(shared.mode.clone()),
                None => preparation.network.clone(),
            },
            extra_hosts: (preparation.shared.is_none() && !preparation.hosts.is_empty())
                .then(|| preparation.hosts.clone()),
            // It reads a few files and waits.
            cap_drop: (!is_step).then(|| vec!["ALL".to_owned()]),
            nano_cpus: limits.cpus.map(|cpus| (cpus * 1e9).round() as i64),
            memory,
            memory_swap: memory,
            pids_limit: limits.pids.map(i64::from),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    })
}

/// A volume that the engine makes, unless it has it already, and mounts while a container uses it. What is marked in its layers can be read by
/// everybody (`userxattr`): this process may not be root.
fn volume(overlay: &Overlay, target: &str, owner: &Owner, seen_at: Option<&SeenAt>) -> Mount {
    let seen = |path: &Path| match seen_at {
        Some(seen_at) => seen_at.of(path).display().to_string(),
        None => path.display().to_string(),
    };
    let plain = PLAIN.map(|(name, value)| format!(",{name}={value}"));
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr{}",
        seen(&overlay.lower),
        seen(&overlay.upper),
        seen(&overlay.work),
        plain.concat()
    );
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(overlay.name.clone()),
        target: Some(target.to_owned()),
        read_only: Some(false),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            labels: Some(HashMap::from([
                (RUN.to_owned(), owner.run.clone()),
                (STATE.to_owned(), owner.state.clone()),
            ])),
            driver_config: Some(MountVolumeOptionsDriverConfig {
                name: Some("local".to_owned()),
                options: Some(HashMap::from(
                    [("type", "overlay"), ("device", "overlay"), ("o", &options)]
                        .map(|(key, value)| (key.to_owned(), value.to_owned())),
                )),
            }),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

fn bind(source: &Path, target: &str, read_only: bool) -> Result<Mount, Fault> {
    let Some(source) = source.to_str() else {
        return Err(Fault::workspace(format!(
            "mounting {}: the engine only takes paths that are UTF-8",
            source.display()
        )));
    };
    Ok(Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    })
}
