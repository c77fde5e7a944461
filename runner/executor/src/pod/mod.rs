//! A job in a pod of its own.
//!
//! Its runner is a process of ours in one of the pod's containers; it runs the job as any executor does, over the containers that the pod has for the
//! steps. What it has to tell goes over its standard output, as `stream` writes it, and whoever made the pod takes it from there to the server.

mod stream;

pub use self::stream::{Narrator, Replay, Told};
