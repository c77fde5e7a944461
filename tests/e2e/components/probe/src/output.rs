use capstan_plugin::{Channel, Error, Filter, Output, Outputs, Result, Step, Transform};

use crate::Probe;
use crate::config::Config;

impl Output for Probe {
    fn filter(_step: &Step, _channel: Channel) -> Result<Filter> {
        let (config, _) = Config::of("filter")?;
        if config.replace.is_none() && config.fail_at.is_none() {
            return Ok(Filter::none());
        }
        Ok(Filter::lines(Lines(config)))
    }

    fn derive_outputs(_step: &Step, _stdout: &[u8], _stderr: &[u8]) -> Result<Outputs> {
        let (config, _) = Config::of("derive-outputs")?;
        let outputs = config.outputs.iter();
        Ok(outputs.fold(Outputs::default(), |outputs, (name, value)| {
            outputs.text(name, value)
        }))
    }
}

struct Lines(Config);

impl Transform for Lines {
    fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<()> {
        let text = String::from_utf8_lossy(chunk);
        if let Some(end) = &self.0.fail_at
            && text.contains(end)
        {
            return Err(Error::new("asked-to", format!("there is {end:?}")));
        }
        let replaced = match &self.0.replace {
            Some((from, to)) => text.replace(from, to),
            None => text.into_owned(),
        };
        into.extend_from_slice(replaced.as_bytes());
        Ok(())
    }

    fn finish(&mut self, _into: &mut Vec<u8>) -> Result<()> {
        Config::of("finish").map(drop)
    }
}
