//! The JSON input of `batch exec`.
