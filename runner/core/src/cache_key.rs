//! The key under which a step's result is cached.
