//! The hub: the queue for those without Sourcegraph.
//!
//! It speaks Sourcegraph's executor API (facts/executor-protocol.md 1), so that executors of either make can attach, and another one for people.
//! [`Hub`] is the whole of it; `store` is its memory, `api` what executors talk to, `git` serves the repositories, `submit` makes jobs of a
//! batch spec, `dispatch` makes of each what an executor takes, `results` reads what came of it. [`people`] is the API for people, which [`Client`]
//! talks to, and `pages` is what they look at.

#![warn(missing_docs)]

mod api;
mod client;
mod dispatch;
#[cfg(test)]
mod fixture;
mod git;
mod hub;
mod janitor;
mod pages;
pub mod people;
mod results;
mod secret;
mod store;
mod submit;

pub use self::client::{Client, ClientError};
pub use self::hub::{Access, Hub, HubError, Settings, make_private};
pub use self::secret::Token;
pub use self::store::{ExecutionState, JobState, StoreError};
