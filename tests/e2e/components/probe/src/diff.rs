use capstan_plugin::{Changes, Diff, Edits, Job, Outcome, Result, Severity, Shape};

use crate::Probe;
use crate::config::Config;

impl Diff for Probe {
    const SHAPE: Shape = Shape::RemoveOnly;

    fn process(_job: &Job, changes: &Changes, edits: &Edits) -> Result<Outcome> {
        let (config, refusal) = Config::of("process")?;
        if let Some(refusal) = refusal {
            return Ok(refusal.into());
        }
        for file in changes.files() {
            if let Some(message) = &config.annotate {
                edits.annotate(&file, Some(1), Severity::Warning, message)?;
            }
            let Some(injected) = &config.inject else {
                continue;
            };
            for hunk in file.hunks() {
                let mut body = Vec::new();
                for mut line in hunk.lines() {
                    if line.is_added() {
                        line.text = injected.clone().into_bytes();
                    }
                    line.write_to(&mut body);
                }
                // What the host says of it is passed over: it has to refuse all the same.
                let _ = edits.replace_hunk(&hunk, &body);
            }
        }
        Ok(Outcome::Done)
    }
}
