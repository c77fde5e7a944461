//! A plugin that does in a run what its configuration says, for what no official plugin does.

mod config;
#[cfg(feature = "others")]
mod diff;
#[cfg(feature = "others")]
mod output;
#[cfg(feature = "policy")]
mod policy;
#[cfg(feature = "others")]
mod workspace;

pub(crate) struct Probe;

#[cfg(feature = "policy")]
capstan_plugin::export!(Probe: policy);
#[cfg(feature = "others")]
capstan_plugin::export!(Probe: workspace, output, diff);
