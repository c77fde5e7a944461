//! `capstan:plugin/config`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::bindings::host::config::Host;
use crate::state::State;

/// What the operator wrote for a plugin.
#[derive(Debug)]
pub(crate) struct Config {
    text: String,
    /// Its top level, as `get` answers.
    values: BTreeMap<String, String>,
}

impl Config {
    /// From the text of a JSON object. What is none has no values.
    pub(crate) fn new(text: &str) -> Self {
        let values: BTreeMap<String, Value> = serde_json::from_str(text).unwrap_or_default();
        let plain = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Self {
            text: text.to_owned(),
            values: values
                .into_iter()
                .map(|(key, value)| (key, plain(value)))
                .collect(),
        }
    }
}

impl Host for State {
    fn json(&mut self) -> wasmtime::Result<String> {
        Ok(self.caller.config.text.clone())
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.caller.config.values.get(&key).cloned())
    }
}
