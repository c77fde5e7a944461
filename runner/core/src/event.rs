//! The JSON lines that tell of a run's progress.
