//! A plugin that tries what its configuration names. What came of it is its answer: an error has the kind of the I/O error as its
//! code, and a success is logged.

mod computing;
mod files;
mod surroundings;

use std::io;
use std::path::Path;

use capstan_plugin::{Decision, Error, Job, Policy, Result, Step, Workspace, log};

struct Hostile;

#[derive(serde::Deserialize)]
struct Config {
    /// What to try.
    attack: String,
    /// An address, where the attack wants one.
    #[serde(default)]
    address: String,
}

impl Policy for Hostile {
    fn check_step(_job: &Job, _step: &Step) -> Result<Decision> {
        attempt(Path::new("/work"))?;
        Ok(Decision::Keep)
    }
}

impl Workspace for Hostile {
    fn prepare(_job: &Job, root: &Path) -> Result<()> {
        attempt(root)
    }
}

capstan_plugin::export!(Hostile: policy, workspace);

fn attempt(root: &Path) -> Result<()> {
    let config: Config = capstan_plugin::config()?;
    let attack = config.attack.as_str();
    let tried = files::attempt(attack, root)
        .or_else(|| surroundings::attempt(attack, &config.address))
        .or_else(|| computing::attempt(attack))
        .ok_or_else(|| Error::new("config", format!("no such attack: {attack}")))?;
    match tried {
        Ok(what) => {
            log::warn!("succeeded: {what}");
            Ok(())
        }
        Err(error) => Err(Error::new(kind(&error), error.to_string())),
    }
}

fn kind(error: &io::Error) -> String {
    format!("{:?}", error.kind())
}
