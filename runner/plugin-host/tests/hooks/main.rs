//! Every hook through a real component: `tests/guest`, which does what its configuration says.

#[cfg(test)]
mod contained;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod filter;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod host_interfaces;
#[cfg(test)]
mod output;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod workspace;
