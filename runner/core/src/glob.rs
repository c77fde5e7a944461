//! Globs as batch specs mean them.
