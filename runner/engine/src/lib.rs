//! Runs one job: makes its workspace, runs its steps in sandboxes, hands back what came of it.
//!
//! [`run`] is the step loop. [`sandbox`] is the contract every engine keeps; [`docker`] keeps it through a container engine's
//! socket, [`pod`] in the containers of a pod, [`wasm`] for components, [`mixed`] for containers and components. [`repository`] finds the commit to work on, [`workspace`] lays it out and computes diffs,
//! all through the one hardened wrapper in [`git`]; [`plan`] makes tasks of repositories. [`cache`] remembers step results on disk, [`disk_cache`] repositories and their files,
//! [`plugins`] are called all along, [`state`] knows what a killed process left behind. [`apply`] turns results into branches and commits.

#![warn(missing_docs)]

pub mod apply;
pub mod cache;
pub mod disk_cache;
pub mod docker;
pub mod fault;
mod gate;
pub mod git;
pub mod mixed;
pub mod plan;
pub mod plugins;
pub mod pod;
pub mod repository;
pub mod run;
pub mod sandbox;
pub mod state;
pub mod wasm;
pub mod workspace;
