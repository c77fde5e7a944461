//! Filters output: leaves out lines that begin with a word, and counts the others.

use capstan_plugin::{Channel, Filter, Output, Outputs, Result, Step, Transform};
use serde::Deserialize;

struct Plugin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The word.
    #[serde(default = "debug")]
    drop: String,
}

fn debug() -> String {
    "DEBUG".to_owned()
}

impl Transform for Config {
    fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<()> {
        for line in chunk.split_inclusive(|&byte| byte == b'\n') {
            if !line.starts_with(self.drop.as_bytes()) {
                into.extend_from_slice(line);
            }
        }
        Ok(())
    }
}

impl Output for Plugin {
    fn filter(_step: &Step, _channel: Channel) -> Result<Filter> {
        let config: Config = capstan_plugin::config()?;
        Ok(Filter::lines(config))
    }

    fn derive_outputs(_step: &Step, stdout: &[u8], _stderr: &[u8]) -> Result<Outputs> {
        let lines = stdout.split_inclusive(|&byte| byte == b'\n').count();
        Ok(Outputs::default().json("lines", lines.to_string()))
    }
}

capstan_plugin::export!(Plugin: output);
