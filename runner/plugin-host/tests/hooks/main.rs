//! Every hook through a real component: `tests/guest`, which does what its configuration says.

mod contained;
mod diff;
mod filter;
mod fixture;
mod host_interfaces;
mod output;
mod policy;
mod workspace;
