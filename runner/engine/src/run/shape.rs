//! What a step runs in: image, environment, mounts, network, limits. Policies look at it and may change it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use capstan_core::spec::{Condition, EnvVar, Step};
use capstan_plugin_host::{Amendment, Mount, Step as Facts, StepLimits};

use super::{Job, Settings, render};
use crate::sandbox::{BindMount, Limits};

/// Fewest processes of a container: its first one and the one that waits at the gate count too.
const FEWEST_PIDS: u32 = 4;

/// What a step runs in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) image: String,
    /// What the spec says, or will be said by a policy.
    pub(super) env: BTreeMap<String, String>,
    /// The names among these whose values come from outside, and so may be secrets.
    pub(super) forwarded: BTreeSet<String>,
    /// The step's own, then the operator's.
    pub(super) mounts: Vec<BindMount>,
    pub(super) network: Option<String>,
    pub(super) limits: Limits,
    pub(super) timeout: Option<Duration>,
}

impl Shape {
    /// Of the step `index` with this image and this environment, by spec and settings.
    pub(super) fn of(
        job: &Job,
        settings: &Settings,
        index: usize,
        image: String,
        env: BTreeMap<String, String>,
    ) -> Self {
        let step = &job.task.steps[index];
        let mut mounts = own_mounts(job, index);
        mounts.extend(settings.mounts.iter().cloned());
        Self {
            image,
            env,
            forwarded: render::forwarded(step)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            mounts,
            network: settings.network.clone(),
            limits: settings.limits.clone(),
            timeout: settings.step_timeout,
        }
    }

    /// Makes the change of a policy.
    ///
    /// # Errors
    ///
    /// A text that says why it makes no sense.
    pub(super) fn amend(&mut self, amendment: &Amendment) -> Result<(), String> {
        match amendment {
            Amendment::Image(image) if image.trim().is_empty() => {
                return Err("it sets an image without a name".to_owned());
            }
            Amendment::Image(image) => self.image.clone_from(image),
            Amendment::SetEnvironment(name, value) => {
                self.forwarded.remove(name);
                self.env.insert(name.clone(), value.clone());
            }
            Amendment::RemoveEnvironment(name) => {
                self.forwarded.remove(name);
                self.env.remove(name);
            }
            Amendment::AddMount(mount) => {
                let Mount {
                    source,
                    target,
                    read_only,
                } = mount;
                if !Path::new(source).is_absolute() || !Path::new(source).exists() {
                    return Err(format!(
                        "it mounts {source:?}, which is not on this machine"
                    ));
                }
                if !target.starts_with('/') {
                    return Err(format!(
                        "it mounts to {target:?}, which is no absolute path"
                    ));
                }
                self.mounts.retain(|other| other.target != *target);
                self.mounts.push(BindMount {
                    source: PathBuf::from(source),
                    target: target.clone(),
                    read_only: *read_only,
                });
            }
            Amendment::RemoveMount(target) => self.mounts.retain(|mount| mount.target != *target),
            Amendment::Network(network) => self.network = Some(network.clone()),
            Amendment::Memory(mebibytes) => self.limits.memory = Some(u64::from(*mebibytes) << 20),
            Amendment::Cpus(thousandths) => {
                self.limits.cpus = Some(f64::from(*thousandths) / 1000.0);
            }
            Amendment::Pids(count) => self.limits.pids = Some((*count).max(FEWEST_PIDS)),
            Amendment::Timeout(seconds) => {
                self.timeout = Some(Duration::from_secs(u64::from(*seconds)));
            }
        }
        Ok(())
    }

    /// What plugins are told of the step `index`. Of forwarded variables they get the names only.
    pub(super) fn facts(&self, step: &Step, index: usize, script: &str, rendered: bool) -> Facts {
        let environment = self.env.iter().map(|(name, value)| {
            let is_known = !self.forwarded.contains(name);
            (name.clone(), is_known.then(|| value.clone()))
        });
        let mounts = self.mounts.iter().map(|mount| Mount {
            source: mount.source.to_string_lossy().into_owned(),
            target: mount.target.clone(),
            read_only: mount.read_only,
        });
        let whole = |number: f64| number.round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let at_most = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Facts {
            number: at_most(index as u64 + 1),
            image: self.image.clone(),
            script: script.to_owned(),
            rendered,
            condition: match &step.if_ {
                Condition::Absent => None,
                Condition::Bool(runs) => Some(runs.to_string()),
                Condition::Text(text) if text.is_empty() => None,
                Condition::Text(text) => Some(text.clone()),
            },
            environment: environment.collect(),
            mounts: mounts.collect(),
            files: step.files.keys().cloned().collect(),
            outputs: step.outputs.keys().cloned().collect(),
            network: self.network.clone(),
            limits: StepLimits {
                memory: self
                    .limits
                    .memory
                    .map(|bytes| at_most(bytes.div_ceil(1 << 20))),
                cpus: self.limits.cpus.map(|cpus| whole(cpus * 1000.0)),
                pids: self.limits.pids,
                timeout: self.timeout.map(|limit| at_most(limit.as_secs().max(1))),
            },
        }
    }
}

