//! The directory that steps work in, and what changed in it.
