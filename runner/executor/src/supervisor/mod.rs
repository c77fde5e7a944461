//! Keeps an executor going: slots, heartbeats, cancelling, draining.
