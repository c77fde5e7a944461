//! Steps in the containers of one pod.
//!
//! A pod's containers are all there from its beginning, each at its gate, and none has rights over another. What they have in common is a volume: `volume`
//! lays out a directory of it for each, with named pipes for what a gate reads and says, and [`PodEngine`] keeps the
//! [`Sandbox`](crate::sandbox::Sandbox) contract over them. Nothing of it speaks with a cluster; it works wherever containers share a directory.
//!
//! Nobody in a pod sees the processes of another container, so it is the gate, the first process of its container, that kills what a script has left behind and
//! makes sure that it is gone. A step that tampers with its own gate can make its job's diff other than it should be, which it could have done by its
//! script; it does not reach other jobs.

mod container;
mod engine;
mod volume;

pub use container::{PodContainer, WITHOUT_A_WORD};
pub use engine::PodEngine;
pub use volume::{COMMAND, Slot, Volume};
