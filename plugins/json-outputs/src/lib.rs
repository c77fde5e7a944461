//! Output plugin: makes step outputs of the JSON that a step prints.

mod config;
mod find;
mod pick;

use capstan_plugin::{Error, Output, Outputs, Result, Step, log};

use crate::config::{Config, Stream};

struct JsonOutputs;

impl Output for JsonOutputs {
    fn derive_outputs(step: &Step, stdout: &[u8], stderr: &[u8]) -> Result<Outputs> {
        let config: Config = capstan_plugin::config()?;
        let printed = match config.stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        let number = step.number();
        let found = find::find(&config, printed)
            .map_err(|reason| Error::new("input", format!("step {number}: {reason}")))?;
        let Some(object) = found else {
            if config.required {
                let reason = config.from.nothing(&config.marker);
                return Err(Error::new("input", format!("step {number}: {reason}")));
            }
            log::debug!("step {number} printed no JSON");
            return Ok(Outputs::default());
        };
        let picked = pick::pick(&config.map, object).map_err(|missing| {
            Error::new(
                "input",
                format!("step {number}: the JSON it printed has nothing at `{missing}`"),
            )
        })?;
        Ok(picked
            .into_iter()
            .fold(Outputs::default(), |outputs, (name, value)| {
                outputs.json(name, value.to_string())
            }))
    }
}

capstan_plugin::export!(JsonOutputs: output);

#[cfg(test)]
mod tests;
