//! Steps in containers of Docker, or of anything that speaks its API.
//!
//! [`Docker::connect`] finds the engine, [`Images`] brings images onto it, and [`DockerSandbox`] keeps the
//! [`Sandbox`](crate::sandbox::Sandbox) contract: `creation` makes a container whose process is the
//! gate, `control` is how the gate gets what it needs, `ending` learns of the container's death, `removal` takes it away again. `network` makes what containers of one job join instead of setting up a network each.

mod connect;
mod container;
mod control;
mod creation;
mod ending;
mod engine;
mod failure;
mod image;
mod info;
mod mirror;
mod network;
mod paths;
mod pull;
mod reclaim;
mod removal;
mod sandbox;
mod sight;
mod sweep;

pub use capstan_plugin_store::registry::Credentials;
pub use connect::{Docker, Environment};
pub use container::Container;
pub use engine::DockerEngine;
pub use image::Images;
pub use info::EngineInfo;
pub use mirror::Mirror;
pub use paths::SeenAt;
pub use pull::{Progress, PullProgress};
pub use sandbox::{DockerSandbox, Owner};
