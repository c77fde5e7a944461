//! The hook `output`: deriving outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_core::plugin::Hook;
use capstan_core::result::outputs_from_json;
use capstan_core::value::Value;
use wasmtime::component::Resource;

use super::answer;
use crate::failure::{Ending, Failure};
use crate::interfaces::StepHandle;
use crate::job::Step;
use crate::session::Session;

impl Session {
    /// `output.derive-outputs`: names and values, in the plugin's order; of one name the last counts.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; also if a name is empty or a value is not JSON.
    pub async fn derive_outputs(
        &self,
        step: &Arc<Step>,
        stdout: &[u8],
        stderr: &[u8],
    ) -> Result<Vec<(String, Value)>, Failure> {
        self.call(
            Hook::Output,
            "output.derive-outputs",
            async |store, instance| {
                let plugin = match self.plugin.hooks().output(store, instance) {
                    Ok(plugin) => plugin,
                    Err(ending) => return Ok(Err(ending)),
                };
                let step = store
                    .data_mut()
                    .hand_out(StepHandle::Given(Arc::clone(step)))?;
                let derived = plugin
                    .capstan_plugin_output()
                    .call_derive_outputs(
                        &mut *store,
                        Resource::new_borrow(step.rep()),
                        stdout,
                        stderr,
                    )
                    .await?;
                Ok(derived.map_err(answer::failed).and_then(|derived| {
                    let values = derived.into_iter().map(|(name, text)| value(name, &text));
                    values.collect()
                }))
            },
        )
        .await
    }
}

fn value(name: String, text: &str) -> Result<(String, Value), Ending> {
    let contract = |reason| Ending::Contract { reason };
    if name.is_empty() {
        return Err(contract("an output has no name".to_owned()));
    }
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| contract(format!("the output `{name}` is not JSON text: {error}")))?;
    let mut values = outputs_from_json(BTreeMap::from([(name.clone(), value)]));
    let value = values.remove(&name).unwrap_or(Value::Nil);
    Ok((name, value))
}
