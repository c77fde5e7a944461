//! What the engine says about itself, for choosing defaults and for `capstan doctor`.

use std::time::Duration;

use super::connect::Docker;
use super::failure::within;
use crate::fault::Fault;
use crate::workspace::Sight;

const LIMIT: Duration = Duration::from_secs(10);

/// Facts about an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Whether it is Podman behind Docker's API.
    pub podman: bool,
    /// Version of the engine.
    pub version: String,
    /// The newest version of its API, which is the one in use: requests name none.
    pub api_version: String,
    /// Operating system as images name it: `linux`.
    pub os: String,
    /// Architecture as images name it: `amd64`, `arm64`.
    pub architecture: String,
    /// Processors containers may use.
    pub cpus: usize,
    /// Memory in bytes; 0 when it does not tell.
    pub memory: u64,
    /// Whether it runs without root, so that root in a container is the runner's user outside.
    pub rootless: bool,
    /// Whether users in containers are mapped to others outside (`userns-remap`).
    pub user_namespaces: bool,
    /// Whether SELinux labels containers, so that bind mounts may be refused.
    pub selinux: bool,
    /// `1` or `2`; empty when it does not tell.
    pub cgroup_version: String,
    /// Whether an init binary is configured; containers are tried without one where it turns out to be missing.
    pub init: bool,
    /// Whether processors can be limited.
    pub cpu_limit: bool,
    /// Whether memory can be limited.
    pub memory_limit: bool,
    /// Whether swap counts against the memory limit.
    pub swap_limit: bool,
    /// Whether processes can be limited.
    pub pids_limit: bool,
    /// Storage driver.
    pub storage_driver: String,
    /// Where it keeps its data.
    pub data_root: String,
    /// Why containers do not see what this process mounts; `None` if they do.
    pub hides_mounts: Option<&'static str>,
    /// Why the engine cannot mount overlays of directories of ours as volumes; `None` if it can.
    pub no_volumes: Option<&'static str>,
    /// What it warns about itself.
    pub warnings: Vec<String>,
}

impl EngineInfo {
    /// Platform in the form of `--platform`: `linux/amd64`.
    pub fn platform(&self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }

    /// How it sees this machine.
    pub fn sight(&self) -> Sight<'static> {
        Sight {
            hides_mounts: self.hides_mounts,
            no_volumes: self.no_volumes,
        }
    }
}

impl Docker {
    /// Asks the engine about itself.
    ///
    /// # Errors
    /// An environment fault when it does not answer within 10 s.
    pub async fn info(&self) -> Result<EngineInfo, Fault> {
        let doing = "asking it about itself";
        let version = within(LIMIT, doing, self.api.version());
        let info = within(LIMIT, doing, self.api.info());
        let (version, info) = tokio::try_join!(version, info)?;
        let components = version.components.unwrap_or_default();
        let podman = components
            .iter()
            .any(|component| component.name.contains("Podman"));
        let security = info.security_options.unwrap_or_default();
        let secured_by = |name: &str| {
            let wanted = format!("name={name}");
            security
                .iter()
                .any(|option| option.split(',').any(|field| field == wanted))
        };
        let kernel = info.kernel_version.unwrap_or_default();
        let obstacles = [
            (podman, "Podman makes no such volumes"),
            (
                secured_by("rootless"),
                "the container engine has no rights to mount (rootless)",
            ),
            (
                secured_by("userns"),
                "users in containers are mapped to others (userns-remap)",
            ),
            (secured_by("selinux"), "SELinux labels containers"),
        ];
        let obstacle = obstacles.into_iter().find(|(applies, _)| *applies);
        let number = |value: Option<i64>| value.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Ok(EngineInfo {
            podman,
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            os: version.os.unwrap_or_else(|| "linux".to_owned()),
            architecture: version.arch.unwrap_or_default(),
            cpus: usize::try_from(number(info.ncpu)).unwrap_or(1).max(1),
            memory: number(info.mem_total),
            rootless: secured_by("rootless"),
            user_namespaces: secured_by("userns"),
            selinux: secured_by("selinux"),
            cgroup_version: info
                .cgroup_version
                .map(|v| v.to_string())
                .unwrap_or_default(),
            init: info.init_binary.is_some_and(|name| !name.is_empty()),
            cpu_limit: info.cpu_cfs_quota.unwrap_or(false),
            memory_limit: info.memory_limit.unwrap_or(false),
            swap_limit: info.swap_limit.unwrap_or(false),
            pids_limit: info.pids_limit.unwrap_or(false),
            storage_driver: info.driver.unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
            hides_mounts: self.hides_mounts(&kernel).await,
            no_volumes: match obstacle {
                Some((_, why)) => Some(why),
                None => self.lacks_overlays(&kernel),
            },
            warnings: info.warnings.unwrap_or_default(),
        })
    }
}