/// What plugins are told of a step before anything is rendered.
pub(super) fn unrendered(job: &Job, settings: &Settings, index: usize) -> Shape {
    let step = &job.task.steps[index];
    let texts = step.env.vars.iter().map(|variable| match variable {
        EnvVar::Static { name, value } => (name.clone(), value.clone()),
        EnvVar::Forwarded { name } => (name.clone(), String::new()),
    });
    Shape::of(
        job,
        settings,
        index,
        step.container.clone(),
        texts.collect(),
    )
}

fn own_mounts(job: &Job, index: usize) -> Vec<BindMount> {
    let step = &job.task.steps[index];
    let resolved = job.mounts.iter().filter(|mount| mount.step == index);
    resolved
        .filter_map(|resolved| {
            let mount = step.mount.get(resolved.mount)?;
            let (source, target) = (resolved.path.clone(), mount.mountpoint.clone());
            Some(BindMount {
                source,
                target,
                read_only: true,
            })
        })
        .collect()
}

/// A change in words. Values of variables are not shown.
pub(super) fn describe(amendment: &Amendment) -> String {
    match amendment {
        Amendment::Image(image) => format!("image {image}"),
        Amendment::SetEnvironment(name, _) => format!("variable {name} set"),
        Amendment::RemoveEnvironment(name) => format!("variable {name} removed"),
        Amendment::AddMount(mount) => {
            let access = if mount.read_only { "" } else { ", writable" };
            format!("mount {} at {}{access}", mount.source, mount.target)
        }
        Amendment::RemoveMount(target) => format!("mount at {target} removed"),
        Amendment::Network(network) => format!("network {network}"),
        Amendment::Memory(mebibytes) => format!("memory {mebibytes} MiB"),
        Amendment::Cpus(thousandths) => format!("processors {}", f64::from(*thousandths) / 1000.0),
        Amendment::Pids(count) => format!("processes {count}"),
        Amendment::Timeout(seconds) => format!("timeout {seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            image: "alpine:3".to_owned(),
            env: [("A", "1"), ("TOKEN", "hunter2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            forwarded: ["TOKEN".to_owned()].into(),
            mounts: vec![BindMount {
                source: PathBuf::from("/etc"),
                target: "/e".to_owned(),
                read_only: true,
            }],
            network: None,
            limits: Limits {
                cpus: Some(1.5),
                memory: Some((64 << 20) + 1),
                pids: None,
            },
            timeout: Some(Duration::from_millis(1500)),
        }
    }

    #[test]
    fn plugins_get_names_but_no_values_from_outside() {
        let facts = shape().facts(&Step::default(), 1, "make", true);
        assert_eq!(
            facts.environment,
            [
                ("A".to_owned(), Some("1".to_owned())),
                ("TOKEN".to_owned(), None)
            ]
        );
        let limits = StepLimits {
            memory: Some(65),
            cpus: Some(1500),
            pids: None,
            timeout: Some(1),
        };
        assert_eq!((facts.number, facts.limits), (2, limits));
    }

    #[test]
    fn every_amendment_takes_effect() {
        let mut shape = shape();
        let mount = Mount {
            source: "/".to_owned(),
            target: "/e".to_owned(),
            read_only: false,
        };
        let text = str::to_owned;
        for amendment in [
            Amendment::Image(text("alpine@sha256:1")),
            Amendment::SetEnvironment(text("TOKEN"), text("mine")),
            Amendment::RemoveEnvironment(text("A")),
            Amendment::AddMount(mount),
            Amendment::RemoveMount(text("/none")),
            Amendment::Network(text("none")),
            Amendment::Memory(32),
            Amendment::Cpus(250),
            Amendment::Pids(1),
            Amendment::Timeout(7),
        ] {
            shape.amend(&amendment).unwrap();
        }
        let expected = Shape {
            image: text("alpine@sha256:1"),
            env: [(text("TOKEN"), text("mine"))].into(),
            forwarded: BTreeSet::new(),
            mounts: vec![BindMount {
                source: PathBuf::from("/"),
                target: text("/e"),
                read_only: false,
            }],
            network: Some(text("none")),
            limits: Limits {
                cpus: Some(0.25),
                memory: Some(32 << 20),
                pids: Some(FEWEST_PIDS),
            },
            timeout: Some(Duration::from_secs(7)),
        };
        assert_eq!(shape, expected);
    }

    #[test]
    fn a_change_that_makes_no_sense_is_told() {
        let mount = |source: &str, target: &str| {
            Amendment::AddMount(Mount {
                source: source.to_owned(),
                target: target.to_owned(),
                read_only: true,
            })
        };
        for (amendment, expected) in [
            (
                Amendment::Image(" ".to_owned()),
                "it sets an image without a name",
            ),
            (
                mount("etc", "/e"),
                "it mounts \"etc\", which is not on this machine",
            ),
            (
                mount("/nonexistent", "/e"),
                "it mounts \"/nonexistent\", which is not on this machine",
            ),
            (
                mount("/etc", "e"),
                "it mounts to \"e\", which is no absolute path",
            ),
        ] {
            assert_eq!(shape().amend(&amendment).unwrap_err(), expected);
        }
    }
}
