use std::collections::BTreeMap;

use capstan_plugin::{
    Amendment, Changes, Decision, Job, Mount, Policy, Result, Step, Verdict, log,
};
use serde::Deserialize;

use crate::Probe;
use crate::config::Config;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Change {
    /// The function that wants it.
    by: String,
    image: Option<String>,
    set: BTreeMap<String, String>,
    remove: Vec<String>,
    /// Source and target, read-only.
    mount: Option<(String, String)>,
    unmount: Option<String>,
    network: Option<String>,
    memory: Option<u32>,
    pids: Option<u32>,
    timeout: Option<u32>,
}

impl Policy for Probe {
    fn check_job(_job: &Job) -> Result<Decision> {
        decide("check-job")
    }

    fn check_step(_job: &Job, step: &Step) -> Result<Decision> {
        log::info!(
            "step {} runs {:?} in {}",
            step.number(),
            step.script(),
            step.image()
        );
        decide("check-step")
    }

    fn check_diff(_job: &Job, changes: &Changes) -> Result<Verdict> {
        log::info!("{} files changed", changes.file_count());
        let (_, refusal) = Config::of("check-diff")?;
        Ok(refusal.map_or(Verdict::Keep, Verdict::Refuse))
    }
}

fn decide(name: &str) -> Result<Decision> {
    let (config, refusal) = Config::of(name)?;
    Ok(match (refusal, config.change) {
        (Some(refusal), _) => refusal.into(),
        (None, Some(change)) if change.by == name => change.amendment().into(),
        (None, _) => Decision::Keep,
    })
}

impl Change {
    fn amendment(self) -> Amendment {
        let amendment = Amendment::new();
        if let Some(image) = self.image {
            amendment.set_image(&image);
        }
        for (name, value) in self.set {
            amendment.set_environment(&name, &value);
        }
        for name in self.remove {
            amendment.remove_environment(&name);
        }
        if let Some((source, target)) = self.mount {
            let read_only = true;
            amendment.add_mount(&Mount {
                source,
                target,
                read_only,
            });
        }
        if let Some(target) = self.unmount {
            amendment.remove_mount(&target);
        }
        if let Some(network) = self.network {
            amendment.set_network(&network);
        }
        if let Some(memory) = self.memory {
            amendment.set_memory(memory);
        }
        if let Some(pids) = self.pids {
            amendment.set_pids(pids);
        }
        if let Some(timeout) = self.timeout {
            amendment.set_timeout(timeout);
        }
        amendment
    }
}
