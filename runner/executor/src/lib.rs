//! Takes jobs from a queue of Sourcegraph's, or of a hub, and runs them.
//!
//! [`client`] speaks with the server, [`log`](mod@log) collects what a job says and sends it there, [`job`] runs one job,
//! [`cluster`] has it run in a pod of its own, [`pod`] is what that pod tells, [`supervisor`] keeps all of it going: slots, heartbeats, cancelling, draining. [`ops`] tells those who look from outside, [`metrics`] counts.

#![warn(missing_docs)]

pub mod client;
pub mod cluster;
pub mod job;
pub mod log;
pub mod metrics;
pub mod ops;
pub mod pod;
pub mod supervisor;
