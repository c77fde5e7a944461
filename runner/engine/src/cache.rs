//! Step results on disk.
