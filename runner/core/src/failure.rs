//! How a failed step is told to people.
